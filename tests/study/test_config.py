"""Study files: what is read, and that every mistake is named."""

import inspect

import pytest
import yaml

from soft_attention import paths
from soft_attention.data.splits import make_split
from soft_attention.errors import StudyError
from soft_attention.study.config import AttentionParameters, DataParameters, Run, Split, Study

GOOD = {
    "about": "a test",
    "datasets": ["synthetic"],
    "backbones": ["vgg16", "mobilenet"],
    "arms": ["baseline", "released"],
    "protocols": ["clean"],
    "seeds": [0, 1],
    "settings": {"epochs": 2, "learning_rate": 1.0e-3, "image_size": 64},
}


def setting(**changed):
    return {"settings": GOOD["settings"] | changed}


@pytest.fixture
def load(tmp_path):
    def load(**changed):
        values = GOOD | changed
        file = tmp_path / "mine.yaml"
        file.write_text(yaml.safe_dump({k: v for k, v in values.items() if v is not None}))
        return Study.load(file)

    return load


@pytest.mark.parametrize("name", sorted(file.stem for file in paths.PARAMS.glob("*.yaml")))
def test_the_studies_of_the_project_are_valid(name):
    runs = Study.load(name).runs()
    assert len({run.folder for run in runs}) == len(runs) > 0


def test_the_grid_is_the_product_of_the_lists_less_what_is_skipped(load):
    assert len(load().runs()) == 8
    skipped = load(skip=[{"backbone": "vgg16", "seed": [1]}]).runs()
    assert len(skipped) == 6
    assert not any(run.backbone == "vgg16" and run.seed == 1 for run in skipped)


def test_exceptions_change_the_settings_where_they_apply(load):
    study = load(exceptions=[{"where": {"backbone": "vgg16", "arm": ["baseline"]}, "set": {"epochs": 9}}])
    epochs = {(run.backbone, run.arm): run.epochs for run in study.runs()}
    assert epochs == {
        ("vgg16", "baseline"): 9,
        ("vgg16", "released"): 2,
        ("mobilenet", "baseline"): 2,
        ("mobilenet", "released"): 2,
    }


def test_the_run_folder_is_the_one_of_the_design(load):
    run = load().runs()[0]
    assert run.folder == paths.RESULTS / "mine/runs/synthetic/clean/vgg16/baseline/seed-0-fold-0"


def test_the_scale_says_how_little_was_trained():
    small, deep = (Study.load("recipe_64px").runs()[place] for place in (0, -1))
    assert small.scale == "64 px, random initial weights, at most 4 epochs of 460 steps, learning rate 0.01"
    assert deep.scale == "107 px, random initial weights, at most 20 epochs of 275 steps, learning rate 0.001"


def test_an_own_folder_stands_in_the_id_by_its_name(load):
    run = load(datasets=["/somewhere/my lesions"]).runs()[0]
    assert run.id.startswith("my lesions/clean/")
    assert run.folder.is_relative_to(paths.RESULTS)


def test_parts_change_lists_and_settings_and_stand_in_the_folder(load):
    parts = {"small": {"about": "x", "seeds": [7], "settings": {"image_size": 32}}, "whole": {"about": "y"}}
    runs = load(parts=parts).runs()
    small = [run for run in runs if run.part == "small"]
    assert (len(small), len(runs)) == (4, 12)
    assert {(run.seed, run.image_size, run.epochs) for run in small} == {(7, 32, 2)}
    assert small[0].folder == paths.RESULTS / "mine/runs/small/synthetic/clean/vgg16/baseline/seed-7-fold-0"


def test_attention_is_measured_where_there_is_some_and_a_part_asks_for_it(load):
    parts = {"seen": {"about": "x"}, "unseen": {"about": "y", "attention": False}}
    runs = load(parts=parts).attention_runs()
    assert {(run.part, run.arm) for run in runs} == {("seen", "released")} and len(runs) == 4


def test_the_split_of_a_run_is_what_make_split_takes(load):
    run = load(settings=GOOD["settings"] | {"leak": True, "split_folds": 3}).runs()[0]
    assert dict(run.split).items() <= run.model_dump().items() and run.split.leak and run.split.split_folds == 3
    (_, *takes) = inspect.signature(make_split).parameters.values()
    defaults = {field: Split.model_fields[field].default for field in Split.model_fields if field != "protocol"}
    assert {each.name: each.default for each in takes if each.name != "protocol"} == defaults


