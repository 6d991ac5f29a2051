"""Heat maps: sums in squares, in place, in bounded memory, and the files they come from."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.testing as npt
import pytest
import tifffile

from napari_past.errors import BadTable, CannotWrite
from napari_past.io import heat_map_file
from napari_past.io.heat_map import MOST_BINS, BinSums, HeatAbout, HeatKind, HeatMap
from napari_past.io.heat_map_file import read_heat_map, write_heat_map
from napari_past.types import RESEARCH_USE

SIZE_UM = (1010.0, 650.0)
SIDE_UM = 64.0
CHANNELS = (
    ("attention", HeatKind.ATTENTION, "share of the attention"),
    ("log hazard", HeatKind.CONTRIBUTION, "log hazard"),
)


def about(size_um: tuple[float, float] = SIZE_UM) -> HeatAbout:
    return HeatAbout(
        slide_name="Gewebe µ.svs", slide_fingerprint="ab" * 32, slide_size_um=size_um,
        slide_mpp=0.5, slides=2, tile_um=None, instances=5, looked_at=5, model="past-mini",
        model_sha256="0" * 64, network="network 11111111", network_sha256="1" * 64,
        pooling="attention", head="cox", fitted_on="Fitted on 3 patients.",
        evidence="Evidence: none.", in_fit=False,
    )  # fmt: skip


PLACES_UM = np.array([[700.0, 130.0], [703.0, 191.9], [5.0, 5.0], [1010.0, 650.0], [64.0, 0.0]])
"""(x, y): two in column 10, row 2; one at the far corner; one on the border of two squares."""
ATTENTION = np.array([0.4, 0.3, 0.1, 0.1, 0.1])
ADDED = np.array([0.5, -0.1, -0.2, 0.0, 0.05])


@pytest.fixture
def planted() -> HeatMap:
    sums = BinSums(SIZE_UM, 2, SIDE_UM)
    sums.add(PLACES_UM, {0: ATTENTION, 1: ADDED})
    return sums.heat_map(about(), CHANNELS)


def test_squares_hold_the_sums_of_their_cells(planted: HeatMap) -> None:
    attention, added = (channel.values for channel in planted.channels)
    expected = {(2, 10): (2, 0.7, 0.4), (0, 0): (1, 0.1, -0.2), (10, 15): (1, 0.1, 0.0),
                (0, 1): (1, 0.1, 0.05)}  # fmt: skip
    assert attention.shape == (11, 16)
    assert set(zip(*np.nonzero(planted.cells), strict=True)) == set(expected)
    for place, (n, looked, gained) in expected.items():
        assert planted.cells[place] == n
        npt.assert_allclose((attention[place], added[place]), (looked, gained), rtol=1e-6)
    assert np.isnan(attention[planted.cells == 0]).all()
    npt.assert_allclose((np.nansum(attention), np.nansum(added)), (1, ADDED.sum()), rtol=1e-6)


@pytest.mark.parametrize("places", [[[-0.1, 5.0]], [[5.0, 705.0]], [[np.nan, 5.0]]])
def test_cells_beyond_the_slide_are_refused(places: list) -> None:
    with pytest.raises(BadTable, match="prepare the slide again"):
        BinSums(SIZE_UM, 1, SIDE_UM).add(np.array(places), {0: np.ones(1)})


def test_a_million_cells_need_the_memory_of_the_squares() -> None:
    size_um = (60_000.0, 40_000.0)
    rng = np.random.default_rng(5)
    tracemalloc.start()
    sums = BinSums(size_um, 2)
    for _ in range(16):
        places = rng.random((65_536, 2), np.float32) * size_um
        weights = rng.random(65_536, np.float32)
        sums.add(places, {0: weights, 1: weights - 0.5})
    found = sums.heat_map(about(size_um), CHANNELS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.cells.sum() == sums.counted == 2**20
    squares = found.cells.size
    assert squares < MOST_BINS
    # Sums and counts of 8 bytes, the map's own, and one piece of cells; a million cells are 28 MB.
    assert peak < squares * (3 * 8 + 3 * 4 + 2 * 8) + 65_536 * 120


def test_squares_of_huge_slides_are_larger() -> None:
    sums = BinSums((400_000.0, 300_000.0), 1)
    assert sums.bin_um == 256.0


def test_the_file_gives_the_map_back(planted: HeatMap, tmp_path: Path) -> None:
    path = tmp_path / "a.heat.tif"
    write_heat_map(path, planted)
    first = path.read_bytes()
    found = read_heat_map(path)
    assert (found.about, found.grid) == (planted.about, planted.grid)
    npt.assert_array_equal(found.cells, planted.cells)
    for back, given in zip(found.channels, planted.channels, strict=True):
        assert replace(back, values=given.values) == given
        npt.assert_array_equal(back.values, given.values)
    write_heat_map(path, planted)
    assert path.read_bytes() == first


def test_other_software_finds_channels_and_micrometres(planted: HeatMap, tmp_path: Path) -> None:
    path = tmp_path / "a.heat.tif"
    write_heat_map(path, planted)
    with tifffile.TiffFile(path) as tif:
        pixels = ElementTree.fromstring(tif.ome_metadata).find("{*}Image/{*}Pixels")
        series = tif.series[0]
        assert (series.axes, series.shape, series.dtype) == ("CYX", (3, 11, 16), np.float32)
        text = tif.pages[0].description
    assert [channel.get("Name") for channel in pixels.findall("{*}Channel")] == [
        "attention", "log hazard", "cells"
    ]  # fmt: skip
    told = {key: pixels.get(key) for key in ("PhysicalSizeX", "PhysicalSizeY", "PhysicalSizeXUnit")}
    assert told == {
        "PhysicalSizeX": "64.0", "PhysicalSizeY": "64.0", "PhysicalSizeXUnit": "µm"
    }  # fmt: skip
    assert "ab" * 32 in text
    assert RESEARCH_USE.split("&")[0][:40] in text
    assert str(tmp_path) not in text


def described(path: Path, change: Callable[[dict], object]) -> None:
    """Write a file again with another description."""
    with tifffile.TiffFile(path) as tif:
        pixels, xml = tif.asarray(), tif.pages[0].description
    told = json.loads(ElementTree.fromstring(xml).findtext("{*}Image/{*}Description"))
    changed = change(told["napari_past_heat_map"])
    text = changed if isinstance(changed, str) else json.dumps(told)
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack",
                     metadata={"axes": "CYX", "Description": text})  # fmt: skip


def repainted(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Write a file again with other pixels and the same description."""
    with tifffile.TiffFile(path) as tif:
        pixels, xml = tif.asarray(), tif.pages[0].description
    text = ElementTree.fromstring(xml).findtext("{*}Image/{*}Description")
    tifffile.imwrite(path, change(pixels), ome=True, photometric="minisblack",
                     metadata={"axes": "CYX", "Description": text})  # fmt: skip


