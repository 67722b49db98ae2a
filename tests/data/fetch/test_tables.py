"""Every form of table says the same of the same images; what is unclear, missing or too much is refused by name."""

import pandas as pd
import pytest

from soft_attention.data.catalog import CATALOG
from soft_attention.data.fetch.layouts import look
from soft_attention.data.fetch.tables import DIAGNOSES, diagnoses, fingerprint, rows, without_row
from soft_attention.errors import StudyError


def read(folder, name="ham10000"):
    return rows(CATALOG[name], look(folder))


def test_the_four_forms_say_the_same(make, folder, ham):
    forms = {
        "HAM10000_metadata.csv": lambda: make.table("HAM10000_metadata.csv"),
        "HAM10000_metadata.tab": lambda: make.table("HAM10000_metadata.tab", sep="\t", quoting=1),
        "HAM10000_metadata": lambda: make.table("HAM10000_metadata", encoding="utf-8-sig"),
        "G.csv": lambda: (make.one_hot("G.csv"), make.groupings("L.csv")),
        "metadata.csv": lambda: make.archive_table("metadata.csv", ham),
    }
    for named, write in forms.items():
        for path in folder.iterdir():
            path.unlink()
        write()
        found = read(folder)
        assert found.named == named
        assert found.notes == []
        assert fingerprint(found.table, lesions=True) == fingerprint(ham, lesions=True)


def test_the_columns_of_the_source_stay(make, folder, ham):
    make.table("HAM10000_metadata.csv")
    assert {"dx_type", "age"} <= set(read(folder).table)
    (folder / "HAM10000_metadata.csv").unlink()
    make.archive_table("metadata.csv", ham)
    assert {"age", "sex"} <= set(read(folder).table)


def test_a_table_in_several_files_and_twice(make, folder, ham):
    make.archive_table("a/metadata.csv", ham[:2])
    make.archive_table("b/metadata.csv", ham[1:])
    assert len(read(folder).table) == 4


def test_tables_that_people_made_do_no_harm_beside_an_official_one(make, folder, ham):
    make.table("train.csv", pd.concat([ham[:2].replace("nv", "mel"), row("I1_flipped", "nv", "L1")]))
    make.table("HAM10000_metadata (1).csv")
    assert read(folder).named == "HAM10000_metadata (1).csv"


def test_lesions_may_come_from_another_form_than_labels(make, folder, ham):
    make.one_hot("G.csv")
    make.archive_table("metadata.csv", ham)
    found = read(folder)
    assert found.named == "G.csv"
    assert found.table["lesion_id"].tolist() == ["IL_L1", "IL_L1", "IL_L2", "IL_L3"]


def test_the_lesions_of_the_test_set_are_the_known_ones_where_no_table_has_them(make, folder, test_set):
    make.one_hot("T.csv", test_set)
    found = read(folder, "isic2018_test")
    assert found.table["lesion_id"].tolist() == ["M1", "M2", "M2"]
    assert "for no table at hand has them" in found.notes[0]
    make.table("ISIC2018_Task3_Test_GroundTruth.tab", test_set.replace("M2", "HAMTEST_2"), sep="\t")
    found = read(folder, "isic2018_test")
    assert found.table["lesion_id"].tolist() == ["M1", "HAMTEST_2", "HAMTEST_2"]
    assert found.notes == []


def test_lesions_that_group_the_test_set_otherwise_are_taken_and_said(make, folder, test_set):
    make.table("ISIC2018_Task3_Test_GroundTruth.csv", test_set.assign(lesion_id=["A", "B", "C"]))
    found = read(folder, "isic2018_test")
    assert found.table["lesion_id"].tolist() == ["A", "B", "C"]
    assert "3 lesions in ISIC2018_Task3_Test_GroundTruth.csv, 2 by the ISIC Archive" in found.notes[0]


def test_a_row_without_an_identifier_is_too_many(make, folder, ham):
    make.table("HAM10000_metadata.csv", pd.concat([ham, row(None, "nv", "L9")]))
    with pytest.raises(StudyError, match=r"has 1 rows too many \(nan\)"):
        read(folder)


def test_the_film_prop_may_be_in_the_table_and_is_left_out(make, folder, test_set):
    prop = pd.DataFrame([("ISIC_0035068", "nv", "M9")], columns=test_set.columns)
    make.one_hot("T.csv", pd.concat([test_set, prop], ignore_index=True))
    assert read(folder, "isic2018_test").table["image_id"].tolist() == ["T1", "T2", "T3"]


def row(image, label, lesion):
    return pd.DataFrame([(image, label, lesion)], columns=["image_id", "label", "lesion_id"])