def test_the_comparisons_of_the_cpu_study_are_fixed_in_its_file():
    analysis = Study.load("cpu").analysis
    assert analysis.endpoint == "balanced_accuracy"
    assert analysis.margins == {"accuracy": 0.01, "balanced_accuracy": 0.02}
    assert len(analysis.comparisons) == 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"analysis": {"endpoint": "beauty"}}, "endpoint: unknown metric 'beauty': expected one of weighted_precision"),
        (setting(selection="macro_auc"), "selection: unknown score of an epoch 'macro_auc': expected one of loss"),
        ({"analysis": {"margins": {"accuracy": 0.01}}}, "the endpoint 'balanced_accuracy' needs a margin"),
        ({"analysis": {"comparisons": [["papper", "baseline"]]}}, "unknown arm 'papper'.*did you mean 'paper'"),
        ({"parts": {"a": {"about": "x", "seedz": [1]}}}, "unknown key 'parts.a.seedz'.*did you mean 'seeds'"),
        ({"analysis": {"acros": []}}, "unknown key 'analysis.acros'; did you mean 'across'"),
        ({"analysis": {"hypothesis": 1}}, "unknown key 'analysis.hypothesis'; known keys are endpoint, comparisons"),
        ({"exceptions": [{"were": {}, "set": {}}]}, "unknown key 'exceptions.0.were'; did you mean 'where'"),
        ({"seedz": [0]}, r"mine\.yaml: unknown key 'seedz'; did you mean 'seeds'\?"),
        (
            {"settings": GOOD["settings"] | {"learning_rat": 1.0}},
            "unknown setting 'learning_rat'.*did you mean 'learning_rate'",
        ),
        (
            {"settings": GOOD["settings"] | {"learning_rate": "1e-3"}},
            r"learning_rate.*write 1\.0e-3.*not '1e-3'",
        ),
        ({"settings": GOOD["settings"] | {"epochs": 2.5}}, r"epochs: .*integer.*not 2\.5"),
        ({"settings": {"epochs": 2}}, "the key 'learning_rate' is missing"),
        ({"backbones": ["vgg61"]}, r"unknown backbone 'vgg61'.*did you mean 'vgg16'"),
        ({"arms": ["papers"]}, r"unknown arm 'papers'.*did you mean 'paper'"),
        ({"protocols": ["clear"]}, r"unknown protocol 'clear'.*did you mean 'clean'"),
        ({"seeds": None}, "the key 'seeds' is missing"),
        (
            {"exceptions": [{"where": {"backbones": "vgg16"}, "set": {}}]},
            "unknown axis 'backbones'.*'backbone'",
        ),
        ({"skip": [{"bakcbone": "vgg16"}]}, "unknown axis 'bakcbone'.*'backbone'"),
        ({"skip": [{"arm": "relesed"}]}, "unknown arm of this study 'relesed'.*did you mean 'released'"),
        (setting(seed=3), r"mine\.yaml: settings: unknown setting 'seed'"),
        ({"parts": {"a": {"about": "x", "settings": {"arm": "paper"}}}}, "parts.a.settings: unknown setting 'arm'"),
        ({"skip": [{"seed": ["1"]}]}, "seed '1' is not of the type of seeds and never met"),
        ({"skip": [{"seed": [1, 2]}]}, "unknown seed of this study '2': expected one of 0, 1"),
        (
            {"exceptions": [{"where": {"backbone": "vgg_16"}, "set": {}}]},
            "unknown backbone of this study 'vgg_16'.*did you mean 'vgg16'",
        ),
        (
            {"exceptions": [{"where": {"backbone": "vgg16"}, "set": {"epoch": 3}}]},
            "unknown setting 'epoch'.*did you mean 'epochs'",
        ),
        ({"skip": [{"seed": [0, 1]}]}, r"mine\.yaml: no run is left"),
        ({"datasets": ["/a/{b}"]}, r"'/a/{b}' has '{' in its name: rename the folder"),
        ({"datasets": ["/a/<b>"]}, r"'/a/<b>' has '<' in its name: rename the folder"),
        (
            {"parts": {name: {"about": "x", "datasets": [f"/{name}/photos"]} for name in "pq"}},
            r"the datasets /p/photos and /q/photos have one name",
        ),
        ({"analysis": {"alternatives": ["frozen"]}}, "unknown part of this study 'frozen'"),
        ({"seeds": [0, 0]}, r"two runs would have the folder synthetic/clean/vgg16/baseline/seed-0-fold-0"),
        ({"datasets": ["/a/skin", "/b/skin"]}, r"folder skin/clean/.*\(dataset /a/skin and /b/skin\)"),
        ({"name": "yours"}, "a study has the name of its file, 'mine', not 'yours'"),
        ({"folds": [0, 5]}, "fold 5 of the protocol clean does not exist: with 5 folds it is 0 to 4"),
        (
            {"folds": [0, 1], "protocols": ["authors"]},
            "fold 1 of the protocol authors does not exist: only the protocol clean has folds",
        ),
        (setting(weights="imagenet"), r"mine\.yaml: vgg16 is the authors' own network and has no ImageNet weights"),
        (setting(cut="whole"), "vgg16 is not cut in the authors' network: set cut to authors"),
        (
            setting(image_size=30) | {"backbones": ["mobilenet"]},
            r"mine\.yaml: images of 30 px are too small for mobilenet: .* that is 31 px",
        ),
        (setting(frozen=True, sampling="authors"), "sampling authors .* frozen .* set it to balanced"),
        (setting(both_choices=True) | {"protocols": ["authors"]}, "both_choices .* set validation_share"),
        (setting(leak=True) | {"protocols": ["authors"]}, "authors tests has no other image to leak"),
        (
            {"parts": {"a": {"about": "x", "settings": {"external_test": True}}}},
            r"mine\.yaml, part a: synthetic has no outside test set: set external_test to false",
        ),
        ({"protocols": ["official"]}, "synthetic has no official test set: use the protocol clean"),
        (setting(class_weights={"mle": 5.0}), "unknown class of synthetic in class_weights 'mle'.*did you mean 'mel'"),
        ({"settings": GOOD["settings"] | {"validation_share": 0.8}}, r"validation_share: .*0\.5, not 0\.8"),
        ({"analysis": {"margins": {"acuracy": 0.01}}}, "unknown metric 'acuracy'.*did you mean 'accuracy'"),
        ({"analysis": {"margins": {"balanced_accuracy": 0.0}}}, "margins.balanced_accuracy: .*greater than 0, not 0.0"),
        ({"analysis": {"comparisons": [["paper", "paper"]]}}, "paper is compared with itself"),
        ({"parts": {"a": {"about": "x", "arms": []}}}, r"mine\.yaml: parts\.a\.arms: .*at least 1 item"),
        ({"folds": []}, r"mine\.yaml: folds: .*at least 1 item"),
        ({"parts": {"../a": {"about": "x"}}}, r"mine\.yaml: parts\.\.\./a.*"),
        ({"datasets": ["/somewhere/.."]}, r"the dataset '/somewhere/\.\.' has no name for its results"),
        (setting(class_weights={"mel": -5.0}), r"class_weights\.mel: .*greater than 0, not -5\.0"),
        (setting(class_weights={"mel": float("nan")}), r"class_weights\.mel: .*finite number, not nan"),
        (setting(adam_epsilon=float("inf")), "adam_epsilon: .*finite number, not inf"),
        ({"seeds": [2**32]}, r"seeds\.0: .*less than or equal to 2147483647, not 4294967296"),
        ({"about": "<img src=x onerror=alert(1)>"}, "about: String should match pattern.*not '<img src=x"),
        (setting(weights="None"), "weights: 'None' would be the name of a file: write null"),
        (setting(weights="ImageNet"), "weights: 'ImageNet' would be the name of a file: write imagenet"),
        (setting(weights="~/w"), "weights: there is no file /.*/w: give null"),
        ({"analysis": {"comparisons": "released"}}, r"a list of pairs of arms is wanted.*not 'released'"),
    ],
)
def test_mistakes_are_named_with_file_key_and_what_was_meant(load, changed, message):
    with pytest.raises(StudyError, match=message):
        load(**changed)


