"""Anybody's model by a few lines of Python: crops and places in, genes or vectors out."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_past.errors import Cancelled, PastError
from napari_past.files import existing_file, file_sha256
from napari_past.model.traces import NO_TRACES, TrainingTraces
from napari_past.spatial.membership import nucleus_places_um
from napari_past.validation.fold_ridge import FoldRidge
from napari_past.validation.imported import checked_field_um
from napari_past.validation.model_predictor import model_symbols
from napari_past.validation.predictor import TissueFold, Watch
from napari_past.validation.tissue import MEASURED_UNIT, Tissue

CROPS_AT_ONCE = 32
_MOST_PX = 4096
_LARGEST = 1e30
"""Beyond it a value is a mistake, and sums overflow."""


class AdapterFailed(PastError):
    """Somebody's code could not be loaded, or failed, or gave something else than it promised."""


@dataclass(frozen=True, eq=False)
class Adapter:
    """Somebody's model, checked: what it reads, and the function that it is.

    `output` takes crops, uint8 (n, crop_px, crop_px, 3), each with a row (the nucleus of a cell,
    the centre of a spot) in its middle, and the rows' places, float64 (n, 2), (x, y) in µm of slide
    space. It gives (n, len(genes)) values, or, of a model that embeds, (n, D) vectors of any D.
    """

    name: str
    mpp: float
    """µm/px of the crops."""
    crop_px: int
    embeds: bool
    output: Callable[[npt.NDArray[np.uint8], npt.NDArray[np.float64]], object]
    genes: tuple[str, ...] = ()
    """HGNC symbols, or what else resolves to them; none of a model that embeds."""
    unit: str | None = None
    """Of its values; None where nobody knows."""
    sha256: str = ""
    """Of the file with the code."""
    file: str = field(default="", repr=False)
    """Its name, for messages."""
    sees_um: float | None = None
    """Width of H&E that its values depend on, where it reads more than its crops."""

    @property
    def field_um(self) -> float:
        """Width of H&E that it sees: a crop's, unless it says that it is more."""
        return max(self.crop_px * self.mpp, self.sees_um or 0.0)


def read_adapter(text: str, field_um: float | None = None) -> Adapter:
    """The object that ``FILE.py:NAME`` means. The file is run.

    Parameters
    ----------
    text
        ``FILE.py:NAME``.
    field_um
        Width of H&E in µm that it sees around a row, where that is more than a crop.

    NAME is an object with `name`, `mpp`, `crop_px` and either `embed(crops, xy_um)`, or
    `predict(crops, xy_um)` with `genes` and, where it is known, `unit`; or a class or function that
    gives one without arguments. See `Adapter` for what is passed and expected.

    Raises
    ------
    BadTable
        There is no such file.
    AdapterFailed
        It cannot be run, has no such name, or what it names is no model.
    """
    place, _, name = text.rpartition(":")
    if not place.endswith(".py") or not name.isidentifier():
        raise AdapterFailed(
            f"--adapter {text!r} was given where FILE.py:NAME was expected, as my_model.py:model."
        )
    path = existing_file(place)
    module = _run(path)
    if not hasattr(module, name):
        there = ", ".join(n for n in vars(module) if not n.startswith("_")) or "nothing"
        raise AdapterFailed(f"{path.name} has no {name} (there are: {there}); name another.")
    made: Any = getattr(module, name)
    if isinstance(made, type) or not (
        _told(path.name, made, "embed") or _told(path.name, made, "predict")
    ):
        if not callable(made):
            raise AdapterFailed(
                f"{name} in {path.name} has neither predict(crops, xy_um) nor embed(crops, xy_um); "
                "give it one of both."
            )
        made = _called(path.name, made)
    return replace(_checked(made, name, path), sees_um=checked_field_um(field_um))


