"""The tour names files and functions that are there."""

import re

from soft_attention import paths

TOUR = (paths.ROOT / "docs" / "tour.md").read_text(encoding="utf-8")


def test_every_step_names_code_that_is_there():
    steps = [line for line in TOUR.splitlines() if re.match(r"\| \d+\. ", line)]
    assert len(steps) == 15
    for step in steps:
        where, text = step.split("|")[-2], ""
        for name in re.findall(r"`([^`]+)`", where):
            if name.endswith(".py"):
                text = (paths.ROOT / "lib" / "soft_attention" / name).read_text(encoding="utf-8")
            else:
                assert re.search(rf"(def|class) {name.split('.')[-1]}\b", text), f"{name} is not in {where}"
