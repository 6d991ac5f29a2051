"""Where a slide lies: a path, or an address such as ``https://…`` and ``s3://…``.

An address may carry secrets: a user's name and password before the host, a signature in the query.
Only what `shown_name` and `shown_place` give may be written anywhere.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from napari_past.errors import NotASlide

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
"""A scheme of two letters or more: one letter is a drive of Windows."""
_WEB = ("http", "https")


def is_remote(place: str | os.PathLike[str]) -> bool:
    """Whether a place is an address that is read through a network, not a path or ``file://``."""
    scheme = _scheme(place)
    return scheme is not None and scheme != "file"


def local_path(place: str | os.PathLike[str]) -> Path | None:
    """The absolute path of a plain path or a ``file://`` address; None for other addresses.

    Raises
    ------
    NotASlide
        A ``file://`` address that names another machine.
    """
    scheme = _scheme(place)
    if scheme is None:
        return Path(os.path.abspath(place))
    if scheme != "file":
        return None
    parts = urlsplit(os.fspath(place))
    if parts.netloc not in ("", "localhost"):
        raise NotASlide(
            f"file://{parts.hostname}/… names another machine; give the path under which this one "
            "sees the slide, or file:///path with three slashes."
        )
    return Path(os.path.abspath(url2pathname(parts.path)))


def shown_name(place: str | os.PathLike[str]) -> str:
    """The last part of a path or address, without query, fragment and credentials."""
    path = local_path(place)
    if path is not None:
        return path.name
    parts = urlsplit(os.fspath(place))
    last = _path_of(os.fspath(place)).rstrip("/").rpartition("/")[2]
    if parts.scheme.lower() in _WEB:
        last = unquote(last).rpartition("/")[2]
    return last if last not in ("", ".", "..") else parts.hostname or "slide"


def shown_place(place: str | os.PathLike[str]) -> str:
    """A path as it is, or an address without query, fragment and credentials."""
    path = local_path(place)
    if path is not None:
        return str(path)
    text = os.fspath(place)
    parts = urlsplit(text)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{_path_of(text)}"


def stem_of(place: str | os.PathLike[str]) -> str:
    """The name without its suffix, for the names of results: "C5" of "…/C5.ome.tif?token=1"."""
    name = shown_name(place)
    stem = re.sub(r"(?i)\.ome\.(tiff?|btf|tf[28]|zarr)$", "", name)
    return (Path(name).stem if stem == name else stem) or name


def _scheme(place: str | os.PathLike[str]) -> str | None:
    match = _ADDRESS.match(os.fspath(place))
    return None if match is None else match[1].lower()


def _path_of(address: str) -> str:
    """The path of an address: what follows "?" is a query, "#" may belong to an object's key."""
    parts = urlsplit(address)
    if parts.scheme.lower() in _WEB:
        return parts.path
    _, slash, key = address.partition("://")[2].partition("?")[0].partition("/")
    return slash + key