class AdaptedModel:
    """Somebody's model that predicts genes; nothing of it is fitted here."""

    fitted_here = False

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._values: dict[Tissue, npt.NDArray[np.float32]] = {}
        self.name = adapter.name
        self.unit = adapter.unit
        self.field_um = adapter.field_um
        self.sha256 = adapter.sha256
        self.traces: TrainingTraces = NO_TRACES

    def genes(self, measured: Sequence[str]) -> tuple[str, ...]:
        """Of the measured genes those that it names."""
        known = model_symbols(self._adapter.genes, measured)
        return tuple(gene for gene in measured if gene in known)

    def predict(
        self,
        tissues: Sequence[Tissue],
        folds: Sequence[TissueFold],
        genes: Sequence[str],
        watch: Watch,
    ) -> list[npt.NDArray[np.float32]]:
        """Its values, (k, G).

        Raises
        ------
        AdapterFailed, Cancelled
        """
        known = model_symbols(self._adapter.genes, genes)
        place = {gene: i for i, gene in enumerate(self._adapter.genes)}
        columns = [place[known[gene]] for gene in genes]
        for tissue in tissues:
            if tissue not in self._values:
                self._values[tissue] = row_outputs(self._adapter, tissue, watch)
        return [self._values[tissue][:, columns] for tissue in tissues]


class AdaptedTower:
    """Somebody's model that embeds; a ridge is fitted on each fold's training rows."""

    fitted_here = True
    unit: str | None = MEASURED_UNIT

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._ridge = FoldRidge(self._vectors)
        self._width: int | None = None
        """Of the vectors of the tissue that came first."""
        self.name = f"ridge on {adapter.name}"
        self.field_um = adapter.field_um
        self.sha256 = adapter.sha256
        self.traces: TrainingTraces = NO_TRACES

    def genes(self, measured: Sequence[str]) -> tuple[str, ...]:
        """All of them."""
        return tuple(measured)

    def predict(
        self,
        tissues: Sequence[Tissue],
        folds: Sequence[TissueFold],
        genes: Sequence[str],
        watch: Watch,
    ) -> list[npt.NDArray[np.float32]]:
        """Values (k, G); NaN for rows that have no finite vector.

        Raises
        ------
        AdapterFailed, Cancelled
        """
        return self._ridge.predict(tissues, folds, genes, watch)

    def _vectors(self, tissue: Tissue, watch: Watch) -> npt.NDArray[np.float32]:
        found = row_outputs(self._adapter, tissue, watch)
        first = self._width = self._width or found.shape[1]
        if found.shape[1] != first:
            widths = " and ".join(sorted({str(first), str(found.shape[1])}))
            raise AdapterFailed(
                f"{self._adapter.name} gave vectors of {widths} numbers; give the same for all."
            )
        return found


def adapted(adapter: Adapter) -> AdaptedModel | AdaptedTower:
    """An adapter as something to validate."""
    return AdaptedTower(adapter) if adapter.embeds else AdaptedModel(adapter)


def row_outputs(adapter: Adapter, tissue: Tissue, watch: Watch) -> npt.NDArray[np.float32]:
    """What somebody's model gives for each row, float32 (k, G or D).

    Raises
    ------
    AdapterFailed
        It fails, or gives something else than a row of numbers for each crop.
    Cancelled
    """
    single = tissue.section.spot_diameter_um is None
    places_um = nucleus_places_um(tissue.section)[tissue.rows] if single else tissue.row_um
    side = adapter.crop_px
    corners_px = np.rint(places_um / adapter.mpp - side / 2).astype(int)
    parts: list[npt.NDArray[np.float32]] = []
    for start in range(0, len(tissue), CROPS_AT_ONCE):
        if watch.cancelled():
            raise Cancelled("The validation was stopped.")
        rows = slice(start, start + CROPS_AT_ONCE)
        crops = np.stack(
            [
                tissue.slide.read_grid(column, row, side, side, adapter.mpp)
                for column, row in corners_px[rows].tolist()
            ]
        )
        given = _called(adapter.file, adapter.output, crops, places_um[rows].copy())
        parts.append(_checked_output(adapter, given, len(crops), parts))
        watch.on_share(min(1.0, (start + CROPS_AT_ONCE) / len(tissue)))
    return np.concatenate(parts)


