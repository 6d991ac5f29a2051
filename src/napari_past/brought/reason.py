"""Why a library could not read a file, for a sentence to the user."""

from __future__ import annotations

from pathlib import Path

_LONGEST = 200


def reason_of(exc: BaseException, path: Path) -> str:
    """The text of an error in one line, without the folder in which the file lies."""
    text = " ".join(str(exc).split()) or type(exc).__name__
    for place in dict.fromkeys((str(path), str(path.absolute()), repr(str(path))[1:-1])):
        text = text.replace(place, path.name)
    return text.rstrip(". ")[:_LONGEST]
