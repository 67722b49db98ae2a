"""What a study and a run are: one schema for the YAML files, the notebooks' parameter cells and params.json."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from soft_attention import paths
from soft_attention.data.catalog import CATALOG
from soft_attention.errors import StudyError, known
from soft_attention.evaluation.metrics import of_predictions
from soft_attention.files import read_json
from soft_attention.vocabulary import ARMS, BACKBONES, CUTS, PROTOCOLS, Protocol, check_backbone

AXES = ("dataset", "protocol", "backbone", "arm", "seed", "fold")
NAME = r"\w[\w.-]*"  # of a study or a part: both become folders
PLAY = "play"  # the study of what a person trains in notebook 2; it has no file


def _of_predictions(metric: str) -> str:
    return known(metric, of_predictions(), "metric")


def _chooses(score: str) -> str:
    return known(score, ("loss", *of_predictions()), "score of an epoch")


# Ranges that several schemas share. A seed's bound leaves room for what is added to it, in 32 bits.
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Fold = Annotated[int, Field(ge=0, lt=1000)]
Folds = Annotated[int, Field(ge=2, le=1000)]
Side = Annotated[int, Field(ge=9, le=4096)]
Share = Annotated[float, Field(gt=0, lt=1)]
HalfAtMost = Annotated[float, Field(gt=0, le=0.5)]
Images = Annotated[int, Field(ge=1, le=1_000_000)]
Weight = Annotated[float, Field(gt=0, le=1_000_000)]
PlainText = Annotated[str, Field(pattern="^[^<>]*$")]  # it stands in the report, which is a page


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def check(cls, values: Mapping[str, Any], source: str = "the parameters cell") -> Self:
        """One of these from the fields found in `values`, say `globals()` of a notebook.

        Raises:
            StudyError: it names what is wrong, and where: `source`.
        """
        return _validated(cls, {k: v for k, v in values.items() if k in cls.model_fields}, source)


class SplitSettings(_Strict):
    """What makes a split, besides its place in the grid. The defaults are those of `make_split`."""

    test_share: Share = Field(0.15, description="of the single-image lesions, protocol authors")
    validation_share: HalfAtMost | None = Field(
        None,
        description="of what is not tested, as one of equal parts: 0.15 is the nearest, 1/7; null: the protocol's own",
    )
    split_folds: Folds = Field(5, description="number of folds, protocol clean")
    leak: bool = Field(False, description="inject a leak: other images of the tested lesions are trained on")


class Split(SplitSettings):
    """A split: the arguments of `make_split` after the dataset."""

    protocol: str
    seed: Seed = 0
    fold: Fold = 0

    @field_validator("protocol")
    @classmethod
    def _known_protocol(cls, protocol):
        return known(protocol, PROTOCOLS, "protocol")

    @model_validator(mode="after")
    def _known_fold(self):
        folds = self.split_folds if self.rule.folds else 1
        if self.fold >= folds:
            divided = " and ".join(name for name, rule in PROTOCOLS.items() if rule.folds)
            reason = (
                f"only the protocol {divided} has folds" if folds == 1 else f"with {folds} folds it is 0 to {folds - 1}"
            )
            raise ValueError(f"fold {self.fold} of the protocol {self.protocol} does not exist: {reason}")
        return self

    @model_validator(mode="after")
    def _possible_leak(self):
        if self.leak and self.rule.single_images:
            raise ValueError(
                f"a lesion that the protocol {self.protocol} tests has no other image to leak: set leak to false"
            )
        return self

    @property
    def rule(self) -> Protocol:
        """The facts of its protocol."""
        return PROTOCOLS[self.protocol]


class Settings(SplitSettings):
    """Everything that decides the outcome of a run besides its place in the grid."""

    image_size: Side | None = Field(None, description="side of the input in pixels; null: the released one")
    weights: str | None = Field(None, description="null (random), imagenet, or the path of a weights file")
    preprocessing: Literal["authors", "backbone"] = "authors"
    heads: int = Field(16, ge=1, le=1024)
    cut: Literal[CUTS] = Field("authors", description="where the backbone ends")
    channels: list[Annotated[int, Field(ge=0, lt=4096)]] | None = Field(
        None, min_length=3, max_length=3, description="that the arm released reads; null: 0, 1, 2, as released"
    )
    baseline_dropout: bool = Field(False, description="dropout in the baseline, as the other arms have it")
    baseline_pool: bool = Field(False, description="max-pooling in the baseline, as the other arms have it")
    frame_dropout: bool = Field(True, description="dropout in the frame of the other arms")
    train_unit: bool = Field(True, description="false: the unit stays as it was drawn")
    head_norm: bool = Field(False, description="normalise what the last layer sees, without parameters to train")
    epochs: int = Field(..., ge=1, le=100_000)
    steps_per_epoch: int | None = Field(None, ge=1, le=1_000_000, description="null: one pass over the training images")
    batch_size: int = Field(16, ge=1, le=65_536)
    learning_rate: float = Field(..., gt=0, le=100)
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="cosine: the rate falls to 0 by the last epoch"
    )
    adam_epsilon: float = Field(1.0e-7, gt=0, le=100)
    class_weights: dict[str, Weight] = Field({}, description="loss weight of a class; 1 for those not named")
    sampling: Literal["natural", "balanced", "authors"] = "natural"
    augmentation: bool = True
    frozen: bool = Field(False, description="train only the unit and what follows it, on kept features of the trunk")
    views: int = Field(4, ge=1, le=8, description="turned and mirrored copies of an image whose features are kept")
    selection: Annotated[str, AfterValidator(_chooses)] = Field("loss", description="what chooses the epoch")
    both_choices: bool = Field(False, description="keep also the epoch that the other of validation and test chooses")
    patience: int | None = Field(None, ge=1, le=100_000, description="epochs without a lower loss before stopping")
    min_delta: float = Field(0.0, ge=0, le=100)
    batch_norm_momentum: Share | None = Field(None, description="null: the network's own")
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    external_test: bool = Field(False, description="predict the dataset's outside test set as well")
    off_centre: float | None = Field(
        None, gt=0.2, lt=1, description="show windows of this share of each side, the lesion anywhere in them"
    )


class Run(Settings, Split):
    """One execution of the training notebook."""

    study: str
    part: str = Field("", description="the study's part; empty in a study without parts")
    dataset: str
    backbone: str
    arm: str

    @field_validator("backbone", "arm")
    @classmethod
    def _known_name(cls, value, info):
        return known(value, {"backbone": BACKBONES, "arm": ARMS}[info.field_name], info.field_name)

    @field_validator("weights")
    @classmethod
    def _meant_weights(cls, value):
        meant = {"none": "null", "null": "null", "random": "null", "": "null", "imagenet": "imagenet"}
        if value is not None and value != "imagenet" and (word := meant.get(value.lower())):
            raise ValueError(f"{value!r} would be the name of a file: write {word}")
        return value

    @model_validator(mode="after")
    def _possible_network(self):
        check_backbone(self.backbone, self.size, self.weights, self.cut)
        return self

    @model_validator(mode="after")
    def _possible_training(self):
        if self.frozen and self.sampling == "authors":
            raise ValueError("sampling authors transforms images, and frozen trains on features: set it to balanced")
        if self.both_choices and not (self.validation_share or self.rule.validation_share):
            raise ValueError(
                f"both_choices wants validation images, of which the protocol {self.protocol} has none by itself: "
                "set validation_share"
            )
        return self

    @model_validator(mode="after")
    def _possible_unit(self):
        if ARMS[self.arm].needs_mask and self.external_test:
            raise ValueError(
                f"the arm {self.arm} needs lesion masks and the outside test set has none: set external_test to false"
            )
        if self.off_centre and self.external_test:
            raise ValueError(
                "off_centre needs lesion masks and the outside test set has none: set external_test to false"
            )
        if self.channels and (self.arm != "released" or len(set(self.channels)) < 3):
            raise ValueError("channels are three different ones, counted from 0, and only the arm released reads them")
        return self

    @model_validator(mode="after")
    def _possible_data(self):
        """What is known of the catalogued data sets; of a person's own, the data stage knows."""
        if Path(self.dataset).name in ("", ".."):
            raise ValueError(
                f"the dataset {self.dataset!r} has no name for its results: give the whole path of the folder"
            )
        if info := CATALOG.get(self.dataset):
            for name in self.class_weights:
                known(name, info.classes, f"class of {self.dataset} in class_weights")
            if self.external_test and not info.external:
                raise ValueError(f"{self.dataset} has no outside test set: set external_test to false")
            if self.protocol == "official" and not (info.partitions or info.external):
                raise ValueError(f"{self.dataset} has no official test set: use the protocol clean")
        return self

    @classmethod
    def read(cls, file: Path) -> Self:
        """The run of a `params.json`; StudyError if that is missing or damaged."""
        return cls.check(read_json(file), str(file))

    @property
    def id(self) -> str:
        """`[PART/]DATASET/PROTOCOL/BACKBONE/ARM/seed-S-fold-F`, the run's folder below `results/STUDY/runs`.

        A person's own dataset is given as a path and stands here with its folder's name.
        """
        place = (self.part, Path(self.dataset).name, self.protocol, self.backbone, self.arm)
        return "/".join(filter(None, place)) + f"/seed-{self.seed}-fold-{self.fold}"

    @property
    def folder(self) -> Path:
        return paths.RESULTS / self.study / "runs" / self.id

    @property
    def placed(self) -> "Run":
        """In the study `play` this run in a part that is named for its settings, so that others never stand beside it.

        Of any other study the run as it is.
        """
        if self.study != PLAY or self.part:
            return self
        settings = json.dumps(self.model_dump(include=set(Settings.model_fields)), sort_keys=True)
        part = f"{self.size}px-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"
        return self.model_copy(update={"part": part})

    @property
    def weights_file(self) -> Path | None:
        """The file that the weights come from, if they come from one; a relative path starts at the project."""
        return None if self.weights in (None, "imagenet") else paths.ROOT / Path(self.weights).expanduser()

    @property
    def size(self) -> int:
        """Side of the network's input in pixels."""
        return self.image_size or BACKBONES[self.backbone].image_size

    @property
    def baseline(self) -> "Run":
        """The run of the arm `baseline` in the same place of the grid."""
        return self.model_copy(update={"arm": "baseline", "channels": None})

    @property
    def choosing(self) -> tuple[str, ...]:
        """The subsets that choose an epoch; the first one's choice is the run's result, the other is kept beside it."""
        first = self.rule.chooses
        other = "validation" if first == "test" else "test"
        return (first, other) if self.both_choices else (first,)

    @property
    def split(self) -> Split:
        return Split(**{name: getattr(self, name) for name in Split.model_fields})

    @property
    def scale(self) -> str:
        """What a reader must know to weigh a number of this run."""
        weights = {None: "random initial weights", "imagenet": "ImageNet weights"}.get(self.weights, self.weights)
        frozen = f", frozen trunk ({self.views} views)" if self.frozen else ""
        steps = f" of {self.steps_per_epoch} steps" if self.steps_per_epoch else ""
        rate = f"learning rate {self.learning_rate:g}"
        return f"{self.size} px, {weights}{frozen}, at most {self.epochs} epochs{steps}, {rate}{self._departures}"

    @property
    def _departures(self) -> str:
        """What is unlike the study's usual networks and images, to be said with every number."""
        said = {
            f"windows of {self.off_centre or 1:.0%} of each side": self.off_centre,
            "dropout in the baseline": self.baseline_dropout,
            "max-pooling in the baseline": self.baseline_pool,
            "no dropout in the frame": not self.frame_dropout,
            "the unit untrained": not self.train_unit,
            f"channels {self.channels}": self.channels,
        }
        return "".join(f", {words}" for words, true in said.items() if true)


