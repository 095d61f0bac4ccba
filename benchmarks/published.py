"""What the benchmarks of tasks with published parts share: one training, its entry in the results, the command line."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from unroll import api
from unroll.files import write_json
from unroll.report import render_terminal

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("UNROLL_DATA") or HERE.parents[1] / "shared" / "data")
KEPT = ("name", "parameters", "train_seconds", "scores", "lr", "seeds", "curves", "peak_memory_mb")


def trained(
    task: str, name: str, source: str, recipe: dict[str, Any], out: Path, *, small: bool, scored: str, **given: Any
) -> dict[str, Any]:
    """One network on ``source``, its run in ``out``: what every entry holds, paths without the folder of the data.

    ``recipe`` holds network, training and seed; ``given`` the files of the parts; ``scored`` is what the entry calls
    the network and the baselines beside it.
    """
    result = api.train(source, task=task, **given, out=out, **recipe).result
    print(render_terminal(result), flush=True)
    repeat = result["repeat"]
    return {
        "case": name,
        "command": f"python benchmarks/{task}.py {name} --seed {recipe['seed']}" + (" --small" if small else ""),
        "recipe": recipe,
        "data": result["data"],
        "protocol": result["protocol"].replace(f"{DATA}{os.sep}", ""),
        scored: [{k: row[k] for k in KEPT if k in row} for row in [*result["candidates"], *result["baselines"]]],
        **{k: repeat[k] for k in ("machine", "versions", "started", "seconds")},
    }


def main(
    script: str, about: str | None, cases: Iterable[str], run: Callable[[str, int, bool, Path], dict[str, Any]]
) -> None:
    """The command line of ``benchmarks/SCRIPT.py``: each case asked for is run and written to its file of results."""
    known = list(cases)
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(known))
    parser.add_argument("--small", action="store_true", help="a small network and little data; nothing is written")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="leave the runs in this folder; one that was stopped goes on")
    asked = parser.parse_args()
    for name in asked.cases or known:
        if name not in known:
            sys.exit(f"no case {name!r}; there are {', '.join(known)}")
        with tempfile.TemporaryDirectory() as folder:
            out = (asked.keep or Path(folder)) / f"{name}-{asked.seed}"
            entry = run(name, asked.seed, asked.small, out)
        if not asked.small:
            write_json(HERE / "results" / script / f"{name}.json", entry)
