"""A report of past-train as a page of the documentation.

    python tools/keep_report.py past-mini.md docs/past-mini-report.md

Leaves out the maps: they show what was measured spot by spot, which is not ours to publish.
"""

from __future__ import annotations

import argparse
from pathlib import Path

MAPS = "## Maps"


def without_maps(text: str) -> str:
    """The report without its section of maps and the pictures in it."""
    before, found, after = text.partition(f"\n{MAPS}\n")
    if not found:
        raise SystemExit("This is no report of past-train: it has no section of maps.")
    kept = before + "\n" + after[after.index("\n## ") + 1 :]
    lines = [line for line in kept.splitlines() if not line.startswith("[maps-")]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read, cut, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("page", type=Path)
    options = parser.parse_args()
    text = options.report.read_text(encoding="utf-8")
    options.page.write_text(without_maps(text), encoding="utf-8")


if __name__ == "__main__":
    main()
