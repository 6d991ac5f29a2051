"""A large JSON file, gzipped or not, value by value: memory holds one value, never the file.

Values are decoded by the standard library: QuPath writes NaN and Infinity where a measurement has
no value, which strict streaming parsers (yajl, and so ijson) refuse.
"""

from __future__ import annotations

import gc
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from napari_past.errors import BadTable
from napari_past.files import existing_file

MOST_CHARACTERS = 1 << 25
"""Of one value: the outline of a slide's whole tissue takes less by an order of magnitude."""
_FIRST_READ, _GROWTH = 1 << 16, 8
_COLLECTED = 1 << 19
_MOST_EXPANSION, _EXPANSION_FROM = 200, 1 << 26
"""A gzipped file that has grown to this many bytes, and by more than this factor, is a bomb: lists
of objects shrink to a tenth."""
_SPACE = re.compile(r"[ \t\n\r]*")


class JsonStream:
    """The text of a file and a place in it."""

    def __init__(self, text: io.TextIOBase, name: str) -> None:
        self._text = text
        self._name = name
        self._decoder = json.JSONDecoder()
        self._buffer = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is no space; "" at the end of the file."""
        while True:
            blank = _SPACE.match(self._buffer, self._at)
            self._at = self._at if blank is None else blank.end()
            if self._at < len(self._buffer) or not self._more(_FIRST_READ):
                return self._buffer[self._at : self._at + 1]

    def take(self, expected: str) -> None:
        """Pass the next character, one of those `expected`.

        Raises
        ------
        BadTable
            There is another.
        """
        found = self.peek()
        if not found or found not in expected:
            raise self._damaged(f"{expected[0]!r} was expected, not {found or 'the end'!r}")
        self._at += 1

    def value(self) -> object:
        """The value that follows, decoded.

        Raises
        ------
        BadTable
            No JSON, or longer than `MOST_CHARACTERS`.
        """
        self.peek()
        size = _FIRST_READ
        # A value that is cut off is decoded again from its start, so each time far more is read.
        while True:
            try:
                with _uncollected(len(self._buffer)):
                    found, end = self._decoder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as exc:
                # It may only be cut off.
                if not self._more(size):
                    raise self._damaged(exc.msg) from exc
            else:
                # A number at the very end of what was read may go on.
                if end < len(self._buffer) or not self._more(size):
                    self._at = end
                    return found
            size = min(_GROWTH * size, MOST_CHARACTERS)
            if len(self._buffer) - self._at > MOST_CHARACTERS:
                raise self._damaged(f"one object is longer than {MOST_CHARACTERS} characters")

    def items(self) -> Iterator[object]:
        """The values of the array that follows, one after the other."""
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        while True:
            yield self.value()
            if self.peek() == "]":
                self.take("]")
                return
            self.take(",")

    def members(self) -> Iterator[str]:
        """The names of the object that follows; the caller reads each one's value in between."""
        self.take("{")
        if self.peek() == "}":
            self.take("}")
            return
        while True:
            if self.peek() != '"':
                self.take('"')
            name = self.value()
            self.take(":")
            yield str(name)
            if self.peek() == "}":
                self.take("}")
                return
            self.take(",")

    def _more(self, characters: int) -> bool:
        if self._ended:
            return False
        read = self._text.read(characters)
        self._ended = not read
        if self._at:
            self._buffer, self._at = self._buffer[self._at :], 0
        self._buffer += read
        return bool(read)

    def _damaged(self, what: str) -> BadTable:
        return _unreadable(self._name, what)


@contextmanager
def _uncollected(characters: int) -> Iterator[None]:
    """Without garbage collection while a long value is decoded: millions of new lists, none of
    them garbage, would be walked through again and again."""
    collecting = gc.isenabled() and characters > _COLLECTED
    if collecting:
        gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def json_stream(path: str | Path) -> Iterator[JsonStream]:
    """A JSON file at its beginning, gzipped or not, in UTF-8 with or without a mark.

    Raises
    ------
    BadTable
        No such file; also for whatever fails while it is read: no JSON, nested too deeply, numbers
        of thousands of digits, damaged gzip, or a file that expands beyond all measure.
    """
    source = existing_file(path)
    try:
        with (
            source.open("rb") as file,
            _unpacked(file, source) as raw,
            io.TextIOWrapper(raw, encoding="utf-8-sig") as text,
        ):
            yield JsonStream(text, source.name)
    except RecursionError as exc:
        raise _unreadable(source.name, "it is nested too deeply") from exc
    except (OSError, EOFError, ValueError, zlib.error, MemoryError) as exc:
        raise _unreadable(source.name, str(exc) or type(exc).__name__) from exc


def _unreadable(name: str, what: str) -> BadTable:
    return BadTable(f"{name} cannot be read as GeoJSON ({what}); export it again from QuPath.")


@contextmanager
def _unpacked(file: BinaryIO, source: Path) -> Iterator[io.BufferedReader]:
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if packed:
        limit = max(_EXPANSION_FROM, _MOST_EXPANSION * source.stat().st_size)
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield io.BufferedReader(_Limited(unpacked, limit))
    else:
        yield io.BufferedReader(_Limited(file, None))


class _Limited(io.RawIOBase):
    """Bytes of a file, up to a limit."""

    def __init__(self, file: BinaryIO | gzip.GzipFile, limit: int | None) -> None:
        self._file = file
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        read = self._file.read(len(buffer))
        if self._left is not None:
            self._left -= len(read)
            if self._left < 0:
                raise ValueError(f"it unpacks to more than {_MOST_EXPANSION} times its size")
        buffer[: len(read)] = read
        return len(read)