@pytest.mark.parametrize("model", [Run, Study, Split, DataParameters, AttentionParameters])
def test_every_number_has_a_range(model):
    def numbers(node):
        if isinstance(node, dict):
            if node.get("type") in ("integer", "number"):
                yield node
            for value in node.values():
                yield from numbers(value)
        elif isinstance(node, list):
            for value in node:
                yield from numbers(value)

    found = list(numbers(model.model_json_schema()))
    assert found and all(
        any(key.lower().endswith(end) for key in node) for node in found for end in ("minimum", "maximum")
    )


def test_the_weights_of_a_person_are_found_from_home_and_from_the_project(load, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "w.h5").touch()
    run = load(**setting(weights="~/w.h5")).runs()[0]
    assert run.weights_file == tmp_path / "w.h5" and run.weights == "~/w.h5"
    assert run.model_copy(update={"weights": "w.h5"}).weights_file == paths.ROOT / "w.h5"
    assert run.model_copy(update={"weights": "imagenet"}).weights_file is None


@pytest.mark.parametrize("name", ["2026", "007", "1e3", "True", "1_2", "abc.v2"])
def test_a_study_has_the_name_of_its_file_whatever_it_looks_like(name, tmp_path):
    (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(GOOD))
    assert Study.load(tmp_path / f"{name}.yaml").name == name


