"""Pixels of the virtual stain as the viewer gets them: whatever is asked for, and when."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.cells import StainLogDetector
from napari_past.engine import Cells, CellTable
from napari_past.genes import resolve
from napari_past.plugin import virtual_drawing, virtual_level
from napari_past.plugin.curtain import Curtain
from napari_past.plugin.staining import Look, staining
from napari_past.plugin.virtual_cells import VirtualCells, virtual_cells
from napari_past.plugin.virtual_drawing import VirtualDrawing
from napari_past.plugin.virtual_export import view_picture
from napari_past.plugin.virtual_level import VirtualLevel, overview_of
from napari_past.quality import QualityMask
from napari_past.slide import open_slide
from napari_past.stain import classes
from napari_past.stain.compartments import cell_densities, cell_shapes
from napari_past.stain.dab import DAB_CUTOFFS, stain_densities
from napari_past.stain.virtual import not_analysed, virtual_stains
from napari_past.types import Cutoffs, FoundCells, PixelGrid, Rect, StainProfile


@pytest.fixture(scope="module")
def profile(analysed: Cells) -> StainProfile:
    detector = analysed.plan.detector
    assert isinstance(detector, StainLogDetector)
    assert detector.stains is not None
    return detector.stains


@pytest.fixture
def slide(drawn):
    with open_slide(drawn.path) as slide:
        yield slide


def cells_of(table: CellTable, gene: str, as_classes: bool = True, **changed) -> VirtualCells:
    """Cells as the viewer has them, by quartiles of the gene; reliable unless `changed`."""
    marker = resolve(gene)
    plain = staining(table, marker, None, Look())
    cutoffs = Cutoffs(*(float(q) for q in np.quantile(plain.values, (0.25, 0.5, 0.75))), "test")
    cells = virtual_cells(
        table, staining(table, marker, cutoffs, Look(as_classes=as_classes)), None
    )
    assert cells is not None
    return replace(cells, **{"unlike": np.zeros_like(cells.unlike), **changed})


@pytest.fixture
def drawing(slide, profile):
    drawing = VirtualDrawing(slide.display_pixels, slide.mpp, profile, lambda: None)
    yield drawing
    drawing.close()


def whole(drawing: VirtualDrawing, level: int = 0) -> np.ndarray:
    height, width = drawing.shape(level)
    return drawing.read(level, 0, height, 0, width)


class Canvas:
    """Shows the windows that it is told of."""

    def __init__(self, *windows, curtain: Curtain | None = None) -> None:
        self.windows, self.curtain = windows, curtain

    def shows(self, level, window) -> bool:
        return (level, window) in self.windows


def drawn_at_last(drawing: VirtualDrawing, *window: int) -> np.ndarray:
    """A window of level 0 once it is drawn beside."""
    told = threading.Event()
    drawing._on_drawn = told.set
    for _ in range(100):
        drawn = drawing.drawn
        rgb, there = drawing.glimpse(0, *window)
        # What was drawn since the glimpse is not in it.
        if there.all() and not drawing.busy and drawing.drawn == drawn:
            return rgb
        assert told.wait(30)
        told.clear()
    raise AssertionError("blocks were never drawn")


@pytest.mark.parametrize("gene", ["MKI67", "KRT19", "ERBB2"])
def test_pixels_do_not_depend_on_blocks(drawing, table, slide, profile, gene, monkeypatch):
    drawing.set_cells(cells_of(table, gene))
    full = whole(drawing)
    for window in [(0, 640, 0, 900), (500, 530, 3, 800), (511, 513, 511, 513), (77, 78, 880, 900)]:
        y0, y1, x0, x1 = window
        npt.assert_array_equal(drawing.read(0, *window), full[y0:y1, x0:x1])
    monkeypatch.setattr(virtual_drawing, "BLOCK_PX", 170)
    other = VirtualDrawing(slide.display_pixels, slide.mpp, profile, lambda: None)
    other.set_cells(cells_of(table, gene))
    npt.assert_array_equal(whole(other), full)


@pytest.mark.parametrize("gene", ["MKI67", "KRT19"])
def test_classes_can_be_measured_back(drawing, table, gene):
    """Through the layer's levels: what the canvas shows is what was drawn."""
    cells = cells_of(table, gene)
    drawing.set_cells(cells)
    window = (0, 640, 0, 900)
    drawn_at_last(drawing, *window)
    rgba = VirtualLevel(drawing, 0, Canvas((0, window)))[:640, :900]
    assert (rgba[..., 3] == 255).all()
    found = FoundCells(cells.centers_um, cells.outlines, cells.areas_um2)
    dab = stain_densities(np.ascontiguousarray(rgba[..., :3]), virtual_stains())[1]
    grid = PixelGrid(0, 0, drawing.mpp[0])
    measured = cell_densities(dab, grid, cell_shapes(found)).of(cells.compartment)
    seen = np.isfinite(measured)
    assert seen.mean() > 0.97
    assert cells.cutoffs is not None
    wanted = classes(cells.values, cells.cutoffs)
    assert {0, 1, 2, 3} == set(wanted.tolist())
    assert (classes(measured, DAB_CUTOFFS)[seen] == wanted[seen]).mean() >= 0.98