class DataParameters(_Strict):
    """The parameters of `01_data`."""

    study: str
    dataset: str
    splits: list[Split] = Field(..., min_length=1)
    image_sizes: list[Side]


class AttentionParameters(_Strict):
    """The parameters of `03_attention`."""

    study: str
    run: str
    panel_images: Images = 7
    perturbed_images: Images = 7


def _known_settings(settings: dict[str, Any]) -> dict[str, Any]:
    for name in settings:
        known(name, Settings.model_fields, "setting")
    return settings


SomeSettings = Annotated[dict[str, Any], AfterValidator(_known_settings)]  # a run checks their values


class GridException(_Strict):
    """Settings that differ where every axis named in `where` has one of the values given."""

    where: dict[str, Any]
    set: SomeSettings


class Part(_Strict):
    """What one part of a study changes: lists of its grid, and settings."""

    about: PlainText = Field(..., description="what this part measures")
    datasets: list[str] | None = Field(None, min_length=1)
    backbones: list[str] | None = Field(None, min_length=1)
    arms: list[str] | None = Field(None, min_length=1)
    protocols: list[str] | None = Field(None, min_length=1)
    seeds: list[Seed] | None = Field(None, min_length=1)
    folds: list[Fold] | None = Field(None, min_length=1)
    settings: SomeSettings = {}
    attention: bool = Field(True, description="measure where the networks of this part look")


