"""A section that is being made: which shards of it are whole, safe at any kill.

    sections/<name>.partial/            the arrays, so far
        journal/source_sha256           what they are made from; written when they were set up
        journal/<shard>.safetensors     nuclei of a shard, and the digest of its patches' file

A shard's note is written after its patches and beside its place, then renamed: a note that is there
and fits its file speaks of a shard that is whole.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from napari_past.files import file_sha256
from past_training.dataset.arrays import create_patches, patches_file
from past_training.dataset.placement import IntArray
from past_training.dataset.schema import PrepareConfig

JOURNAL = "journal"
_SOURCE = "source_sha256"
_LEFT_BEHIND = "*.partial"
"""What zarr's own writes are called until they are whole."""


@dataclass(frozen=True)
class ShardNuclei:
    """The nuclei of one shard of patches, ordered by patch."""

    yx_px: npt.NDArray[np.float32]
    """(n, 2) in their patch, pixel centres at integers."""
    row: IntArray
    """(n,) stored row of each."""
    counts: IntArray
    """(patches of the shard,) nuclei of each."""


class Journal:
    """The notes of one unfinished section at `folder`.

    What lies there and was made from something else is removed.
    """

    def __init__(
        self, folder: Path, source_sha256: str, patches: int, config: PrepareConfig
    ) -> None:
        self.folder = folder
        self._notes = folder / JOURNAL
        source = self._notes / _SOURCE
        if source.is_file() and source.read_text() == source_sha256:
            for path in folder.rglob(_LEFT_BEHIND):
                path.unlink()
            return
        if folder.exists():
            shutil.rmtree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        create_patches(folder, patches, config)
        self._notes.mkdir()
        _replace(source, source_sha256.encode())

    def read(self, shard: int) -> ShardNuclei | None:
        """The nuclei of a shard that is whole, or None where it has to be made."""
        try:
            note = load(self._note(shard).read_bytes())
            digest = file_sha256(patches_file(self.folder, shard))
        except (FileNotFoundError, SafetensorError):
            return None
        if note["sha256"].tobytes().hex() != digest:
            return None
        return ShardNuclei(note["yx_px"], note["row"], note["counts"])

    def write(self, shard: int, nuclei: ShardNuclei) -> None:
        """Note that the patches of a shard are on disk, with their nuclei."""
        digest = bytes.fromhex(file_sha256(patches_file(self.folder, shard)))
        note: dict[str, npt.NDArray[Any]] = {
            "sha256": np.frombuffer(digest, np.uint8),
            "yx_px": np.ascontiguousarray(nuclei.yx_px),
            "row": np.ascontiguousarray(nuclei.row),
            "counts": np.ascontiguousarray(nuclei.counts),
        }
        _replace(self._note(shard), save(note))

    def close(self) -> None:
        """Remove the notes: the section is whole."""
        shutil.rmtree(self._notes)

    def _note(self, shard: int) -> Path:
        return self._notes / f"{shard}.safetensors"


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_name(path.name + ".partial")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)
