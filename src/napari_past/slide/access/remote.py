"""A slide at an address: patient reading of ranges, from any thread.

Nothing is downloaded as a whole but small files (metadata and chunks of OME-Zarr), each up to a
limit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TypeVar
from urllib.parse import urlsplit

from napari_past.errors import DamagedSlide, MissingExtra, SlideChanged, SlideError
from napari_past.slide.access.patience import OPENING, READING, Persistence
from napari_past.slide.access.wire import Absent, Facts, NoRanges, Refused, TooLarge, Wire
from napari_past.slide.place import shown_name

T = TypeVar("T")

_WEB = ("http", "https")
SMALL_BYTES = 2**24
"""Most that a description of an image may have."""
_AT_ONCE = 8
"""Requests under way: more gain little and annoy servers."""


class Remote:
    """What lies at an address and below it.

    Raises
    ------
    SlideError
        A user name or password in the address, or a kind of address that nothing here reads.
    MissingExtra
        fsspec, or what it needs for this kind of address, is not installed.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if "@" in parts.netloc:
            raise SlideError(
                "An address with a user name or password is not opened, because it would end up in "
                "the list of processes; put them into ~/.netrc (https) or into the environment "
                "(s3: AWS_PROFILE) and leave them out of the address."
            )
        self.name = shown_name(address)
        self.is_web = parts.scheme.lower() in _WEB
        self.where = parts.netloc if self.is_web else f"{parts.scheme}://{parts.netloc}"
        self._stop = threading.Event()
        self._persistence = Persistence(
            self.name, self.where, "the address and the connection", self._stop
        )
        self._facts: dict[str, Facts] = {}
        self._wire = self._opening(lambda: _wire(address, self.name, parts.scheme.lower()))
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="slide-ranges")

    def head(self, key: str = "", n_bytes: int = 0) -> tuple[Facts, bytes] | None:
        """Size, mark and first bytes of an object; None where there is none.

        Raises
        ------
        SlideUnreachable
            No answer.
        SlideError
            The place refuses, or sends objects as a whole only.
        """
        # not all servers know ranges of no bytes
        wanted = max(n_bytes, 1)
        try:
            facts, data = self._opening(lambda: self._wire.head(key, wanted))
        except Absent:
            return None
        if n_bytes:
            self._facts.setdefault(key, facts)
        return facts, data[:n_bytes]

    def read(self, key: str, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of an object that is there.

        Raises
        ------
        SlideUnreachable
            No answer, or no object any more.
        SlideChanged
            Another object has taken its place.
        """
        if stop <= start:
            return b""
        try:
            facts, data = self._persistence.attempt(
                lambda: self._wire.fetch(key, start, stop), READING
            )
        except Absent:
            raise self._persistence.unreachable("it is no longer there") from None
        except Refused as exc:
            raise self._persistence.unreachable(str(exc)) from None
        except (NoRanges, TooLarge):
            raise self._persistence.unreachable("it is sent as a whole only") from None
        if self._facts.setdefault(key, facts) != facts:
            raise self.changed()
        return data

    def read_many(self, key: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """`read` of several spans, some at a time."""
        if len(spans) == 1:
            return [self.read(key, *spans[0])]
        return list(self._threads.map(lambda span: self.read(key, *span), spans))

    def whole(self, key: str, limit: int) -> bytes | None:
        """All bytes of a small object; None where there is none.

        Raises
        ------
        SlideUnreachable
            No answer.
        DamagedSlide
            More than `limit` bytes.
        """
        try:
            return self._persistence.attempt(lambda: self._wire.whole(key, limit), READING)
        except Absent:
            return None
        except Refused as exc:
            raise self._persistence.unreachable(str(exc)) from None
        except TooLarge:
            raise DamagedSlide(
                f"{self.name} has a part ({key}) of more than {limit:,} bytes, more than its "
                "metadata allow; it is damaged, copy it again from where it came from."
            ) from None

    def exists(self, key: str) -> bool:
        """Whether a small object is there.

        Raises
        ------
        SlideUnreachable, SlideError
            As `head`.
        """
        try:
            self._opening(lambda: self._wire.whole(key, 0))
        except Absent:
            return False
        except TooLarge:
            return True
        return True

    def listing(self) -> dict[str, int] | None:
        """Sizes of all objects by key, or None where the place does not list.

        Raises
        ------
        SlideUnreachable, SlideError
            As `head`.
        """
        found = self._opening(lambda: self._wire.listing())
        return None if found is None else dict(found)

    def stamp(self) -> Facts | None:
        """Size and mark of the object, by which a change is seen; None where it is gone.

        Raises
        ------
        SlideUnreachable, SlideError
            As `head`.
        """
        found = self.head()
        return None if found is None else found[0]

    def digests(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Checksums of small objects, "" for those that are not there.

        Raises
        ------
        SlideUnreachable
            No answer.
        """
        found = self._threads.map(lambda key: self.whole(key, SMALL_BYTES), keys)
        return tuple("" if data is None else sha256(data).hexdigest() for data in found)

    def changed(self) -> SlideChanged:
        """The error that another object has taken this one's place."""
        return SlideChanged(
            f"{self.name} was replaced at {self.where} since it was opened; open it again: what "
            "is finished belongs to the slide as it was."
        )

    def close(self) -> None:
        """End all waiting and let go of the threads."""
        self._stop.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _opening(self, action: Callable[[], T]) -> T:
        try:
            return self._persistence.attempt(action, OPENING)
        except Refused as exc:
            raise SlideError(f"{self.name} cannot be opened at {self.where}: {exc}.") from None
        except NoRanges:
            raise SlideError(
                f"{self.where} sends {self.name} as a whole only (no HTTP range requests), so no "
                "view of it can be read alone; download the file and open the copy, or put it on a "
                "server or into a bucket that knows ranges."
            ) from None


def _wire(address: str, name: str, scheme: str) -> Wire:
    try:
        if scheme in _WEB:
            from napari_past.slide.access.web import Web

            return Web(address)
        from napari_past.slide.access.buckets import Bucket

        return Bucket(address)
    except ImportError as exc:
        if (exc.name or "").partition(".")[0] in ("fsspec", "aiohttp", "s3fs", "yarl") or (
            scheme in ("s3", "s3a")
        ):
            raise MissingExtra(
                f"{name} is at an address, which needs the extra `remote`; install it with "
                "`pip install 'napari-past[remote]'`."
            ) from exc
        raise MissingExtra(
            f"{name} is at an address of the kind {scheme}://, which fsspec reads only with "
            f"another package ({exc}); install it, or copy the slide to a disk."
        ) from exc
    except ValueError as exc:
        raise SlideError(
            f"{name} is at an address of an unknown kind ({scheme}://); give https://, s3://, "
            "another kind that fsspec reads, or a path."
        ) from exc
