"""What there is to study: the data sets, their official files, counts and terms of use.

Checksums are those that the host itself publishes (Harvard Dataverse, MD5); the ISIC challenge
publishes none, so there the first download is recorded (see `download`).
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_DATAVERSE = "https://dataverse.harvard.edu/api/access/datafile"
_ISIC = (
    "https://isic-archive.s3.amazonaws.com/challenges/{year}/{name}",
    "https://isic-challenge-data.s3.amazonaws.com/{year}/{name}",
)


@dataclass(frozen=True)
class RemoteFile:
    """One official file.

    Attributes:
        name: the official file name, also its name on disk.
        urls: where it lies, tried in order; empty if it is only found `inside` an archive.
        size: bytes, where the host states them.
        md5: the checksum that the host publishes, or None.
        aliases: other names under which a mirror may hold it.
        inside: name of the official archive that holds this file.
        optional: the study runs without it (a lesion mask, the age of a patient).
        has_images: it is an archive of the images themselves.
    """

    name: str
    urls: tuple[str, ...] = ()
    size: int | None = None
    md5: str | None = None
    aliases: tuple[str, ...] = ()
    inside: str | None = None
    optional: bool = False
    has_images: bool = False


@dataclass(frozen=True)
class DatasetInfo:
    """One data set: classes in the order used everywhere, files, expected counts, terms.

    `images`, `class_counts` and `partitions` (class counts per official partition) are what a
    load must find; `lesions` is None where their number is not published. So are `ids`, the identifiers of all images
    (empty where the tables alone have them), and `fingerprint`, a hash of the published labels (`data.fetch.tables`).
    `left_out` gives images that are no part of it though the files hold them, each with the reason; `known_lesions`
    the lesion of each image, for files that lack it. `external` names the data set that is its outside test set, if
    it has one. `published`: how far the paper's numbers are a yardstick for runs on it; `{ours}` stands for
    `Protocol.ours`. `shareable` says whether pictures of it may be passed on, for instance in a figure.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    files: tuple[RemoteFile, ...] = ()
    images: int | None = None
    lesions: int | None = None
    class_counts: Mapping[str, int] | None = None
    partitions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    ids: Sequence[str] = ()
    fingerprint: str | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    known_lesions: Mapping[str, str] = field(default_factory=dict)
    external: str | None = None
    published: str = ""
    licence: str = ""
    credit: str = ""
    citation: str = ""
    shareable: bool = False


def _isic_file(year: int, name: str, **keywords) -> RemoteFile:
    return RemoteFile(name, tuple(url.format(year=year, name=name) for url in _ISIC), **keywords)


def _isic2017_files(prefix: str) -> tuple[RemoteFile, ...]:
    archive = f"ISIC-2017_{prefix}_Data.zip"
    return (
        _isic_file(2017, archive, has_images=True),
        _isic_file(2017, f"ISIC-2017_{prefix}_Part3_GroundTruth.csv"),
        _isic_file(2017, f"ISIC-2017_{prefix}_Part1_GroundTruth.zip", optional=True),
        RemoteFile(f"ISIC-2017_{prefix}_Data_metadata.csv", inside=archive, optional=True),
    )


SEVEN_CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
THREE_CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
CLASS_TITLES = {
    "akiec": "actinic keratosis or Bowen's disease",
    "bcc": "basal cell carcinoma",
    "bkl": "benign keratosis (seborrheic keratosis, solar lentigo, lichen planus-like keratosis)",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nv": "melanocytic nevus",
    "vasc": "vascular lesion (angioma, angiokeratoma, pyogenic granuloma, haemorrhage)",
}
MELANOMA = ("mel", "melanoma")  # its name among the seven, and among the three
ISIC2017_PREFIXES = {"train": "Training", "validation": "Validation", "test": "Test_v2"}
_ISIC2017_PUBLISHED = "Of ISIC-2017 only two sensitivities are published, and not for which task."
_VIENNA = "ViDIR Group, Department of Dermatology, Medical University of Vienna"

HAM10000 = DatasetInfo(
    name="ham10000",
    title="HAM10000",
    classes=SEVEN_CLASSES,
    files=(
        RemoteFile(
            "HAM10000_metadata.csv",
            # Without format=original the host converts the table and the checksum cannot fit.
            (f"{_DATAVERSE}/4338392?format=original",),
            size=690_218,
            md5="8f85fb1aa29d80a2797247e434deb79d",
        ),
        RemoteFile(
            "HAM10000_images_part_1.zip",
            (f"{_DATAVERSE}/3172585",),
            size=1_366_522_108,
            md5="4639bfa73ab251610530a97c898e6e46",
            has_images=True,
        ),
        RemoteFile(
            "HAM10000_images_part_2.zip",
            (f"{_DATAVERSE}/3172584",),
            size=1_403_566_547,
            md5="da43d6cc50f6613013be07e8986b384b",
            has_images=True,
        ),
        RemoteFile(
            "HAM10000_segmentations_lesion_tschandl.zip",
            (f"{_DATAVERSE}/3838943",),
            size=10_808_743,
            md5="6e8d252e09cfdb0189199f15985a5b84",
            optional=True,
        ),
    ),
    images=10_015,
    lesions=7_470,
    class_counts=dict(zip(SEVEN_CLASSES, (327, 514, 1099, 115, 1113, 6705, 142), strict=True)),
    ids=tuple(f"ISIC_{number:07d}" for number in range(24306, 34321)),
    fingerprint="4244e696695227440a8f1076e588ffa41ba5dd65676143c7d449538b4f356fe3",
    external="isic2018_test",
    published="The 828 published test images also chose the epoch. Our test images {ours}.",
    licence="CC BY-NC 4.0",
    credit=_VIENNA,
    citation="Tschandl, Rosendahl, Kittler: The HAM10000 dataset, Scientific Data 5:180161 (2018), "
    "doi:10.1038/sdata.2018.161; masks: Tschandl et al., Nature Medicine 26:1229 (2020)",
)


