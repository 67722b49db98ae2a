"""How the time for a study grows with its runs: the plan, a call with nothing to do, the summary. One run.

    python benchmarks/growth_runs.py [--runs 10 100 1000 3000]

The runs are made up: those of the part `frozen` of the study `cpu`, kept in `results/`, under other seeds, in a copy
of the project in a temporary folder. The goals: nothing grows faster than the runs; a call with nothing to do takes at
most 3 seconds at 1,000 runs; the summary needs less than 2 GiB.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

import pandas as pd
import yaml

from soft_attention import paths

KEPT = paths.RESULTS / "cpu" / "runs" / "frozen"
ARMS, FOLDS, SEEDS = ("baseline", "released", "paper", "control"), range(5), range(20)
COPIED = ("lib", "notebooks", "params", "Snakefile")
STAGES = [sys.executable, "-m", "soft_attention.study.stages"]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--cores", "2", "--config", "study=grown", "--quiet", "all"]
COMMANDS = {
    "plan": [*STAGES, "plan", "grown"],
    "summary": [*STAGES, "summary", "grown"],
    "nothing to do": [*SNAKEMAKE, "--rerun-triggers", "mtime"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", nargs="+", type=int, default=[10, 100, 1000, 3000])
    rows = []
    for runs in parser.parse_args().runs:
        with tempfile.TemporaryDirectory() as folder:
            made = make_up(Path(folder), runs)
            row = {"runs": made}
            for name, command in COMMANDS.items():
                row[f"{name}, s"], row[f"{name}, MiB"] = measured(command, Path(folder))
        rows.append(row)
        print(pd.DataFrame(rows[-1:]).to_string(index=False, float_format="%.1f"), flush=True)
    report(pd.DataFrame(rows))


def report(table: pd.DataFrame) -> None:
    """The time for a run more, between one size and the next, which must not rise; and the two goals."""
    for name in COMMANDS:
        slopes = 1000 * table[f"{name}, s"].diff() / table["runs"].diff()
        print(f"{name}: ms for one run more {', '.join(f'{slope:.1f}' for slope in slopes.dropna())}")
    for _, row in table[table["runs"] == 1000].iterrows():
        print(f"nothing to do at 1,000 runs: {row['nothing to do, s']:.1f} s (goal 3)")
    print(f"memory of the summary: at most {table['summary, MiB'].max():,.0f} MiB (goal 2,048)")


def make_up(folder: Path, runs: int) -> int:
    """A copy of the project with a study `grown` of about so many finished runs; how many they are."""
    for name in COPIED:
        copy = shutil.copytree if (paths.ROOT / name).is_dir() else shutil.copy
        copy(paths.ROOT / name, folder / name)
    arms = ARMS[:2] if runs <= 100 else ARMS
    seeds = range(max(1, runs // (len(arms) * len(FOLDS))))
    study = yaml.safe_load((paths.PARAMS / "cpu.yaml").read_text(encoding="utf-8"))
    part = study["parts"]["frozen"] | {"seeds": list(seeds), "arms": list(arms), "attention": False}
    compared = [pair for pair in study["analysis"]["comparisons"] if set(pair) <= set(arms)]
    study["analysis"] = {"comparisons": compared}
    study |= {"parts": {"frozen": part}, "datasets": ["ham10000"], "about": "made up"}
    (folder / "params" / "grown.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    for arm in arms:
        for seed, source in zip(seeds, cycle(SEEDS)):
            for fold in FOLDS:
                place = Path("ham10000", "clean", "mobilenet", arm)
                kept = KEPT / place / f"seed-{source}-fold-{fold}"
                copy = folder / "results" / "grown" / "runs" / "frozen" / place / f"seed-{seed}-fold-{fold}"
                shutil.copytree(kept, copy)
                params = json.loads((kept / "params.json").read_text(encoding="utf-8"))
                text = json.dumps(params | {"study": "grown", "seed": seed})
                (copy / "params.json").write_text(text, encoding="utf-8")
    return len(arms) * len(seeds) * len(FOLDS)


def measured(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds of a command in a copy of the project, and the most memory of one of its processes, in MiB."""
    environment = os.environ | {"PYTHONPATH": str(folder / "lib"), "PYTHONNOUSERSITE": "1"}
    timed = [sys.executable, "-c", TIMED, *command]
    start = time.perf_counter()
    done = subprocess.run(timed, cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return seconds, int(done.stdout.splitlines()[-1]) / 1024


# A process of its own, so that no child of another command counts.
TIMED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


if __name__ == "__main__":
    main()
