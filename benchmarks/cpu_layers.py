"""``unroll bench`` from a checkout: layers and cells beside torch.nn's and others', the same numbers first.

    python benchmarks/cpu_layers.py
    python benchmarks/cpu_layers.py --threads 2 --out benchmarks/results/cpu_layers.json

The options are those of ``unroll bench --help``; ``unroll.bench`` says how it is measured.
"""

from __future__ import annotations

import sys

from unroll.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["bench"]
    main()