class Analysis(_Strict):
    """What a study compares and how, fixed before any of its runs."""

    endpoint: Annotated[str, AfterValidator(_of_predictions)] = "balanced_accuracy"
    comparisons: list[tuple[str, str]] = Field(
        [("released", "baseline")], description="pairs of arms; together the family of Holm's correction"
    )
    margins: dict[str, Share] = Field(
        {"accuracy": 0.01, "balanced_accuracy": 0.02}, description="differences below these count as none"
    )
    across: list[tuple[str, str]] = Field(
        [], description="pairs of PART:ARM whose parts differ in one setting; together another family"
    )
    alternatives: list[str] = Field(
        [], description="parts of one grid in other settings, among which validation images choose run by run"
    )
    draws: int = Field(10_000, ge=100, le=10_000_000, description="of the bootstrap")
    perturbed_images: Images = Field(14, description="images of a run that insertion and deletion are measured on")

    @field_validator("comparisons", "across", mode="before")
    @classmethod
    def _pairs(cls, pairs, info):
        if not isinstance(pairs, list) or not all(isinstance(pair, list | tuple) for pair in pairs):
            raise ValueError(f"a list of pairs of arms is wanted, such as [[released, baseline]], not {pairs!r}")
        if info.field_name == "comparisons":
            pairs = [[known(arm, ARMS, "arm") for arm in pair] for pair in pairs]
        pairs = [tuple(pair) for pair in pairs]
        if alike := [pair[0] for pair in pairs if len(set(pair)) < len(pair)]:
            raise ValueError(f"{alike[0]} is compared with itself")
        return pairs

    @field_validator("margins")
    @classmethod
    def _margins(cls, margins, info):
        for metric in margins:
            known(metric, of_predictions(), "metric")
        if (endpoint := info.data.get("endpoint")) not in margins:
            raise ValueError(f"the endpoint {endpoint!r} needs a margin")
        return margins