def _checked_output(
    adapter: Adapter, given: object, n: int, before: Sequence[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    detached: Any = given
    if hasattr(detached, "detach"):  # of torch, maybe on a GPU
        detached = detached.detach().cpu()
    try:
        wide = np.asarray(detached)
        values = wide.astype(np.float64) if wide.dtype.kind != "c" else None
    except (TypeError, ValueError, OverflowError) as exc:
        raise AdapterFailed(
            f"{adapter.name} gave {type(given).__name__} where an array of numbers was expected; "
            "give a numpy array."
        ) from exc
    if values is None:
        raise AdapterFailed(f"{adapter.name} gave complex numbers; give real ones.")
    width = before[0].shape[1] if before else values.shape[-1] if values.ndim == 2 else 1
    wanted = (n, max(width, 1) if adapter.embeds else len(adapter.genes))
    if values.shape != wanted:
        what = "D" if adapter.embeds else f"{len(adapter.genes)} genes"
        raise AdapterFailed(
            f"{adapter.name} gave an array of shape {values.shape} for {n} crops where {wanted} "
            f"was expected, (crops, {what}); give a row for each crop."
        )
    if (np.abs(values[np.isfinite(values)]) > _LARGEST).any():
        raise AdapterFailed(
            f"{adapter.name} gave values beyond {_LARGEST:.0e}, which are no expression; give "
            "those of its last layer, or NaN where it cannot say."
        )
    return values.astype(np.float32)


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"napari_past_adapter_{path.stem}", path)
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickle look their module up by its name.
    sys.modules[spec.name] = module
    _called(path.name, spec.loader.exec_module, module)
    return module


def _called(file: str, function: Callable[..., Any], *arguments: object) -> Any:
    """What somebody's function gives; whatever it raises becomes one sentence of ours."""
    try:
        return function(*arguments)
    except PastError:
        raise
    except Exception as exc:
        frames = [
            f for f in traceback.extract_tb(exc.__traceback__) if Path(f.filename).name == file
        ]
        line = exc.lineno if isinstance(exc, SyntaxError) else None
        line = frames[-1].lineno if frames else line
        where = f"line {line} of {file}" if line else file
        last = traceback.format_exception_only(exc)[-1].strip()
        raise AdapterFailed(f"The adapter failed at {where} ({last}); correct it there.") from exc


def _told(file: str, made: object, name: str) -> Any:
    """What somebody's object has by a name, which may be computed; None where it has nothing."""
    return _called(file, lambda: getattr(made, name, None))


def _checked(made: Any, name: str, path: Path) -> Adapter:
    """What was given as an `Adapter`, or the first thing that it lacks."""

    def wrong(what: str, wanted: str) -> AdapterFailed:
        return AdapterFailed(f"{name} in {path.name} {what}; {wanted}.")

    embed: Any = _told(path.name, made, "embed")
    predict: Any = _told(path.name, made, "predict")
    if not callable(embed) and not callable(predict):
        raise wrong("has neither predict(crops, xy_um) nor embed(crops, xy_um)", "give it one")
    mpp, crop_px = _told(path.name, made, "mpp"), _told(path.name, made, "crop_px")
    if not isinstance(mpp, int | float) or not 0.02 < mpp < 20:
        raise wrong(f"has mpp {mpp!r}", "give the µm/px of the crops that it reads, as mpp = 0.5")
    if not isinstance(crop_px, int) or not 0 < crop_px <= _MOST_PX:
        raise wrong(f"has crop_px {crop_px!r}", "give the side of its crops, as crop_px = 224")
    genes: tuple[str, ...] = ()
    if callable(predict):
        given = _told(path.name, made, "genes")
        # A generator has no length, and whatever it yields may fail.
        given = () if given is None or isinstance(given, str) else _called(path.name, list, given)
        if not given:
            raise wrong("has no genes", "name those that predict gives, in order, as a list")
        genes = tuple(map(str, given))
        if len(set(genes)) < len(genes):
            raise wrong("names a gene twice", "name each once")
    unit = _told(path.name, made, "unit")
    return Adapter(
        name=str(_told(path.name, made, "name") or path.stem),
        mpp=float(mpp),
        crop_px=crop_px,
        embeds=not callable(predict),
        output=predict if callable(predict) else embed,
        genes=genes,
        unit=None if unit is None else str(unit),
        sha256=file_sha256(path),
        file=path.name,
    )
