"""Give kept results the words of today: python scripts/rename_kept_runs.py [RESULTS]

Until November 2026 `released` named an arm, a protocol, three settings and two studies. Now it names the arm alone: the
protocol and the settings are `authors`, the studies `recipe`, `recipe_64px` and `grid`. The number of folds was also
called `folds`; it is `split_folds` everywhere. A second call changes nothing.
"""

import json
import sys
from pathlib import Path

from soft_attention import paths

STUDIES = {"released": "recipe", "released_64px": "recipe_64px", "clean": "grid"}
AUTHORS = ("protocol", "sampling", "preprocessing", "cut")


def renamed(values: dict) -> dict:
    """Parameters of a run, or of a split, in today's words."""
    values = {"split_folds" if key == "folds" else key: value for key, value in values.items()}
    values = {key: "authors" if key in AUTHORS and value == "released" else value for key, value in values.items()}
    return values | {"study": STUDIES.get(values["study"], values["study"])} if "study" in values else values


def rewrite(file: Path, change) -> None:
    old = json.loads(file.read_text(encoding="utf-8"))
    if (new := change(old)) != old:
        file.write_text(json.dumps(new, indent=2) + "\n", encoding="utf-8")


def sourced(values: dict) -> dict:
    """A record in which `source` says where the pixels come from, as `images` did."""
    return {"source" if key == "images" and isinstance(value, str) else key: value for key, value in values.items()}


def record(values: dict) -> dict:
    """A data record, whose splits name their protocol."""
    return sourced(values) | {"splits": [audit | {"split": renamed(audit["split"])} for audit in values["splits"]]}


def main(results: Path) -> None:
    for old, new in STUDIES.items():
        if (results / old).exists() and not (results / new).exists():
            (results / old).rename(results / new)
    for file in sorted(results.glob("*/data/*.json")):
        rewrite(file, record)
    for name in ("environment", "attention"):
        for file in sorted(results.glob(f"*/runs/**/{name}.json")):
            rewrite(file, sourced)
    for file in sorted(results.glob("*/runs/**/params.json")):
        rewrite(file, renamed)
        place = file.parents[3]  # .../PROTOCOL/BACKBONE/ARM/seed-S-fold-F/params.json
        if place.name == "released":
            new = place.with_name("authors") / file.relative_to(place).parent
            new.parent.mkdir(parents=True, exist_ok=True)
            file.parent.rename(new)
    for folder in sorted(results.glob("*/runs/**/"), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else paths.RESULTS)
