"""JSON that people can read, and that tells when it was changed since it was written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final, TypeVar

import pydantic

from napari_past.errors import PastError
from napari_past.files import existing_file, json_sha256
from napari_past.model.strict import Strict, first_mistake

CHECKSUM: Final = "checksum"
"""Field of the file: SHA-256 over all other fields, as JSON with sorted keys and no spaces."""

_Content = TypeVar("_Content", bound=Strict)


def read_checked(
    path: str | Path,
    content: type[_Content],
    error: type[PastError],
    what: str,
    again: str,
    most_bytes: float = math.inf,
) -> tuple[_Content, Path]:
    """The content of a file with a checksum, and its place.

    Parameters
    ----------
    what
        The file is, as "validation file"; its first word names the content in a sentence.
    again
        How to get it anew, as "save it again".
    most_bytes
        A larger file is not read.

    Raises
    ------
    BadTable
        No such file.
    PastError
        An `error`: it is something else, a damaged one, or one that was changed since it was
        written.
    """
    source = existing_file(path)
    try:
        if source.stat().st_size > most_bytes:
            raise ValueError("it is far too large")
        fields: Any = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise error(f"{source.name} is no {what} ({exc}); {again}.") from exc
    if not isinstance(fields, dict) or not isinstance(fields.get(CHECKSUM), str):
        raise error(f"{source.name} is no {what}: it has no {CHECKSUM}; {again}.")
    checksum = fields.pop(CHECKSUM)
    try:
        read = content.model_validate_json(json.dumps(fields), strict=True)
    except pydantic.ValidationError as exc:
        mistake = first_mistake(exc, what.split()[0])
        raise error(f"{source.name} is no valid {what} at {mistake}; {again}.") from exc
    if checksum != json_sha256(fields):
        raise error(
            f"{source.name} was changed since it was written (its checksum does not fit); {again}."
        )
    return read, source