@pytest.mark.parametrize("name", ["$(touch x)", "a b", "{run}", "-n", "a\nb", "<img>"])
def test_a_study_that_cannot_be_a_folder_is_refused(name, tmp_path):
    (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(GOOD))
    with pytest.raises(StudyError, match="a study is named in letters, digits"):
        Study.load(tmp_path / f"{name}.yaml")


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"no study file .*nothing\.yaml: the studies are ceiling, cpu, demo"):
        Study.load("nothing")
    file = tmp_path / "broken.yaml"
    file.write_text("datasets: [synthetic\nseeds: 1")
    with pytest.raises(StudyError, match=r"broken\.yaml is not valid YAML"):
        Study.load(file)
    file.write_bytes(b"about: \xff\xfe")
    with pytest.raises(StudyError, match=r"broken\.yaml is not valid YAML: 'utf-8' codec"):
        Study.load(file)
    file.write_text("seeds: [0]\nsettings: {epochs: 1, epochs: 2}")
    with pytest.raises(StudyError, match=r"broken\.yaml is not valid YAML: the key 'epochs' stands twice .*line 2"):
        Study.load(file)
    file.write_text("just text")
    with pytest.raises(StudyError, match="must hold keys and values"):
        Study.load(file)


def test_a_run_is_checked_from_the_names_of_a_notebook():
    values = Study.load("smoke").runs()[0].model_dump()
    assert Run.check(values | {"pd": object(), "__name__": "__main__"}) == Run(**values)
    with pytest.raises(StudyError, match=r"the parameters cell: unknown|the parameters cell: precision"):
        Run.check(values | {"precision": "float23"})


def test_the_parameters_of_the_other_notebooks_are_checked_too():
    data = {"study": "smoke", "dataset": "synthetic", "splits": [{"protocol": "clean"}], "image_sizes": [64]}
    assert DataParameters.check(data | {"pd": object()}).splits[0].seed == 0
    for changed, message in (
        ({"splits": [{"protocol": "clear"}]}, r"splits\.0\.protocol: unknown protocol 'clear'.*did you mean 'clean'"),
        ({"splits": [{"protocol": "clean", "fol": 1}]}, r"unknown key 'splits\.0\.fol'; did you mean 'fold'"),
        ({"splits": [{"protocol": "authors", "fold": 1}]}, r"splits\.0: fold 1 of the protocol authors does not exist"),
        ({"splits": []}, "splits: .*at least 1 item"),
        ({"image_sizes": [0]}, r"image_sizes\.0: .*greater than or equal to 9"),
    ):
        with pytest.raises(StudyError, match=f"the parameters cell: {message}"):
            DataParameters.check(data | changed)
    with pytest.raises(StudyError, match=r"the parameters cell: panel_images: .*, not 0"):
        AttentionParameters.check({"study": "smoke", "run": "x", "panel_images": 0})


def played(monkeypatch, folder, **settings) -> Run:
    """A finished run of the study play, of the smoke study's but for `settings`."""
    monkeypatch.setattr(paths, "RESULTS", folder)
    run = Study.load("smoke").runs()[1].model_copy(update={"study": "play"} | settings).placed
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "params.json").write_text(run.model_dump_json())
    (run.folder / "metrics.json").write_text("{}")
    return run


def test_what_a_person_trains_is_a_study_whose_parts_are_its_settings(tmp_path, monkeypatch):
    first = played(monkeypatch, tmp_path)
    same = played(monkeypatch, tmp_path, arm="baseline", backbone="resnet50")
    other = played(monkeypatch, tmp_path, image_size=48)
    assert first.part == same.part != other.part and other.part.startswith("48px-")
    assert first.placed == first and Study.load("smoke").runs()[0].placed.part == ""
    study = Study.load("play")
    assert sorted(run.id for run in study.runs()) == sorted(run.id for run in (first, same, other))
    assert study.parts[other.part].about == other.scale
    assert ("released", "baseline") in study.analysis.comparisons


def test_a_run_on_other_channels_has_a_baseline_in_its_own_part(tmp_path, monkeypatch):
    run = played(monkeypatch, tmp_path, channels=[4, 5, 6])
    assert Run.check(run.baseline.model_dump()).part == run.part


def test_without_a_run_there_is_no_study_play(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    with pytest.raises(StudyError, match="the study play has no run yet: train one in notebook 2"):
        Study.load("play")
