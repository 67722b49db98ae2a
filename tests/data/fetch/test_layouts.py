"""Files are found by the part they play, loose or packed, and one image is taken once."""

import zipfile
from pathlib import Path

import pytest

from soft_attention.data.fetch import checksums
from soft_attention.data.fetch.layouts import Place, differing, gather, image_of, look
from soft_attention.errors import StudyError


def named(base):
    return f"{image_of(base)}.jpg" if image_of(base) else None


def test_parts_at_any_depth_with_suffixes_in_any_case(make, folder):
    make.images("a/b c/d", ["I1"], ".JPG")
    make.images("HAM.ZIP", ["I2"], ".jpeg")
    make.images("", ["I3"], ".Jpeg")
    make.masks("masks/m", ["I1"])
    make.table("a/HAM10000_metadata")
    make.files("", {"notes.txt": b"", "README": b"", "picture.png": b""})
    layout = look(folder)
    assert {key: [place.name for place in places] for key, places in layout.images.items()} == {
        "I1": ["I1.JPG"],
        "I2": ["I2.jpeg"],
        "I3": ["I3.Jpeg"],
    }
    assert layout.masks == {"I1": [Place(folder / "masks/m/I1_segmentation.png")]}
    (table,) = layout.tables
    assert table.columns == {"lesion_id", "image_id", "dx", "dx_type", "age"}


@pytest.mark.parametrize(("name", "separator"), [("t.csv", ","), ("t.tab", "\t"), ("HAM10000_metadata", "\t")])
def test_the_first_line_of_a_table_is_read_with_its_own_delimiter(make, folder, name, separator):
    make.table(name, sep=separator, quoting=1, encoding="utf-8-sig")
    (table,) = look(folder).tables
    assert (table.delimiter, "image_id" in table.columns) == (separator, True)


def test_what_systems_and_this_study_leave_is_passed_over(make, folder):
    make.images("images", ["I1"])
    make.files("images", {"._I1.jpg": b"stub"})
    make.files("__MACOSX/images", {"I1.jpg": b"stub"})
    make.images(".Trash", ["I2"])
    make.images("data/ham10000/images", ["I3"])
    make.files("data/ham10000/images", {".made_from.json": b"{}"})
    assert list(look(folder).images) == ["I1"]


def test_links_are_followed_and_may_go_round_in_circles(make, folder, tmp_path):
    make.images("images", ["I1"])
    (folder / "round").symlink_to(folder)
    (tmp_path / "elsewhere").mkdir()
    (folder / "images/I1.jpg").rename(tmp_path / "elsewhere/I1.jpg")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "images/I2.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert look(folder).images == {"I1": [Place(folder / "linked/I1.jpg")]}


def test_an_archive_that_cannot_be_used_is_kept_in_mind(make, folder):
    make.files("", {"a.zip": b"half"})
    make.images("b.zip", ["I1"])
    layout = look(folder)
    assert list(layout.images) == ["I1"]
    assert layout.archives == ["b.zip"]
    assert len(layout.unusable) == 1 and "a.zip is damaged" in layout.unusable[0]


def test_an_image_may_lie_twice_with_the_same_bytes(make, folder, tmp_path):
    for place in ("HAM10000_images_part_1", "ham10000_images_part_1", "again.zip"):
        make.images(place)
    layout = look(folder)
    assert {len(places) for places in layout.images.values()} == {3}
    assert differing(layout.images, layout.images, tmp_path) == {}
    make.images("other", ["I2", "I3"], shade=40)
    assert list(differing(look(folder).images, ["I1", "I2"], tmp_path)) == ["I2"]


def test_packed_twice_with_other_bytes(make, folder, tmp_path):
    make.images("a.zip", ["I1", "I2"])
    make.images("b.zip", ["I1"], shade=40)
    assert list(differing(look(folder).images, ["I1", "I2"], tmp_path)) == ["I1"]


def test_bytes_that_were_compared_are_not_read_again(make, folder, tmp_path, monkeypatch):
    make.images("a")
    make.images("b")
    layout = look(folder)
    differing(layout.images, layout.images, tmp_path)
    monkeypatch.setattr(checksums, "_digest", lambda *_: pytest.fail("a file was read again"))
    assert differing(layout.images, layout.images, tmp_path) == {}


def test_loose_files_stay_where_they_are_and_packed_ones_are_unpacked(make, folder, tmp_path):
    make.images("loose", ["I1", "I2"])
    make.images("a.zip", ["I2", "I3"], ".JPG")
    make.images("b.zip", ["I9"])
    found = gather(look(folder).images, ["I1", "I2", "I3", "I4"], tmp_path / "images", named)
    assert found == {
        "I1": str(folder / "loose/I1.jpg"),
        "I2": str(folder / "loose/I2.jpg"),
        "I3": str(tmp_path / "images/I3.jpg"),
    }
    assert Path(found["I3"]).is_file()
    assert not (tmp_path / "images/I9.jpg").exists()


def test_an_entry_with_backslashes_is_found(folder, tmp_path):
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("a\\I1.jpg", b"1")
    assert gather(look(folder).images, ["I1"], tmp_path / "images", named) == {"I1": str(tmp_path / "images/I1.jpg")}


def test_damage_in_a_packed_table_is_named(make, folder):
    make.files("a.zip", {"HAM10000_metadata.csv": b"image_id,dx\nI1,nv\n"})
    (table,) = look(folder).tables
    content = (folder / "a.zip").read_bytes()
    (folder / "a.zip").write_bytes(content.replace(b"I1,nv", b"I1,df"))
    with pytest.raises(StudyError, match=r"a\.zip is damaged"), table.place.open() as stream:
        stream.read()