def test_levels_agree(drawing, table):
    """A coarser level is as brown as the finer one averaged over the same places."""
    drawing.set_cells(cells_of(table, "KRT19"))
    fine, coarse = (stain_densities(whole(drawing, k), virtual_stains())[1] for k in (0, 1))
    parts = [
        fine[k * 128 : k * 128 + 128, j * 128 : j * 128 + 128] for k in range(5) for j in range(7)
    ]
    halves = [
        coarse[k * 64 : k * 64 + 64, j * 64 : j * 64 + 64] for k in range(5) for j in range(7)
    ]
    means = np.array([[p.mean() for p in parts], [h.mean() for h in halves]])
    assert np.corrcoef(means)[0, 1] > 0.97
    assert abs(means[0].mean() - means[1].mean()) < 0.15 * means[0].mean()


def test_other_cutoffs_are_drawn(drawing, table):
    before = cells_of(table, "MKI67")
    drawing.set_cells(before)
    first = drawn_at_last(drawing, 0, 640, 0, 900)
    nobody = replace(before, cutoffs=Cutoffs(97.0, 98.0, 99.0, "test"))
    assert nobody.outdated(before) is None
    drawing.set_cells(nobody)
    assert stain_densities(first, virtual_stains())[1].max() > 0.6
    # What was drawn of the same gene stays in sight until the new is there.
    _, there = drawing.glimpse(0, 0, 640, 0, 900)
    assert there.all()
    last = drawn_at_last(drawing, 0, 640, 0, 900)
    assert stain_densities(last, virtual_stains())[1].max() < 0.06
    npt.assert_array_equal(last, whole(drawing))


def test_another_gene_is_never_seen_under_this_ones_name(drawing, table):
    drawing.set_cells(cells_of(table, "MKI67"))
    drawn_at_last(drawing, 0, 640, 0, 900)
    drawing.set_cells(cells_of(table, "KRT19"))
    drawing.close()  # so that nothing new is drawn
    _, there = drawing.glimpse(0, 0, 640, 0, 900)
    assert not there.any()


def test_a_saved_view_is_of_the_cells_that_its_words_name(drawing, table, slide, profile):
    """Whatever is drawn on the canvas by the time the picture is made."""
    asked, window = cells_of(table, "MKI67"), (0, 512, 0, 768)
    alone = VirtualDrawing(slide.display_pixels, slide.mpp, profile, lambda: None)
    alone.set_cells(asked)
    expected = view_picture(alone, 0, window, asked)
    drawing.set_cells(cells_of(table, "KRT19"))
    npt.assert_array_equal(view_picture(drawing, 0, window, asked), expected)
    other = drawing.cells
    assert other is not None
    assert (view_picture(drawing, 0, window, other) != expected).any()


def test_new_tiles_outdate_only_their_surroundings(table):
    cells = cells_of(table, "MKI67", places=frozenset({(0, 0), (9, 9)}))
    more = replace(cells, places=frozenset({(0, 0), (9, 9), (3, 4)}))
    (rect,) = more.outdated(cells) or ()
    size = cells.tile_um
    assert rect.x_um == 3 * size - 45
    assert rect.y1_um == pytest.approx(5 * size + 45)
    assert cells.outdated(cells) == []
    assert replace(cells, values=cells.values + 1).outdated(cells) is None
    shown = replace(cells, measure="cutoffs")
    assert shown.outdated(cells) is None


