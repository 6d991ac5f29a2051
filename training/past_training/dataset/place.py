"""Where a dataset lies: a folder here, or a URL of anything that fsspec opens."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import fsspec
import zarr
from fsspec.implementations.local import LocalFileSystem
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore

from past_training.dataset.schema import BadDataset

_BLOCK_BYTES = 2**22


@dataclass(frozen=True)
class Place:
    """A folder that is read: on this machine, in a bucket, behind HTTP, in a zip file."""

    url: str
    """As it was given."""
    root: str
    """Within the file system."""
    files: fsspec.AbstractFileSystem = field(repr=False)

    def store(self, folder: str) -> Store:
        """A zarr store over a folder below, read-only."""
        path = f"{self.root}/{folder}"
        if isinstance(self.files, LocalFileSystem):
            return LocalStore(Path(path), read_only=True)
        return FsspecStore.from_mapper(self.files.get_mapper(path), read_only=True)

    def array(self, folder: str, name: str) -> zarr.Array:
        """One array of a section's folder, opened without reading its values.

        Raises
        ------
        BadDataset
            It is not there or cannot be reached.
        """
        try:
            return zarr.open_array(self.store(folder), path=name, mode="r")
        except (OSError, KeyError, ValueError) as exc:
            raise BadDataset(
                f"{self.url}/{folder} lacks the array {name}, or it cannot be read ({exc}); "
                f"prepare the section again."
            ) from exc

    def read(self, name: str) -> bytes:
        """A file's content; FileNotFoundError where there is none."""
        return bytes(self.files.cat_file(f"{self.root}/{name}"))

    def sha256(self, name: str) -> str:
        """64 hex digits of a file's content, read block by block."""
        digest = hashlib.sha256()
        with self.files.open(f"{self.root}/{name}", "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()


def place_of(path_or_url: str | os.PathLike[str]) -> Place:
    """The place that a path or URL (``s3://…``, ``https://…``, ``zip://name.past::file``) names.

    Raises
    ------
    BadDataset
        No file system is known for such a URL, or its package is not installed.
    """
    url = os.fspath(path_or_url)
    try:
        files, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError, OSError) as exc:
        raise BadDataset(f"{url} cannot be opened as a dataset: {exc}.") from exc
    return Place(url.rstrip("/"), root.rstrip("/"), files)
