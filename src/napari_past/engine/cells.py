"""Annotated cells of one slide: positions and embeddings in memory, genes on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from uuid import UUID, uuid5

import numpy as np
import numpy.typing as npt
from anndata import AnnData

from napari_past.cells import BroughtCells, Detector, GivenCells, get_detector
from napari_past.engine.cell_classes import classes_of
from napari_past.engine.measured import Assay, MeasuredStain, assay_of
from napari_past.engine.plan import Plan, make_plan
from napari_past.engine.run import OnTile, run_plan
from napari_past.engine.store import Store
from napari_past.engine.workers import Workers
from napari_past.errors import CannotWrite, RegionError
from napari_past.genes import Resolved
from napari_past.model.classifier import CellClassifier, ClassifiedCells
from napari_past.model.prototypes import NearestTypes
from napari_past.model.retrieval import Neighbours
from napari_past.quality import QualityMask
from napari_past.slide import Slide
from napari_past.types import FloatArray, FoundCells, Rect, Region, TileSpec

ID_NAMESPACE = UUID("0b8f3c2e-54a1-5c1d-9a3e-6a7d1f0c2b44")


class Cells:
    """The cells of a plan. Lazy: the first use of its arrays computes the tiles that are missing.

    `compute` does the same with progress and cancellation. Expression is never stored; `expression`
    multiplies embeddings by the read-out's rows.
    """

    def __init__(self, plan: Plan, model: Assay, store: Store) -> None:
        self.plan = plan
        # That of a plan knows the slide's stain vectors.
        self.model: Assay = plan.model if isinstance(plan.model, MeasuredStain) else model
        self.store = store
        self.unreadable: tuple[TileSpec, ...] = ()
        """Tiles whose pixels could not be decoded; known after `compute`."""
        self.quality: QualityMask | None = None
        """Where the slide must not be scored; None where nobody looked."""
        self.classifier: CellClassifier | None = None
        """Gives each cell one of its classes, also in tables; None for no classes."""
        self.excluded = 0
        """Cells that Ignore* regions took out; known after `compute`."""

    def compute(
        self,
        on_tile: OnTile = lambda progress: None,
        cancelled: Callable[[], bool] = lambda: False,
        workers: Workers | None = None,
    ) -> Cells:
        """Compute what is missing and return self. See `run_plan` for arguments and errors."""
        if "_arrays" in self.__dict__:
            return self
        for _ in range(2):
            self.unreadable = run_plan(self.plan, self.store, workers, on_tile, cancelled)
            arrays = self._collected()
            if arrays is not None:
                self.__dict__["_arrays"] = arrays
                return self
            # A damaged file looked finished until it was read: reading removed it, so go again.
        raise CannotWrite(
            f"Tiles in {self.store.folder} cannot be read back; check the disk and its "
            f"permissions, or point NAPARI_PAST_CACHE to another folder."
        )

    @property
    def found(self) -> FoundCells:
        """Centres, outlines and areas."""
        return self._arrays[0]

    @property
    def centers_um(self) -> npt.NDArray[np.float64]:
        """(n, 2), (x, y) in µm of slide space."""
        return self.found.centers_um

    @property
    def embeddings(self) -> npt.NDArray[np.floating]:
        """(n, d), the tower's output, or the readings of a measured stain."""
        return self._arrays[1]

    @property
    def hematoxylin_od(self) -> npt.NDArray[np.float32]:
        """(n,), haematoxylin optical density at each centre; NaN for brought cells."""
        return self._arrays[2]

    def __len__(self) -> int:
        return len(self.found)

    @cached_property
    def ids(self) -> list[str]:
        """One for each cell: its own where it was brought with one, else a UUID from the slide's
        fingerprint and the cell's place to 0.01 µm."""
        detector = self.plan.detector
        if isinstance(detector, GivenCells) and detector.cells.ids:
            names = detector.cells.ids
            return [names[i] for i in detector.rows_of(self.centers_um).tolist()]
        slide = self.plan.key.fingerprint
        return [
            str(uuid5(ID_NAMESPACE, f"{slide}:{x:.2f},{y:.2f}"))
            for x, y in self.centers_um.tolist()
        ]

    @cached_property
    def brought(self) -> BroughtCells | None:
        """What came with brought cells, in the order of these; None where cells were detected."""
        detector = self.plan.detector
        if not isinstance(detector, GivenCells) or detector.brought is None:
            return None
        return detector.brought.take(detector.rows_of(self.centers_um))

    @cached_property
    def unlike_training(self) -> npt.NDArray[np.float32]:
        """(n,), distance from the training cells; above 1 the cell looks unlike them."""
        return np.asarray(self.model.unlike_training(self.embeddings), np.float32)

    @cached_property
    def slide_unlike_training(self) -> str:
        """What to tell where the cells as a whole look unlike the training; else empty."""
        model = self.model
        return model.slide_unlike_sentence(model.slide_unlike_training(self.embeddings))

    def resolve(self, gene: str) -> Resolved:
        """A gene or marker name, as genes of the model.

        Raises
        ------
        UnknownGene, AmbiguousGene
        """
        return self.model.resolve(gene)

    def expression(self, genes: Sequence[str]) -> FloatArray:
        """Predicted expression, float32 (n, g), of exact symbols, in the model's unit."""
        known = self._neighbours if self.model.needs_neighbours(genes) else None
        return self.model.expression(self.embeddings, genes, known)

    @cached_property
    def _neighbours(self) -> Neighbours:
        """In the model's bank: looked up once, whatever genes are asked for."""
        assert not isinstance(self.model, MeasuredStain), "it has no bank"
        return self.model.neighbours(self.embeddings)

    @cached_property
    def cell_types(self) -> NearestTypes | None:
        """The nearest cell type of the model's bank and its margin; None without such a bank."""
        return self.model.cell_types(self.embeddings)

    @property
    def classified(self) -> ClassifiedCells | None:
        """The classes that `classifier` gives; None without one.

        Raises
        ------
        ModelError
            It takes another model's vectors.
        """
        if self.classifier is None:
            return None
        return classes_of(self.classifier, self.model, self.embeddings)

    def marker_values(self, name: str) -> FloatArray:
        """Predicted value of a gene or marker, float32 (n,); several genes are averaged."""
        return np.asarray(self.expression(self.resolve(name).symbols).mean(axis=1), np.float32)

    def to_anndata(self, genes: Sequence[str] | str | None = None) -> AnnData:
        """The cells as an AnnData, as `napari_past.io` writes it.

        Parameters
        ----------
        genes
            Names, resolved; None takes the panel markers that the model has, "all" every gene.
        """
        from napari_past.engine.annotated import annotated

        return annotated(self, genes)

    @property
    def _arrays(
        self,
    ) -> tuple[FoundCells, npt.NDArray[np.floating], npt.NDArray[np.float32]]:
        self.compute()
        arrays: tuple[FoundCells, npt.NDArray[np.floating], npt.NDArray[np.float32]]
        arrays = self.__dict__["_arrays"]
        return arrays

    def _collected(
        self,
    ) -> tuple[FoundCells, npt.NDArray[np.floating], npt.NDArray[np.float32]] | None:
        """The arrays of all tiles, or None where one that was finished cannot be read back.

        Tiles are read twice: the vectors, which are the most of a slide, go straight to their place
        once it is known how many are kept, and are never in memory in two copies.
        """
        tiles: list[TileSpec] = []
        parts: list[tuple[FoundCells, npt.NDArray[np.float32]]] = []
        for tile in self.plan.tiles:
            result = self.store.read(tile)
            if result is not None:
                tiles.append(tile)
                parts.append((result.cells, result.hematoxylin_od))
        if len(tiles) + len(self.unreadable) != len(self.plan.tiles):
            return None
        found = FoundCells.concatenate([cells for cells, _ in parts])
        od = np.concatenate([np.zeros(0, np.float32), *(values for _, values in parts)])
        sizes = [len(cells) for cells, _ in parts]
        del parts
        keep = self._kept(found.centers_um)
        embeddings = np.empty((int(keep.sum()), self.model.embed_dim), self.model.vector_dtype)
        start = filled = 0
        for tile, n in zip(tiles, sizes, strict=True):
            result = self.store.read(tile)
            if result is None or len(result.embeddings) != n:
                return None
            wanted = result.embeddings[keep[start : start + n]]
            embeddings[filled : filled + len(wanted)] = wanted
            start, filled = start + n, filled + len(wanted)
        if not keep.all():
            found, od = found.take(keep), od[keep]
        return found, embeddings, od

    def _kept(self, centers_um: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which of the tiles' cells lie in the plan's area and regions, and in no Ignore* one."""
        keep = self.plan.area.contains(centers_um)
        limits = [r.contains(centers_um) for r in self.plan.regions if not r.ignored]
        if limits:
            keep &= np.logical_or.reduce(limits)
        wanted = int(keep.sum())
        for region in self.plan.regions:
            if region.ignored:
                keep &= ~region.contains(centers_um)
        self.excluded = wanted - int(keep.sum())
        return keep


def predict(
    slide: Slide,
    model: str | Assay | None = None,
    region: Rect | tuple[float, float, float, float] | None = None,
    cells: FoundCells | BroughtCells | None = None,
    *,
    detector: str | Detector | None = None,
    regions: Sequence[Region] = (),
    device: str = "auto",
    store: Store | None = None,
) -> Cells:
    """Cells of a slide with predicted expression, or with measured DAB. Lazy: see `Cells`.

    Parameters
    ----------
    slide
        As `open_slide` gives it, with a µm/px.
    model
        Name, path or loaded model; None for the default one, and with a detector for real IHC for
        none: the stain is measured then. A `MeasuredStain` measures whatever the cells.
    region
        (x, y, width, height) in µm; None takes all tissue.
    cells
        Cells that are known already; they are encoded instead of detected ones. What came with
        brought ones goes into every table.
    detector
        Registered name, or a detector; unused where `cells` are given.
    regions
        Areas to which the result is limited; cells in Ignore* ones are left out.
    device
        "cpu" or "cuda"; "auto" for that of a loaded model, else a CUDA GPU where there is one.
    store
        Where tiles are kept; None takes the shared cache.

    Raises
    ------
    MissingPixelSize, RegionError, UnknownModel, BadModel, UnknownDetector
    PastError
        A model and a detector for real IHC.
    """
    named = get_detector(detector) if isinstance(detector, str) else detector
    loaded = assay_of(model, named, device)
    chosen = named
    if isinstance(cells, BroughtCells):
        chosen = GivenCells.of(cells.on_slide(slide))
    elif cells is not None:
        chosen = GivenCells(cells)
        if not slide.bounds.contains(cells.centers_um).any():
            raise RegionError(
                f"None of the {len(cells)} given cells lies on {slide.name}, which is "
                f"{slide.size_um[0]:.0f} x {slide.size_um[1]:.0f} µm; give centres in µm from its "
                f"corner."
            )
    plan = make_plan(slide, loaded, chosen, region, regions, device)
    return Cells(plan, loaded, store or Store(plan.key))
