"""A labels.csv, however a person or a program wrote it, is understood or refused by the name of its line or column."""

import pytest

from soft_attention.data.own_table import read_own_table
from soft_attention.errors import StudyError


@pytest.fixture
def read(tmp_path):
    def read(content: str | bytes):
        file = tmp_path / "labels.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_own_table(file)

    return read


PLAIN = "image_id,label,lesion_id\n001,b,x\n002,a,\n"
SAME = [
    PLAIN.replace("\n", "\r\n"),
    PLAIN.replace("\n", "\r"),
    PLAIN.rstrip(),
    PLAIN.replace(",", ";"),
    PLAIN.replace(",", "\t"),
    PLAIN.replace(",", "|"),
    "sep=,\n" + PLAIN,
    "SEP=;\r\n" + PLAIN.replace(",", ";"),
    '"sep=\t"\n' + PLAIN.replace(",", "\t"),
    "# from the clinic, 2024\n\n" + PLAIN,
    "image_id,label,lesion_id\n\n001,b,x\n ,,\n\n002,a,\n",
    '"image_id","label","lesion_id"\n"001","b", "x"\n"002", "a",""\n',
    "image_id , label,lesion_id\n 001,b ,x\u00a0\n002,a\n",
    "image_id,label,lesion_id,,\n001,b,x,,\n002,a,,,\n",
    ",image_id,label,lesion_id\n0,001,b,x\n1,002,a,\n",
    *(f"{image},{label},{lesion}\n001,b,x\n002,a,\n" for image, label, lesion in (
        ("Image_ID", "Label", "Lesion_ID"), ("image-id", "LABEL", " lesion_id"), ("IMAGE ID", "label ", "lesion-id"),
        ("imageId", "label", "Lesion ID"), ("image.id", "label", "LESION_ID"), ("image id", "label", "lesionid"),
    )),
    *(PLAIN.encode(name) for name in ("utf-8-sig", "utf-16", "utf-32")),
    b"\xfe\xff" + PLAIN.encode("utf-16-be"),
]  # fmt: skip


@pytest.mark.parametrize("content", SAME)
def test_one_table_in_many_spellings(read, content):
    table = read(content)
    assert list(table.columns) == ["image_id", "label", "lesion_id"]
    assert table["image_id"].tolist() == ["001", "002"]
    assert table["label"].tolist() == ["b", "a"]
    assert table["lesion_id"].tolist()[0] == "x" and table["lesion_id"].isna().tolist() == [False, True]


def test_each_known_column_is_found_however_it_is_written(read):
    table = read("Image ID;Label;Lesion-ID;IMAGE PATH;Mask-Path;Subset;Room No\n1;a;x;p;m;train;7\n2;b;y;q;n;test;8\n")
    assert list(table) == ["image_id", "label", "lesion_id", "image_path", "mask_path", "subset", "Room No"]
    assert table["Room No"].tolist() == [7, 8]


def test_composed_and_decomposed_letters_are_one_label(read):
    assert set(read("image_id,label\n1,nävus\n2,na\u0308vus\n")["label"]) == {"nävus"}


def test_rows_stand_under_the_numbers_of_their_lines(read):
    table = read('# a note\nimage_id,label,note\n1,a,"one\ntwo"\n\n2,b,\n')
    assert list(table.index) == [3, 6]
    assert table["note"].tolist()[0] == "one\ntwo"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image_id,label,lesion_id,label\n1,a,x,b\n", r"has label in 2 columns \('label', 'label'\); keep one"),
        ("image_id,label,Lesion ID,lesion_id\n1,a,x,y\n", r"lesion_id in 2 columns \('Lesion ID', 'lesion_id'\)"),
        ("image_id,Image-ID,label\n1,2,a\n", r"has image_id in 2 columns"),
        ("image_id,label,room,room\n1,a,2,3\n", r"has room in 2 columns"),
        ("image_id,label,leson_id\n1,a,x\n", r"is the column 'leson_id' meant to be 'lesion_id'\? Call it so"),
        ("image_id,label,Lesions\n1,a,x\n", r"is the column 'Lesions' meant to be 'lesion_id'"),
        ("image_id,label,mask\n1,a,x\n", r"is the column 'mask' meant to be 'mask_path'"),
        ("image_id,label,splits\n1,a,x\n", r"is the column 'splits' meant to be 'split'"),
        ("image_id,labels\n1,a\n", r"has no column 'label': it needs image_id, label and has image_id, labels"),
        ("image_id;lable\n1;a\n", r"has no column 'label'.* and has image_id, lable"),
        ("my images\nimage_id,label\n1,a\n", r"has no column 'image_id'.* and has my images"),
        ("", r"has no column 'image_id'.* and has none"),
        ("image_id,label,\n1,a,x\n", r"column 3 has no name in the header"),
        ("image_id,label,window\n1,a,x\n", r"the column 'window' is one that the study adds itself"),
        ("image_id,label\n1,a\n2,b,c\n\n3,a,b\n", r"more fields than its header \(line 3, 5\): quote texts"),
        ("sep=;\nimage_id;label\n1;a;b\n", r"more fields than its header \(line 3\)"),
        ('image_id,label,note\n1,a,"one\ntwo\nthree"\n2,,\n3,b,\n', r"no label in line 5; fill it in"),
        ('image_id,label,note\n1,a,"one\n2,b,two\n', r"line 2 cannot be read .*quotes"),
        ('image_id,label\n1,"a"b\n', r"line 2 cannot be read"),
        ("image_id,label\n1,a\n2,mel\u200b\n", r"label 'mel.u200b' in line 3 holds a line break or an invisible"),
        ('image_id,label,lesion_id\n1,a,"x\ny"\n', r"lesion_id 'x\\ny' in line 2 holds a line break"),
        ("image_id,label\n1,nävus\n".encode("latin-1"), r"is not in UTF-8 \(line 2\): save it as 'CSV UTF-8'"),
        ("image_id,label\n1,a\n".encode("utf-16-le"), r"is no text, or one in UTF-16 that does not say so"),
    ],
)
def test_what_is_unclear_is_refused_by_name(read, content, message):
    with pytest.raises(StudyError, match=rf"labels\.csv.*{message}"):
        read(content)


def test_a_column_that_sounds_like_a_known_one_that_is_there_is_only_a_column(read):
    assert "label2" in read("image_id,label,lesion_id,label2,image_url,subject\n1,a,x,b,http,s\n")
