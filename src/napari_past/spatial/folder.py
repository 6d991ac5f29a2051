"""Files in the folder of a source: found, and read without tracebacks."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from napari_past.spatial.errors import BadSource


def checked_folder(path: str | Path, kind: str, needs: Sequence[str]) -> Path:
    """`path`, which must be a folder that holds `needs` (names, relative).

    Raises
    ------
    BadSource
        It is none, or does not.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise BadSource(f"{folder} is no folder; give the folder of {kind}.")
    missing = [name for name in needs if not (folder / name).exists()]
    if missing:
        raise BadSource(
            f"{folder} is not {kind}: it has no {' and no '.join(missing)}; give the folder that "
            f"holds {'it' if len(needs) == 1 else 'them'}."
        )
    return folder


def existing(path: str | Path, what: str) -> Path:
    """`path`, which must exist; `what` begins the sentence that says it does not.

    Raises
    ------
    BadSource
    """
    place = Path(path)
    if not place.exists():
        raise BadSource(f"{what} {place} does not exist; check its path.")
    return place


def first_existing(folder: Path, names: Iterable[str], what: str) -> Path:
    """The first of `names` that lies in `folder`.

    Raises
    ------
    BadSource
        None does.
    """
    wanted = list(names)
    for name in wanted:
        if (folder / name).exists():
            return folder / name
    raise BadSource(f"{folder} has no {what}: {' or '.join(wanted)} is needed; copy it there.")


def the_one_file(places: Iterable[tuple[Path, str]], what: str, option: str) -> Path:
    """The single file that any of `places`, (folder, glob), holds.

    Raises
    ------
    BadSource
        There is none, or there are several; the text names the option that says which.
    """
    looked = list(places)
    found = sorted({p for folder, pattern in looked for p in folder.glob(pattern) if p.is_file()})
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(p.name for p in found[:4]) + (", …" if len(found) > 4 else "")
        raise BadSource(f"There are {len(found)} candidates for {what} ({names}); give {option}.")
    folders = " or ".join(dict.fromkeys(str(folder) for folder, _ in looked))
    raise BadSource(f"There is no {what} in {folders}; give {option}.")


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Tells whatever goes wrong with a damaged file as one sentence.

    Raises
    ------
    BadSource
        In place of what the libraries raise.
    """
    try:
        yield
    except (OSError, EOFError, KeyError, ValueError, TypeError, zlib.error) as exc:
        reason = " ".join(str(exc).split())[:200] or type(exc).__name__
        raise BadSource(
            f"{path.name} cannot be read as {what} ({reason}); copy it again from where it came "
            "from, or check that it is what its name says."
        ) from exc


def json_object(path: Path) -> dict[str, object]:
    """The object in a JSON file.

    Raises
    ------
    BadSource
        No JSON, or no object.
    """
    with reading(path, "JSON"):
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise ValueError(f"an object was expected, not {type(value).__name__}")
    return value


def number(values: dict[str, object], key: str) -> float | None:
    """A positive number of a JSON object, or None where it is missing, null, NaN or no number."""
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < float("inf") else None


def text(values: dict[str, object], key: str) -> str:
    """A text of a JSON object, stripped; empty where it is missing, null or "N/A"."""
    value = values.get(key)
    found = value.strip() if isinstance(value, str) else ""
    return "" if found.upper() in {"N/A", "NA", "NAN", "NONE"} else found
