"""Tables for reading, as text, for a page and as Markdown."""

import html
import io
import re
from urllib.parse import unquote

import numpy as np
import pandas as pd
from PIL import Image

from soft_attention.report import figures, styling


def test_format_for_reading():
    table = pd.DataFrame(
        {
            "macro_recall": [0.71934, np.nan],
            "runs": pd.array([3, None], "Int64"),
            "arm": ["paper", None],
            "auc": [None, 1.0],
            "images": [10_015, 828],
        }
    )
    text = styling.format_table(table)
    assert list(text) == ["macro recall", "runs", "arm", "auc", "images"]
    assert text.iloc[0].tolist() == ["0.719", "3", "paper", "–", "10,015"]
    assert text.iloc[1].tolist() == ["–", "–", "–", "1.000", "828"]
    assert styling.format_table(table, digits=1)["macro recall"].tolist() == ["0.7", "–"]


def test_one_column_has_one_kind_of_number():
    table = pd.DataFrame({"cells": [10.0, 4.348], "counts": [1512.0, np.nan], "lesions": [7470, 600], "is": True})
    text = styling.format_table(table)
    assert text.T.to_numpy().tolist() == [["10.000", "4.348"], ["1,512", "–"], ["7,470", "600"], ["True", "True"]]


def test_a_number_stands_with_its_interval():
    table = pd.DataFrame({"difference": [0.1, -0.25], "low": [0.0, np.nan], "high": [0.2, np.nan]})
    table = table.assign(auc=0.5, auc_low=0.25, auc_high=0.75, low_rate=0.001)
    text = styling.format_table(table, digits=2)
    assert list(text) == ["difference", "auc", "low rate"]
    cells = [cell.replace(styling.SPACE, " ") for cell in text.iloc[0]]
    assert cells == ["0.10 (0.00 to 0.20)", "0.50 (0.25 to 0.75)", "0.00"]
    assert text["difference"][1] == "-0.25"


def test_a_small_p_value_is_not_zero():
    table = pd.DataFrame({"p": [0.0001, 0.02], "p_holm": [0.001, 0.0], "precision": [0.0001, 1.0]})
    text = styling.format_table(table).replace(styling.SPACE, " ", regex=True)
    assert text.to_dict("list") == {
        "p": ["< 0.001", "0.020"],
        "p holm": ["0.001", "< 0.001"],
        "precision": ["0.000", "1.000"],
    }


def test_the_name_of_a_metric_can_wrap():
    table = pd.DataFrame({"metric": ["balanced_accuracy"], "backbone": ["inception_resnet_v2"]})
    assert styling.format_table(table).iloc[0].tolist() == ["balanced accuracy", "inception_resnet_v2"]


def headings(table):
    return re.findall(r"<th [^>]*>(.*?)</th>", styling.html_table(table))


def test_columns_that_say_nothing_are_left_out():
    table = pd.DataFrame({"backbone": ["vgg16"] * 2, "arm": ["paper"] * 2, "silent": "", "auc": None, "n": [1, 1]})
    assert headings(table) == ["arm", "n"]
    assert headings(table[:1]) == ["backbone", "arm", "n"]


def test_words_stand_left_and_numbers_right():
    page = styling.html_table(pd.DataFrame({"arm": ["paper"], "auc": [0.5]}))
    assert '<td style="text-align:left">paper</td><td style="text-align:right">0.500</td>' in page


def test_what_people_call_their_classes_is_shown_and_not_run():
    page = styling.html_table(pd.DataFrame({"class": ["<img src=x onerror=alert(1)>"], "<b>": [1]}))
    assert "<img" not in page and "<b>" not in page and "&lt;img src=x onerror=alert(1)&gt;" in page


def test_the_csv_of_a_table_is_on_the_page_itself(tmp_path):
    csv = tmp_path / "mine" / "summary" / "gains.csv"
    csv.parent.mkdir(parents=True)
    csv.write_text('class,n\n"<b>, 100 % & #1 \u00fc",1\n', encoding="utf-8")
    page = styling.box(pd.DataFrame({"n": [1]}), "Gains", csv=csv).data
    ((name, link),) = re.findall('download="(.*?)" href="data:text/csv;charset=utf-8,(.*?)"', page)
    assert name == "mine-gains.csv" and unquote(html.unescape(link)) == csv.read_text(encoding="utf-8")


def test_a_picture_keeps_its_words_and_its_size():
    figure = figures.interval_plot(
        pd.DataFrame({"name": ["a"], "arm": "paper", "value": 1.0, "low": 0.0, "high": 2.0}), "points", "t", margin=2
    )
    content = figures.png(figure)
    page = styling.picture(content, 'a "b"').data
    width = Image.open(io.BytesIO(content)).width
    assert (
        'alt="a &quot;b&quot;"' in page
        and f'width="{width * styling.SHOWN:.0f}"' in page
        and len(page) < len(content) * 4 / 3
    )


def test_a_difference_with_its_ends_and_a_table_in_markdown():
    assert styling.interval(1.25, -0.5, 3) == "+1.2 (-0.5 to +3.0)"
    assert styling.interval(0.04, 0, 0.1, digits=2, unit=" points") == "+0.04 points (+0.00 to +0.10)"
    assert styling.markdown(["part", "arm"], [["a", "b"], ["c", "d"]]) == [
        "| part | arm |",
        "|---|---|",
        "| a | b |",
        "| c | d |",
    ]
