"""ETTh1, 96 hours ahead, all seven channels: SegRNN on a GRU (Lin et al. 2023) beside ridge and the seasonal naive.

    python benchmarks/etth1.py                   # as below
    python benchmarks/etth1.py --hidden 512      # the paper's width, four times the work

The protocol of the long-horizon literature: 12, 4 and 4 months of hours, standardised on the training months, windows
at every hour, none dropped, MSE and MAE of standardised values; 720 hours of history, which reach back into the months
before. Killed and started again it continues from its last checkpoint. The data set is found as the command line finds
it. The last result is in results/etth1.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from unroll.api import train
from unroll.files import write_json

RESULTS = Path(__file__).parent / "results" / "etth1.json"
PUBLISHED = {
    "SegRNN, GRU 512, 720 hours (table II)": {"MSE": 0.351, "MAE": 0.392},
    "plain GRU, 720 hours (table II)": {"MSE": 1.135, "MAE": 0.844},
    "DLinear, 336 hours": {"MSE": 0.375, "MAE": 0.399},
}
OPTIONS: dict[str, Any] = {
    "target": "all",
    "horizon": 96,
    "input": 720,
    "split": "8640,2880,2880",
    "cell": "gru",
    "hidden": 256,
    "dropout": 0.1,
    "decode": "segments",
    "segment": 24,
    "metric": "scaled MSE",
    "loss": "mae",
    "lr": 3e-4,
    "decay_after": 1,
    "batch_size": 64,
    "epochs": 10,
    "patience": 5,
    "seed": 0,
}


def entry(result: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a run's ``result.json``."""
    kept = ("name", "parameters", "train_seconds", "scores", "scaled", "curves", "lr", "peak_memory_mb")
    rows = [{k: row[k] for k in kept if k in row} for row in [*result["candidates"], *result["baselines"]]]
    changed = [f"--{k} {options[k]}" for k in ("hidden", "lr", "epochs") if options[k] != OPTIONS[k]]
    repeat = result["repeat"]
    return {
        "command": " ".join(["python benchmarks/etth1.py", *changed]),
        "call": f"unroll.api.train('etth1', {', '.join(f'{k}={v!r}' for k, v in options.items())})",
        "goal": {"MSE": 0.38},
        "published": PUBLISHED,
        "data": result["data"],
        "task": result["task"],
        "protocol": result["protocol"],
        "forecasters": rows,
        **{k: repeat[k] for k in ("seeds", "machine", "versions", "started", "seconds")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=OPTIONS["hidden"])
    parser.add_argument("--lr", type=float, default=OPTIONS["lr"])
    parser.add_argument("--epochs", type=int, default=OPTIONS["epochs"])
    parser.add_argument("--out", type=Path, default=None, help="folder of the run, which a second start continues")
    given = parser.parse_args()
    options = OPTIONS | {"hidden": given.hidden, "lr": given.lr, "epochs": given.epochs}
    out = given.out or Path("runs") / f"etth1-segments-{given.hidden}"
    told = train("etth1", **options, out=out, on_epoch=lambda record: print(record, flush=True))
    found = entry(told.result, options)
    for row in found["forecasters"]:
        print(f"{row['name']:24} MSE {row['scaled']['MSE']:.4f}  MAE {row['scaled']['MAE']:.4f}")
    write_json(RESULTS, found)


if __name__ == "__main__":
    main()
