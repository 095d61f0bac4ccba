"""Draw the pictures of the cells and write the tables of their pages, both from the code.

    python docs/cells/draw.py            # writes what has changed
    python docs/cells/draw.py --check    # writes nothing, fails if something would change

`docs/cells/_draw` holds what is drawn and how; the words of the pages are written by hand.
"""

from __future__ import annotations

import argparse
import sys

from _draw.check import problems
from _draw.pages import files
from _draw.pictures import PICTURES


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not as it should be")
    check = parser.parse_args().check
    wrong = [problem for picture in PICTURES.values() for problem in problems(picture)]
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    stale = {path: text for path, text in files().items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        print(path.name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
