"""Files of one data set: tables inside archives."""

import zipfile

import pytest

from soft_attention.data.catalog import DatasetInfo, RemoteFile
from soft_attention.data.fetch.source import Source
from soft_attention.errors import StudyError


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("a/inside.csv", "image_id\n007\n")
    return folder


def source(mirror, optional=False):
    names = ("inside.csv", "absent.csv")
    files = [RemoteFile(name, inside="a.zip", optional=optional) for name in names]
    return Source(DatasetInfo("toy", "Toy", (), (RemoteFile("a.zip"), *files)), mirror.parent / "data", mirror)


def test_a_table_inside_an_archive(mirror):
    assert source(mirror).table("inside.csv", ["image_id"])["image_id"].tolist() == ["007"]


def test_a_table_alone_goes_before_the_one_inside(mirror):
    (mirror / "inside.csv").write_text("image_id\n008\n")
    assert source(mirror).table("inside.csv", ["image_id"])["image_id"].tolist() == ["008"]


def test_a_table_that_is_nowhere(mirror):
    with pytest.raises(StudyError, match=r"a\.zip holds no absent\.csv"):
        source(mirror).table("absent.csv", ["image_id"])
    assert source(mirror, optional=True).table("absent.csv", ["image_id"]) is None


def test_a_table_inside_without_its_column(mirror):
    with pytest.raises(StudyError, match=r"inside\.csv in .*a\.zip has no column 'dx'"):
        source(mirror).table("inside.csv", ["dx"])
