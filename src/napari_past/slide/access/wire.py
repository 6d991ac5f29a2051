"""What a network gives: bytes of named objects by ranges, and what can go wrong on the way.

`web` speaks HTTP, `buckets` what fsspec speaks (S3 and its like); `remote` waits, tries again and
says what went wrong in a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Facts:
    """An object's size and what tells it from another one under the same name."""

    size: int
    """Bytes."""
    mark: str
    """ETag, generation or time of change; "" where none is told."""


class Wire(Protocol):
    """Reading below one address, from any thread; keys are "" or "a/b" below it."""

    def head(self, key: str, n_bytes: int) -> tuple[Facts, bytes]:
        """Size, mark and the first bytes."""

    def fetch(self, key: str, start: int, stop: int) -> tuple[Facts, bytes]:
        """Bytes [start, stop), and the facts of the object that they are of."""

    def whole(self, key: str, limit: int) -> bytes:
        """All bytes of an object that has at most `limit`."""

    def listing(self) -> Mapping[str, int] | None:
        """Size of every object below the address, or None where the place cannot tell."""


class Absent(Exception):
    """There is no such object."""


class Refused(Exception):
    """The place says no; the text says how and what to do."""


class Unanswered(Exception):
    """No answer, or half of one: worth another try."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        """How long the place asks to be left alone."""


class NoRanges(Exception):
    """The place sends objects as a whole only."""


class TooLarge(Exception):
    """An object that was expected to be small has more bytes than allowed."""
