"""A HAM10000 of four images and an outside test set of three, for folders in which they lie as people have them."""

import io
import zipfile
from dataclasses import replace

import pandas as pd
import pytest
from PIL import Image

from soft_attention.data.catalog import CATALOG
from soft_attention.data.fetch.tables import fingerprint

PROP = "ISIC_0035068"
HAM = pd.DataFrame(
    [("I1", "nv", "L1"), ("I2", "nv", "L1"), ("I3", "mel", "L2"), ("I4", "df", "L3")],
    columns=["image_id", "label", "lesion_id"],
)
TEST = pd.DataFrame(
    [("T1", "nv", "M1"), ("T2", "akiec", "M2"), ("T3", "akiec", "M2")], columns=["image_id", "label", "lesion_id"]
)


class Maker:
    """Writes what people have into a folder."""

    def __init__(self, folder):
        self.folder = folder

    def images(self, place, ids=HAM["image_id"], suffix=".jpg", size=(30, 20), shade=0):
        """Unlike pictures, loose in a sub-folder or, where `place` ends so, in a zip archive."""
        named = {f"{image}{suffix}": self.picture(size, sum(image.encode()) + shade) for image in ids}
        self.files(place, named)

    def masks(self, place, ids=HAM["image_id"]):
        self.files(place, {f"{image}_segmentation.png": self.picture((30, 20), 255, "PNG") for image in ids})

    def files(self, place, named):
        if place.endswith(".zip"):
            (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(self.folder / place, "a") as archive:
                for name, content in named.items():
                    archive.writestr(name if "/" in name else f"{place[:-4]}/{name}", content)
        else:
            (self.folder / place).mkdir(parents=True, exist_ok=True)
            for name, content in named.items():
                (self.folder / place / name).write_bytes(content)

    def table(self, name, rows=HAM, **options):
        """A table in HAM10000's own form."""
        rows = rows.rename(columns={"label": "dx"})[["lesion_id", "image_id", "dx"]].assign(dx_type="histo", age="50.0")
        self.csv(name, rows, **options)

    def one_hot(self, name, rows=HAM):
        """A table in the challenge's form."""
        columns = {label.upper(): (rows["label"] == label).astype(float) for label in CATALOG["ham10000"].classes}
        self.csv(name, pd.DataFrame({"image": rows["image_id"], **columns}))

    def groupings(self, name, rows=HAM):
        self.csv(name, pd.DataFrame({"image": rows["image_id"], "lesion_id": rows["lesion_id"], "confirm": "x"}))

    def archive_table(self, name, rows):
        """A table as isic-cli writes it."""
        diagnoses = {
            "nv": ("Benign", "Benign melanocytic proliferations", "Nevus"),
            "mel": ("Malignant", "Malignant melanocytic proliferations (Melanoma)", "Melanoma, NOS"),
            "df": ("Benign", "Benign soft tissue proliferations - Fibro-histiocytic", "Dermatofibroma"),
            "akiec": ("Indeterminate", "Indeterminate epidermal proliferations", "Solar or actinic keratosis"),
        }
        columns = [f"diagnosis_{level}" for level in (1, 2, 3)]
        found = pd.DataFrame([diagnoses[label] for label in rows["label"]], rows.index, columns)
        lesions = "IL_" + rows["lesion_id"]
        self.csv(name, found.assign(isic_id=rows["image_id"], lesion_id=lesions, age_approx=50, sex="male"))

    def csv(self, name, table, **options):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False, **options)

    @staticmethod
    def picture(size, shade, kind="JPEG"):
        file = io.BytesIO()
        Image.new("L", size, shade % 256).save(file, kind)
        return file.getvalue()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder; the catalogue expects of the two data sets what `Maker` writes."""
    counts = {"images": 4, "lesions": 3, "class_counts": {"nv": 2, "mel": 1, "df": 1}}
    known = dict(zip(TEST["image_id"], TEST["lesion_id"], strict=True))
    use(monkeypatch, "ham10000", HAM, fingerprint=fingerprint(HAM, lesions=True), **counts)
    counts = {"images": 3, "class_counts": {"nv": 1, "akiec": 2}}
    use(monkeypatch, "isic2018_test", TEST, known_lesions=known, fingerprint=fingerprint(TEST, lesions=False), **counts)
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def use(monkeypatch, name, rows, **changes):
    files = tuple(replace(file, md5=None, size=None) for file in CATALOG[name].files)
    monkeypatch.setitem(CATALOG, name, replace(CATALOG[name], files=files, ids=tuple(rows["image_id"]), **changes))


@pytest.fixture
def make(folder):
    return Maker(folder)


@pytest.fixture
def ham():
    return HAM


@pytest.fixture
def test_set():
    return TEST