FolderName = Annotated[str, Field(pattern=f"^{NAME}$")]


class Study(_Strict):
    """A grid of runs: one file in `params/`."""

    name: str
    about: PlainText = Field(..., description="one sentence: what it is for, what it costs")
    datasets: list[str] = Field(..., min_length=1)
    backbones: list[str] = Field(..., min_length=1)
    arms: list[str] = Field(..., min_length=1)
    protocols: list[str] = Field(..., min_length=1)
    seeds: list[Seed] = Field(..., min_length=1)
    folds: list[Fold] = Field([0], min_length=1)
    threads: int = Field(1, ge=1, le=1024, description="processor cores for one run")
    settings: SomeSettings
    exceptions: list[GridException] = []
    skip: list[dict[str, Any]] = Field([], description="corners of the grid that are not run")
    parts: dict[FolderName, Part] = Field({}, description="several grids in one study, each with what it changes")
    analysis: Analysis = Analysis()

    @model_validator(mode="after")
    def _known_places(self):
        for rule in (*self.skip, *(exception.where for exception in self.exceptions)):
            for axis, values in rule.items():
                known(axis, AXES, "axis")
                there = [value for part in self._grids().values() for value in self._axis(part, axis)]
                for value in values if isinstance(values, list) else [values]:
                    if value not in there:
                        known(str(value), map(str, there), f"{axis} of this study")
                        raise ValueError(f"{axis} {value!r} is not of the type of {axis}s and never met")
        for part in self.analysis.alternatives:
            known(part, self.parts, "part of this study")
        for side in (side for pair in self.analysis.across for side in pair):
            part, _, arm = side.partition(":")
            known(arm, self._axis(self.parts[known(part, self.parts, "part of this study")], "arm"), f"arm of {part}")
        return self

    @classmethod
    def load(cls, name: str | Path) -> "Study":
        """Read a study by its name in `params/` or by the path of a YAML file; only those in `params/` can be run.

        The study `play` is read from its runs.

        Raises:
            StudyError: the file is missing or cannot be read; a key or value is unknown or wrong; there is no run, or
                two runs would share a folder. The message names the file, the key and the nearest valid one.
        """
        if name == PLAY:
            return Played.from_runs()
        path = Path(name) if str(name).endswith(".yaml") else paths.PARAMS / f"{name}.yaml"
        if not re.fullmatch(NAME, path.stem):
            raise StudyError(f"{path}: a study is named in letters, digits and any of _ . - alone: rename the file")
        if not path.exists():
            names = sorted(file.stem for file in paths.PARAMS.glob("*.yaml"))
            raise StudyError(f"there is no study file {path}: the studies are {', '.join(names)}")
        try:
            values = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise StudyError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
        if not isinstance(values, dict):
            raise StudyError(f"{path} must hold keys and values, such as `datasets: [synthetic]`")
        study = _validated(cls, {"name": path.stem} | values, str(path))
        if study.name != path.stem:
            raise StudyError(f"{path}: a study has the name of its file, {path.stem!r}, not {study.name!r}")
        runs = {}  # an invalid setting is an error of the file, not of its first run
        for run in study.runs():
            if run.id in runs:
                two = " and ".join(dict.fromkeys((runs[run.id].dataset, run.dataset)))
                raise StudyError(f"{path}: two runs would have the folder {run.id} (dataset {two})")
            runs[run.id] = run
        if not runs:
            raise StudyError(f"{path}: no run is left: skip takes all of the grid away")
        _check_names(dict.fromkeys(run.dataset for run in runs.values()), path)
        _check_weights(runs.values(), path)
        return study

    def runs(self) -> list[Run]:
        """Every run, part by part, each grid in the order of its lists."""
        return [
            self._run(name, part, place)
            for name, part in self._grids().items()
            for place in self._places(part)
            if not any(_matches(place, rule) for rule in self.skip)
        ]

    def attention_runs(self) -> list[Run]:
        """The runs whose attention is measured: all that have some, of the parts that ask for it.

        The baseline in the same place is looked at beside it, so a run without one is left out.
        """
        silent = {name for name, part in self.parts.items() if not part.attention}
        runs = {run.id: run for run in self.runs() if run.part not in silent}
        return [run for run in runs.values() if ARMS[run.arm].maps and run.baseline.id in runs]

    def _grids(self) -> dict[str, Part]:
        return self.parts or {"": Part(about="")}

    def _axis(self, part: Part, axis: str) -> list:
        return getattr(part, f"{axis}s") or getattr(self, f"{axis}s")

    def _places(self, part: Part) -> Iterator[dict[str, Any]]:
        axes = ("dataset", "protocol", "seed", "fold", "backbone", "arm")
        lists = [self._axis(part, axis) for axis in axes]
        return (dict(zip(axes, place, strict=True)) for place in product(*lists))

    def _run(self, name: str, part: Part, place: dict[str, Any]) -> Run:
        values = self.settings | part.settings
        for exception in self.exceptions:
            if _matches(place, exception.where):
                values |= exception.set
        source = f"params/{self.name}.yaml" + (f", part {name}" if name else "")
        return _validated(Run, values | place | {"study": self.name, "part": name}, source)


