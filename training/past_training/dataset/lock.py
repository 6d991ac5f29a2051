"""One process at a time writes a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from napari_past.errors import CannotWrite


@contextmanager
def only_writer(out: Path) -> Iterator[None]:
    """Within it no other process writes the dataset at `out`; its folder's parent exists.

    The system takes the lock back from a process that is killed, so that the same command goes on.

    Raises
    ------
    CannotWrite
        Another process writes it, or a lock cannot be made beside it.
    """
    # Beside it: a dataset that is started over is removed with all that lies in it.
    path = out.with_name(f".{out.name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as exc:
        raise CannotWrite(
            f"Another past-train prepare is writing {out} (its lock is {path.name}); wait until it "
            f"has ended and give the same command again, or give another --out."
        ) from exc
    except OSError as exc:
        raise CannotWrite(
            f"The dataset {out} cannot be written ({exc.strerror or exc}); make its folder "
            f"writable or give another --out."
        ) from exc
    try:
        yield
    finally:
        # While it is held: afterwards it may be another's. Windows removes it with the release.
        with suppress(OSError):
            path.unlink()
        lock.release()