def _set(place: tuple[int, int, int], value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(pixels: np.ndarray) -> np.ndarray:
        pixels[place] = value
        return pixels

    return change


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no image": (lambda p: p.write_bytes(b"no image at all"), "cannot be read as a heat map"),
    "empty": (lambda p: p.write_bytes(b""), "cannot be read as a heat map"),
    "cut": (lambda p: p.write_bytes(p.read_bytes()[:-400]), "or is damaged"),
    "another image": (lambda p: tifffile.imwrite(p, np.ones((4, 4))), "no heat map of this"),
    "entities": (
        lambda p: tifffile.imwrite(p, np.ones((4, 4)), description='<!ENTITY b "c">'),
        "no heat map has",
    ),
    "other words": (lambda p: described(p, lambda told: "[" * 5000), "no heat map of this"),
    "later version": (lambda p: described(p, lambda told: told.update(schema_version=9)), "update"),
    "no fingerprint": (
        lambda p: described(p, lambda told: told["about"].update(slide_fingerprint="x")),
        "slide_fingerprint",
    ),
    "a folder": (
        lambda p: described(p, lambda told: told["about"].update(slide_name="/home/anna/a.svs")),
        "slide_name",
    ),
    "no size": (lambda p: described(p, lambda told: told.update(bin_um=0)), "bin_um"),
    "another slide's size": (
        lambda p: described(p, lambda told: told["about"].update(slide_size_um=[9000, 50])),
        "do not cover",
    ),
    "fewer channels": (lambda p: repainted(p, lambda pixels: pixels[:2]), "heat map"),
    "whole numbers": (lambda p: repainted(p, lambda pixels: pixels.astype(np.uint8)), "float32"),
    "infinite": (lambda p: repainted(p, _set((1, 2, 10), np.inf)), "no number"),
    "negative attention": (lambda p: repainted(p, _set((0, 2, 10), -1)), "negative"),
    "heat without cells": (lambda p: repainted(p, _set((0, 5, 5), 1)), "where no cell is"),
    "missing": (lambda p: p.unlink(), "no file"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_damaged_or_foreign_is_told_in_one_sentence(
    case: str, planted: HeatMap, tmp_path: Path
) -> None:
    path = tmp_path / "a.heat.tif"
    write_heat_map(path, planted)
    spoil, said = HOSTILE[case]
    spoil(path)
    with pytest.raises(BadTable, match=said) as told:
        read_heat_map(path)
    assert "\n" not in str(told.value)
    assert "a.heat.tif" in str(told.value)


def test_a_file_that_would_fill_the_memory_is_not_unpacked(
    planted: HeatMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.heat.tif"
    write_heat_map(path, planted)
    monkeypatch.setattr(heat_map_file, "MOST_BINS", planted.cells.size - 1)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", None)
    with pytest.raises(BadTable, match="more than any heat map"):
        read_heat_map(path)


def test_a_folder_that_is_missing_is_told(planted: HeatMap, tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="create it first"):
        write_heat_map(tmp_path / "none" / "a.heat.tif", planted)