class Played(Study):
    """What a person has trained in notebook 2: every finished run there is, with the settings it was made with."""

    found: list[Run]

    @classmethod
    def from_runs(cls) -> Self:
        """StudyError if nothing was trained yet, or the parameters of a run are damaged."""
        files = sorted((paths.RESULTS / PLAY / "runs").glob("**/metrics.json"))
        runs = [Run.read(file.with_name("params.json")) for file in files]
        if not runs:
            raise StudyError(f"the study {PLAY} has no run yet: train one in notebook 2")
        grid = {f"{axis}s": list(dict.fromkeys(getattr(run, axis) for run in runs)) for axis in AXES}
        parts = {run.part: Part(about=run.scale) for run in runs}
        arms = [(arm, "baseline") for arm in grid["arms"] if arm != "baseline"]
        about = "what was trained in notebook 2; a part holds the runs of the same settings"
        values = {"name": PLAY, "about": about, "settings": {}, "parts": parts, "found": runs}
        return cls(**values, **grid, analysis=Analysis(comparisons=arms) if arms else Analysis())

    def runs(self) -> list[Run]:
        return list(self.found)


def _check_names(datasets: Iterable[str], path: Path) -> None:
    """StudyError for folders that cannot have a record, and a rule of Snakemake, by their name."""
    folders = {}
    for dataset in datasets:
        name = Path(dataset).name
        if name in folders:
            raise StudyError(f"{path}: the datasets {folders[name]} and {dataset} have one name: rename a folder")
        if odd := [letter for letter in name if letter in "{}<>\n"]:
            raise StudyError(f"{path}: the dataset {dataset!r} has {odd[0]!r} in its name: rename the folder")
        folders[name] = dataset


