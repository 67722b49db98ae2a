"""Disks that are full or may not be written to: one sentence names file and disk, and with room nothing was lost."""

import pytest


def test_a_full_disk_of_results_is_named_and_with_room_the_study_goes_on(project, undisturbed, small_disk):
    results = project.folder / "results"
    small_disk(results, 1)
    code, said = project.run()
    assert code == 1 and "No space left" in said
    assert "free on" in said and "results" in said, "the disk is named"
    assert "Traceback" not in said
    small_disk(results, 200)
    code, said = project.run()
    assert code == 0, said
    assert project.result() == undisturbed


@pytest.mark.parametrize("name", ["data", "data/cache"])
def test_a_full_disk_of_data_is_named_and_with_room_the_study_goes_on(project, undisturbed, small_disk, name):
    data = project.folder / "data"
    small_disk(project.folder / name, 1)
    code, said = project.run(environment={"DATA_DIR": str(data)})
    assert code == 1 and "No space left" in said and str(project.folder / name) in said
    small_disk(project.folder / name, 200)
    code, said = project.run(environment={"DATA_DIR": str(data)})
    assert code == 0, said
    assert project.result() == undisturbed


@pytest.mark.parametrize("name", ["results", "data"])
def test_a_folder_that_may_not_be_written_to_is_named(project, small_disk, name):
    small_disk(project.folder / name, 10, "ro")
    code, said = project.run(environment={"DATA_DIR": str(project.folder / "data")})
    assert code == 1 and "Read-only file system" in said and "Traceback" not in said
    assert str(project.folder / name) in said
