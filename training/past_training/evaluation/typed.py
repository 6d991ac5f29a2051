"""What is typed on a command line, as it is meant."""

from __future__ import annotations

import argparse


def listed(text: str) -> list[str]:
    """Names with commas between them.

    Raises
    ------
    argparse.ArgumentTypeError
        There is none.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise argparse.ArgumentTypeError("expected names with commas between them")
    return names