def _check_weights(runs: Iterable[Run], path: Path) -> None:
    """StudyError for a file of weights that a run has yet to begin with and that is not there."""
    for file in {run.weights_file for run in runs if not (run.folder / "metrics.json").exists()}:
        if file and not file.is_file():
            raise StudyError(f"{path}: weights: there is no file {file}: give null (random), imagenet or an own file")


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, and not silently the last of them."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1 and key != "<<":
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _matches(place: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    return all(place[axis] in (value if isinstance(value, list) else [value]) for axis, value in rule.items())


def _validated(model: type[BaseModel], values: Mapping[str, Any], source: str):
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise StudyError(f"{source}: " + "; ".join(_sentence(model, e) for e in error.errors())) from None


_BELOW = {"analysis": Analysis, "parts": Part, "exceptions": GridException, "splits": Split}  # keys of keys


def _sentence(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        fields = (model if len(error["loc"]) == 1 else _BELOW[error["loc"][0]]).model_fields
        near = get_close_matches(str(error["loc"][-1]), fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(fields)}"
        return f"unknown key {key!r}; {hint}"
    if error["type"] == "missing":
        return f"the key {key!r} is missing"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "float_type" and isinstance(error["input"], str):
        message += " (YAML reads 1e-3 as text: write 1.0e-3)"
    if error["type"] != "value_error":
        message += f", not {error['input']!r}"
    return f"{key}: {message}" if key else message