def test_what_is_refused(make, folder, ham):
    def refused(table, message, write=None):
        (write or make.table)("HAM10000_metadata.csv", table)
        with pytest.raises(StudyError, match=message):
            read(folder)

    refused(ham[:1], r"HAM10000_metadata\.csv lacks 3 of 4 rows \(I2, I3, I4\)")
    refused(pd.concat([ham, row("I5", "nv", "L5")]), r"HAM10000_metadata\.csv has 1 rows too many \(I5\)")
    refused(pd.concat([ham, row("I4", "df", "L3")]), r"1 images come twice in .*HAM10000_metadata\.csv \(I4\)")
    refused(
        ham.replace("df", "wart"),
        r"1 images do not have exactly one of the classes .* in HAM10000_metadata\.csv \(I4\)",
    )
    refused(ham.replace("df", "nv"), "4 images found, 4 published; per class")
    swapped = ham.assign(label=["nv", "mel", "nv", "df"])
    refused(swapped, r"labels or lesions in HAM10000_metadata\.csv are not the published ones")
    refused(ham.assign(lesion_id=["L1", "L2", "L2", "L3"]), "labels or lesions in .* are not the published ones")
    refused(ham, "no table says which images show one lesion: add .*LesionGroupings", make.one_hot)


def test_two_tables_that_differ_are_refused(make, folder, ham):
    make.table("HAM10000_metadata.csv")
    make.table("HAM10000_metadata.tab", ham.replace("df", "nv"), sep="\t")
    with pytest.raises(
        StudyError, match=r"1 images are not the same in .*metadata\.csv and HAM10000_metadata\.tab \(I4\)"
    ):
        read(folder)


@pytest.mark.parametrize("answers", [{"MEL": 1.0}, {"NV": 0.0}, {"NV": 0.5}, {"NV": None}])
def test_an_image_needs_exactly_one_class(make, folder, answers):
    make.one_hot("G.csv")
    table = pd.read_csv(folder / "G.csv")
    for column, answer in answers.items():
        table.loc[0, column] = answer
    make.csv("G.csv", table)
    with pytest.raises(StudyError, match=r"1 images do not have exactly one of the classes .* in G\.csv \(I1\)"):
        read(folder)


def test_no_table_at_all(folder):
    with pytest.raises(StudyError, match=r"HAM10000: no table with its labels: add HAM10000_metadata .*isic-cli"):
        read(folder)


def test_images_in_no_table(make, folder, ham):
    make.images("", ["I1", "X1", "X2"])
    make.table("HAM10000_metadata.csv")
    make.groupings("other.csv", row("X1", "nv", "L"))
    assert without_row(look(folder)) == {"X2"}


# The ISIC Archive's diagnoses


def test_another_diagnosis_stays_so_that_it_can_be_named():
    table = pd.DataFrame({"diagnosis_2": ["Inflammatory", None], "diagnosis_3": ["Eczema", None]})
    assert diagnoses(table).tolist() == ["Inflammatory - Eczema", " - "]


@pytest.fixture
def archive_table(mirror):
    path = mirror / "isic_cli_metadata.csv"
    if not path.exists():
        pytest.skip("no table of the ISIC Archive in the mirror")
    return pd.read_csv(path, dtype="str")


def test_the_diagnoses_of_the_archive_are_the_published_labels(archive_table, mirror):
    assert len(archive_table) == 11_720
    label = pd.Series(diagnoses(archive_table).values, archive_table["isic_id"])
    assert set(label) == set(CATALOG["ham10000"].classes)
    pairs = archive_table[["diagnosis_2", "diagnosis_3"]].fillna("")
    assert set(map(tuple, pairs.to_numpy())) == set(DIAGNOSES)
    training = pd.read_csv(mirror / "HAM10000_metadata.csv", index_col="image_id")["dx"]
    test = pd.read_csv(mirror / "ISIC2018_Task3_Test_GroundTruth.csv", index_col="image").idxmax(axis=1).str.lower()
    published = pd.concat([training, test])
    assert len(published) == 11_527  # the other 193 are the challenge's validation set, whose labels are not at hand
    assert (label[published.index] == published).all()


def test_the_lesions_of_the_archive_are_the_published_ones(archive_table, mirror):
    lesion = archive_table.set_index("isic_id")["lesion_id"]
    training = pd.read_csv(mirror / "HAM10000_metadata.csv", index_col="image_id")["lesion_id"]
    pairs = pd.DataFrame({"published": training, "archive": lesion[training.index]}).drop_duplicates()
    assert len(pairs) == pairs["published"].nunique() == pairs["archive"].nunique() == 7_470
    assert set(pairs["archive"]).isdisjoint(CATALOG["isic2018_test"].known_lesions.values())


def test_the_kept_lesions_of_the_test_set_are_those_of_the_archive(archive_table):
    lesion = archive_table.set_index("isic_id")["lesion_id"]
    known = CATALOG["isic2018_test"].known_lesions
    assert lesion[list(known)].to_dict() == known
    assert (len(known), len(set(known.values()))) == (1_511, 1_222)
