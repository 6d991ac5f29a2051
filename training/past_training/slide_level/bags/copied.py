"""Vectors and places of a bag in files of its own."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from napari_past.files import atomic_write
from past_training.slide_level.bags.array_bag import ArrayBag, mapped_bag
from past_training.slide_level.bags.bag import Bag


def copy_files(folder: Path, stem: str) -> tuple[Path, Path]:
    """The ``.npy`` files of vectors (n, d) float16 and of places (n, 2) float64."""
    return folder / f"{stem}.vectors.npy", folder / f"{stem}.places.npy"


def write_copy(bag: Bag, folder: Path, stem: str) -> ArrayBag:
    """The bag, written piece by piece and mapped again; the folder exists.

    Written as a file and not through a map, which ends the process where the disk is full.

    Raises
    ------
    CannotWrite
        The disk is full or read-only.
    """
    vectors, places = copy_files(folder, stem)
    with ExitStack() as stack:
        of_vectors, of_places = (
            stack.enter_context(stack.enter_context(atomic_write(path)).open("wb"))
            for path in (vectors, places)
        )
        for file, dtype, width in ((of_vectors, "<f2", bag.dim), (of_places, "<f8", 2)):
            header = {"descr": dtype, "fortran_order": False, "shape": (bag.n, width)}
            np.lib.format.write_array_header_2_0(file, header)
        for chunk in bag.chunks():
            of_vectors.write(np.ascontiguousarray(chunk.vectors, "<f2").tobytes())
            of_places.write(np.ascontiguousarray(chunk.places_um, "<f8").tobytes())
    return mapped_bag(bag.name, vectors, places)