def _read_lesions(file: Path) -> dict[str, str]:
    lines = (line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {row["image_id"]: row["lesion_id"] for row in csv.DictReader(lines)}


# Lesion by image, for tables that are remade without any data at hand.
ISIC2018_TEST_LESIONS = _read_lesions(Path(__file__).with_name("isic2018_test_lesions.csv"))

ISIC2018_TEST = DatasetInfo(
    name="isic2018_test",
    title="ISIC 2018 Task 3, official test set",
    classes=SEVEN_CLASSES,
    files=(
        _isic_file(2018, "ISIC2018_Task3_Test_Input.zip", aliases=("ISIC2018_Task3_Test_Images.zip",), has_images=True),
        _isic_file(2018, "ISIC2018_Task3_Test_GroundTruth.zip"),
        RemoteFile("ISIC2018_Task3_Test_GroundTruth.csv", inside="ISIC2018_Task3_Test_GroundTruth.zip"),
    ),
    images=1_511,
    class_counts=dict(zip(SEVEN_CLASSES, (43, 93, 217, 44, 171, 908, 35), strict=True)),
    ids=tuple(ISIC2018_TEST_LESIONS),
    fingerprint="df77f82c86847f19f39200d2ba7d1adcb8b6f49c12454266425a22316505b2aa",
    left_out={"ISIC_0035068": "the picture of a film prop, which the official scorer leaves out too"},
    known_lesions=ISIC2018_TEST_LESIONS,
    licence="CC BY-NC 4.0",
    credit=_VIENNA,
    citation="Codella et al.: Skin Lesion Analysis Toward Melanoma Detection 2018, "
    "arXiv:1902.03368 (2019); Tschandl, Rosendahl, Kittler, Scientific Data 5:180161 (2018)",
)

ISIC2017 = DatasetInfo(
    name="isic2017",
    title="ISIC 2017 Part 3",
    classes=THREE_CLASSES,
    files=tuple(file for prefix in ISIC2017_PREFIXES.values() for file in _isic2017_files(prefix)),
    images=2_750,
    class_counts=dict(zip(THREE_CLASSES, (521, 1843, 386), strict=True)),
    partitions={
        "train": dict(zip(THREE_CLASSES, (374, 1372, 254), strict=True)),
        "validation": dict(zip(THREE_CLASSES, (30, 78, 42), strict=True)),
        "test": dict(zip(THREE_CLASSES, (117, 393, 90), strict=True)),
    },
    published=_ISIC2017_PUBLISHED,
    fingerprint="68c77b49ca8e874acdedaabd91647b42fcfbb4c9a76b8ad4310db2fcd6f0b0e4",
    licence="ISIC Archive terms of use; non-commercial",
    credit="International Skin Imaging Collaboration",
    citation="Codella et al.: Skin Lesion Analysis Toward Melanoma Detection (ISBI 2017), arXiv:1710.05006 (2017)",
)

SYNTHETIC = DatasetInfo(
    name="synthetic",
    title="Generated dermoscopy, seven classes",
    classes=SEVEN_CLASSES,
    lesions=600,
    published="Our images are generated: the published columns are those of HAM10000 and no yardstick here.",
    licence="MIT, as this study",
    shareable=True,
)

SYNTHETIC2017 = DatasetInfo(
    name="synthetic2017",
    title="Generated dermoscopy, three classes",
    classes=THREE_CLASSES,
    lesions=450,
    published=_ISIC2017_PUBLISHED,
    licence="MIT, as this study",
    shareable=True,
)

CATALOG = {info.name: info for info in (HAM10000, ISIC2017, ISIC2018_TEST, SYNTHETIC, SYNTHETIC2017)}

# What a run may name. The ISIC 2018 test set is not trained on: it is `ham10000`'s `.external`.
DATASETS = ("ham10000", "isic2017", "synthetic", "synthetic2017")


def melanoma(classes: Iterable[str]) -> str | None:
    """The name of the class of melanoma; None if there is none."""
    return next((name for name in classes if name in MELANOMA), None)
