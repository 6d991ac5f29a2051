"""What is told of workers that are lost or fail."""

from __future__ import annotations

from napari_past.errors import PastError, WorkerFailed

LOST = (
    "The process that analyses tiles was lost (often for lack of memory); another one was started "
    "and goes on with its tiles."
)


def lost_at(address: str, left: int) -> str:
    """What is told when one of the workers at an address is lost."""
    lost = f"A worker of the dask scheduler at {address} was lost"
    if left == 0:
        return (
            f"{lost}, and none is left: the run waits for one; start it with `dask worker "
            f"{address}`, or press Ctrl-C, which keeps finished tiles."
        )
    others = "one that is" if left == 1 else f"{left} that are"
    return f"{lost}; its tiles are tried again by the {others} left."


def as_told(error: BaseException) -> PastError:
    """What a worker raised, as a sentence."""
    if isinstance(error, PastError):
        return error
    if type(error).__name__ == "KilledWorker":
        told = WorkerFailed(
            "The processes that analyse tiles were lost again and again with the same tile (often "
            "for lack of memory); close other programs and start again: finished tiles are kept."
        )
    elif isinstance(error, ImportError):
        told = WorkerFailed(
            f"A worker cannot run tiles ({error}); install the same napari-past where it runs."
        )
    else:
        told = WorkerFailed(
            f"A worker failed with {type(error).__name__}: {error}; start again, and report it "
            "where it comes back. Finished tiles are kept."
        )
    told.__cause__ = error
    return told
