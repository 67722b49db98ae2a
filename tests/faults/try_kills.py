"""Kills at any moment, and too little memory: results are those of an undisturbed study, bit for bit."""

import os
import random
import shutil
import signal
import time

import pytest

KERNEL, STAGE, SNAKEMAKE = ("ipykernel",), ("soft_attention.study.stages",), ("-m snakemake",)


@pytest.mark.parametrize("victim", [KERNEL, STAGE, SNAKEMAKE], ids=["kernel", "stage", "snakemake"])
def test_a_study_that_is_killed_and_called_again_ends_as_if_it_had_not_been(project, undisturbed, victim):
    moments = random.Random(victim[0])
    for _ in range(2):
        process = project.start()
        number = project.wait_for(*victim)
        time.sleep(moments.uniform(0, 30))
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            continue  # that one had ended
        finally:
            print(process.communicate()[0])
        assert project.processes() == [], "a study that ended leaves no process"
    code, said = project.run()
    assert code == 0 and "report: " in said
    assert project.result() == undisturbed
    assert project.litter() == []
    assert list(project.folder.glob("results/mine/data/synthetic.json"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_study_that_is_told_to_end_leaves_no_process_and_no_traceback(project, number):
    process = project.start()
    project.wait_for(*KERNEL)
    os.killpg(process.pid, number)  # as a terminal does
    said = process.communicate(timeout=120)[0]
    assert "interrupted: nothing runs any more" in said and "Traceback" not in said
    assert project.processes() == []


def test_results_that_are_removed_after_a_kill_are_made_anew_from_the_data_stage_on(project, undisturbed):
    process = project.start()
    project.wait_for("stages", "train")
    os.kill(project.wait_for(*SNAKEMAKE), signal.SIGKILL)
    process.communicate()
    assert list(project.folder.glob(".snakemake/*-data")), "the marker of the data stage is what a kill leaves"
    shutil.rmtree(project.folder / "results")
    code, said = project.run()
    assert code == 0, said
    assert (project.folder / "results" / "mine" / "data" / "synthetic.json").exists()
    assert project.result() == undisturbed


def test_where_memory_runs_out_the_run_is_named_and_with_more_it_goes_on(project, undisturbed, little_memory):
    code, said = project.run(**little_memory(700))
    assert code == 1 and "Traceback" not in said
    assert "mine/synthetic/clean/mobilenet/baseline/seed-0-fold-0 failed: its process was killed" in said
    assert "memory ran out" in said.splitlines()[-2], "also at the end"
    code, said = project.run()
    assert code == 0, said
    assert project.result() == undisturbed
