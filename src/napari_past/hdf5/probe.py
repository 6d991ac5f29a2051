"""HDF5 files are opened here: what would end the process is found out by another one first.

In the HDF5 library (2.0.0) a changed byte in the type of an attribute is enough for a segmentation
fault, before anything that could be checked is read.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py

from napari_past.errors import BadTable

_WALK = Path(__file__).with_name("walk.py")
_WAIT_S = 60.0
"""The child takes 10 s of the processor at most; the rest is a slow disk's."""
_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # of Windows alone
_Version = tuple[str, int, int]
_sound: set[_Version] = set()


def open_hdf5(path: Path) -> h5py.File:
    """The file, open for reading.

    Raises
    ------
    BadTable
        The library cannot read it without ending the process.
    OSError
        It is no HDF5 file, or is not there.
    """
    check_hdf5(path)
    return h5py.File(path, "r")


def check_hdf5(path: Path) -> None:
    """Raise `BadTable` where opening a file would end this process, or never end.

    A child process looks through it, which takes some tenths of a second; once a process for each
    version of a file. Where no child can be started, nothing is checked.
    """
    try:
        version = _version(path)
    except OSError:  # the reader tells it
        return
    # An application that is frozen into one program has no interpreter to start.
    if version in _sound or "python" not in Path(sys.executable or "").name.lower():
        return
    try:
        ended = subprocess.run(
            [sys.executable, "-P", str(_WALK), str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_WAIT_S,
            check=False,
            # Every further thread of linear algebra would take memory and time to start.
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            creationflags=_NO_WINDOW,
        ).returncode
    except subprocess.TimeoutExpired:
        raise _damaged(path, f"takes longer than {_WAIT_S:g} s on it") from None
    except OSError:
        return
    # A signal, or Windows' codes of a crash; 1 is Python's own, where h5py is not to be had.
    if ended not in (0, 1):
        raise _damaged(path, "crashes on it")
    _sound.add(version)


def written_here(path: str | Path) -> None:
    """Note that this process wrote a file just now, so that nobody needs to look through it."""
    _sound.add(_version(Path(path)))


def _version(path: Path) -> _Version:
    found = path.stat()
    return str(path.resolve()), found.st_size, found.st_mtime_ns


def _damaged(path: Path, what: str) -> BadTable:
    return BadTable(
        f"{path.name} is damaged (the HDF5 library {what}); copy it again from where it came from, "
        "or write it again."
    )
