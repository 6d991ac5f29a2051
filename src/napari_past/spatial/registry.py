"""All sources by name, for the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

import pydantic

from napari_past.spatial.anndata_slide import read_anndata
from napari_past.spatial.errors import BadSource
from napari_past.spatial.hest import read_hest
from napari_past.spatial.kinds import KINDS
from napari_past.spatial.past_layout import read_past_layout
from napari_past.spatial.section import MeasuredSection
from napari_past.spatial.st import read_st_folder
from napari_past.spatial.stimage import read_stimage
from napari_past.spatial.visium import read_visium
from napari_past.spatial.xenium import read_xenium

Reader = Callable[..., MeasuredSection | Iterator[MeasuredSection]]


@dataclass(frozen=True)
class Source:
    """A kind of source."""

    summary: str
    """What its path is."""
    read: Reader
    """Takes the path first; its other parameters are the options."""

    @property
    def options(self) -> tuple[str, ...]:
        """Names of what can be said beside the path."""
        return tuple(inspect.signature(self.read).parameters)[1:]

    @property
    def required(self) -> tuple[str, ...]:
        """Those of `options` that must be said."""
        parameters = list(inspect.signature(self.read).parameters.values())[1:]
        return tuple(p.name for p in parameters if p.default is inspect.Parameter.empty)


_READERS: Mapping[str, Reader] = {
    "xenium": read_xenium,
    "visium": read_visium,
    "st": read_st_folder,
    "anndata": read_anndata,
    "past": read_past_layout,
    "hest": read_hest,
    "stimage": read_stimage,
}
SOURCES: Mapping[str, Source] = {
    name: Source(summary, _READERS[name]) for name, summary in KINDS.items()
}
_TYPED = {"image": "--image FILE", "unit": "--spatial-unit um or px"}
"""Parameters that some reader needs, as the command line has them."""


def read_sections(
    kind: str, path: str | Path, options: Mapping[str, object] | None = None
) -> Iterator[MeasuredSection]:
    """The sections of a source.

    Parameters
    ----------
    kind
        A name of `SOURCES`.
    path
        What its summary says.
    options
        The reader's parameters by name; texts are converted, lists may be "A,B".

    Raises
    ------
    BadSource
        No such kind or option, or a value that is none; known at once.
    PastError
        What the reader finds; of a folder of several sections, when its turn comes.
    """
    source = SOURCES.get(kind)
    if source is None:
        raise BadSource(f"There is no source {kind!r}; choose one of {', '.join(SOURCES)}.")
    given = {key: _listed(source, key, value) for key, value in (options or {}).items()}
    unknown = [key for key in given if key not in source.options]
    if unknown:
        raise BadSource(
            f"Source {kind} has no option {unknown[0]!r}; it has {', '.join(source.options)}."
        )
    missing = [key for key in source.required if key not in given]
    if missing:
        typed = " and ".join(_TYPED[key] for key in missing)
        raise BadSource(f"Source {kind} needs {' and '.join(missing)}; give {typed}.")
    try:
        found = pydantic.validate_call(source.read)(path, **given)
    except pydantic.ValidationError as exc:
        first = exc.errors()[0]
        raise BadSource(f"Source {kind}: {first['loc'][0]}: {first['msg']}.") from exc
    return iter((found,)) if isinstance(found, MeasuredSection) else found


def _listed(source: Source, key: str, value: object) -> Any:
    """A text for a parameter that takes several becomes a tuple."""
    parameter = inspect.signature(source.read, eval_str=True).parameters.get(key)
    if parameter is None or get_origin(parameter.annotation) is not Sequence:
        return value
    if not isinstance(value, str):
        return value
    return tuple(v.strip() for v in value.split(",") if v.strip())