def test_what_was_not_analysed_is_grey(drawing, table):
    drawing.set_cells(cells_of(table, "MKI67", tile_um=100.0, places=frozenset({(1, 1), (2, 1)})))
    picture = whole(drawing).astype(int)
    colourful = np.ptp(picture, axis=2)
    mpp = drawing.mpp[0]
    inside = np.zeros(picture.shape[:2], bool)
    inside[round(100 / mpp) : round(200 / mpp), round(100 / mpp) : round(300 / mpp)] = True
    assert (colourful[~inside] == 0).all()
    assert (colourful[inside] > 8).mean() > 0.2
    assert picture[~inside].min() >= 255 - 0.61 * 255


def test_without_cells_all_is_grey(drawing, slide):
    assert np.ptp(whole(drawing).astype(int), axis=2).max() == 0
    npt.assert_array_equal(whole(drawing), not_analysed(np.asarray(slide.display_levels[0])))


def test_cells_that_are_not_scored_are_hatched(table):
    cells = cells_of(table, "MKI67")
    labels = np.zeros((40, 60), np.uint8)
    labels[:, :20] = 2
    index = np.arange(len(cells.values))
    masked = replace(cells, mask=QualityMask(labels, 8.0, "test"))
    npt.assert_array_equal(masked.unreliable(index), cells.centers_um[:, 0] < 160)
    unlike = replace(cells, unlike=np.where(index % 3 == 0, 1.5, np.nan).astype(np.float32))
    npt.assert_array_equal(unlike.unreliable(index), index % 3 == 0)


def test_cells_without_a_value_yet_count_as_not_analysed(table):
    shown = staining(table, resolve("MKI67"), None, Look())
    first = replace(shown, first=replace(shown.first, values=shown.values[:-1]))
    cells = virtual_cells(table, first, None)
    assert cells is not None
    assert len(cells.centers_um) == len(table) - 1
    place = tuple(np.floor(table.centers_um[-1] / cells.tile_um).astype(int).tolist())
    assert place not in cells.places
    assert cells.measure == "limits"
    assert len(cells.near(Rect(0, 0, 450, 320), drawn=True).cells) == len(table) - 1


def test_whoever_takes_pixels_out_takes_the_words(drawing, table):
    drawing.set_cells(cells_of(table, "MKI67"))
    window = (0, 640, 0, 900)
    drawn_at_last(drawing, *window)
    level = VirtualLevel(drawing, 0, Canvas((0, window)))
    clean = whole(drawing)
    npt.assert_array_equal(level[0:640, 0:900][..., :3], clean)
    taken = np.asarray(level)
    assert taken.shape == (640, 900, 4)
    changed = (taken[..., :3] != clean).any(axis=2)
    assert 0.01 < changed.mean() < 0.2
    # In each field of the words, and at the same places in every part.
    assert changed[:200, :420].any()
    assert changed[400:600, 420:840].any()
    npt.assert_array_equal(level[100:300, 200:700], taken[100:300, 200:700])
    npt.assert_array_equal(level[7], taken[7])
    npt.assert_array_equal(level[::2, ::3, :3], taken[::2, ::3, :3])
    small = overview_of(drawing)()
    assert small.shape == (*virtual_level.overview_shape(drawing)[:2], 4)
    assert (small[-3:, :, :3].min(axis=2) > 200).mean() > 0.9


def test_left_of_the_curtain_it_is_clear(drawing, table):
    drawing.set_cells(cells_of(table, "MKI67"))
    window = (0, 640, 0, 900)
    clean = drawn_at_last(drawing, *window)
    curtain = Curtain(x_um=225.0, grip_um=160.0, canvas_mpp=0.5)
    rgba = VirtualLevel(drawing, 0, Canvas((0, window), curtain=curtain))[:640, :900]
    assert (rgba[:, :440, 3] == 0).all()
    assert (rgba[:, 460:, 3] == 255).all()
    npt.assert_array_equal(rgba[:, 460:, :3], clean[:, 460:])
    assert (rgba[:, 450, :3] == rgba[0, 450, 0]).all()
    assert (rgba[310:330, 443:457, 3] == 255).all()
