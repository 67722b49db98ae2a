"""Half of a file that a study has written: it is named, and nothing is made of it."""

import re

import pytest


@pytest.fixture(scope="module")
def finished(tmp_path_factory, make_project):
    project = make_project(tmp_path_factory.mktemp("finished"))
    project.write_study(arms=["baseline", "released"])
    code, said = project.run()
    assert code == 0, said
    yield project
    project.end()


@pytest.mark.parametrize(
    ("name", "made_of_it"),
    [
        ("data/synthetic.json", "report.html"),
        ("baseline/*/params.json", "report.html"),
        ("baseline/*/metrics.json", "report.html"),
        ("baseline/*/environment.json", "report.html"),
        ("baseline/*/history.csv", "report.html"),
        ("baseline/*/predictions.parquet", "report.html"),
        ("released/*/attention.json", "report.html"),
        ("released/*/attention.parquet", "report.html"),
        ("released/*/model.keras", "released/*/attention.json"),
    ],
)
def test_half_a_file_is_named(finished, name, made_of_it):
    (file,) = finished.folder.glob(f"results/mine/**/{name}")
    (result,) = finished.folder.glob(f"results/mine/**/{made_of_it}")
    whole, kept = file.read_bytes(), result.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    result.unlink()
    try:
        code, said = finished.run()
    finally:
        file.write_bytes(whole)
        result.write_bytes(kept)
    assert code == 1 and "Traceback" not in said
    assert re.search(f"{re.escape(str(file))} is (missing or )?damaged", said)
