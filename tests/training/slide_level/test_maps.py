"""Maps of a cohort's slides: in place, adding up over a patient, without names or folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.testing as npt
import pandas as pd
import pytest
import tifffile

from napari_past.errors import BadTable, Cancelled
from napari_past.io.heat_map_file import read_heat_map
from past_training.slide_level.bags.array_bag import ArrayBag
from past_training.slide_level.bags.chained import Chained
from past_training.slide_level.bags.prepared import ModelIdentity, Prepared, PreparedSlide
from past_training.slide_level.cohort.cohort import Cohort
from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.fitting import (
    ClassTarget,
    FitOptions,
    Origin,
    SlideNetwork,
    SurvivalTarget,
    fit_network,
)
from past_training.slide_level.maps import write_maps

DIM, CELLS, PATIENTS = 8, 60, 12
SIZE_UM = (1000.0, 640.0)
HOT_UM = (700.0, 130.0)
"""Where the cells lie that make a patient's outcome worse."""


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    """Patients with one slide each; the first has two. Driving cells, along the first axis of the
    vectors, lie in one square of 64 µm; the later a patient, the more of them."""
    rng = np.random.default_rng(2)
    slides, bags, names = [], [], [f"Frau Muster {i}" for i in range(PATIENTS)]
    for i, patient in enumerate(names):
        parts = []
        for k in range(2 if i == 0 else 1):
            vectors = rng.normal(size=(CELLS, DIM))
            places = rng.random((CELLS, 2)) * SIZE_UM
            vectors[: 2 * i, 0] += 4
            places[: 2 * i] = HOT_UM
            name = f"/data/Muster/{i}-{k}.svs"
            slides.append(
                PreparedSlide(
                    name=name, place=name, patient=patient,
                    fingerprint=f"{len(slides):08x}" + 56 * "0",
                    size_um=SIZE_UM, mpp=0.5, cells=CELLS, instances=CELLS, unreadable_tiles=0,
                    left_out={}, digest="",
                )
            )  # fmt: skip
            parts.append(ArrayBag(name, vectors.astype(np.float16), places))
        bags.append(Chained(patient, parts))
    return Prepared(
        folder=Path(), cohort=Cohort("cohort", tuple(names)),
        model=ModelIdentity("past-mini", "1" * 64, DIM), instances="cells", tile_um=None,
        slides=tuple(slides), bags=tuple(bags), summaries=pd.DataFrame(index=names),
        mean_vectors=np.zeros((PATIENTS, DIM), np.float32),
    )  # fmt: skip


@pytest.fixture(scope="module")
def network(prepared: Prepared) -> SlideNetwork:
    target = SurvivalTarget(
        np.arange(PATIENTS, 0, -1).astype(np.float64), np.ones(PATIENTS, np.bool_)
    )
    options = FitOptions(pooling="attention", epochs=60, width=8, seed=1)
    return fit_network(prepared.bags, target, options, origin=Origin.of(prepared))


def test_every_slide_has_a_map_that_leads_to_the_driver(
    prepared: Prepared, network: SlideNetwork, tmp_path: Path
) -> None:
    done = []
    paths = write_maps(network, prepared, tmp_path, lambda n, of: done.append((n, of)))
    assert [path.name for path in paths[:3]] == ["0-0.heat.tif", "0-1.heat.tif", "1-0.heat.tif"]
    assert done[-1] == (13, 13)
    found = [read_heat_map(path) for path in paths]
    # Both slides of the first patient share an attention of 1, and what adds to the output.
    for bag, maps in ((0, found[:2]), (11, found[12:])):
        attention, gain = (
            sum(float(np.nansum(one.channels[k].values)) for one in maps) for k in (0, 1)
        )
        output = network.outputs([prepared.bags[bag]])[0, 0]
        npt.assert_allclose((attention, gain), (1, output - network.base()), atol=2e-3)
    worst = found[-1]
    row, column = np.unravel_index(np.nanargmax(worst.channels[1].values), worst.cells.shape)
    assert (row, column) == (int(HOT_UM[1] // 64), int(HOT_UM[0] // 64))
    assert worst.cells[row, column] >= 22
    assert worst.channels[1].unit == "log hazard"
    about = worst.about
    assert (about.in_fit, about.slides, about.instances, about.looked_at) == (True, 1, 60, 60)
    assert "fitted on 12 patients" in about.fitted_on
    assert found[0].about.slides == 2
    for path in paths:
        with tifffile.TiffFile(path) as tif:
            text = tif.pages[0].description
        for private in ("Muster", "Frau", "/data", str(tmp_path)):
            assert private not in text


def test_tiles_are_the_squares_and_each_class_has_a_channel(
    prepared: Prepared, tmp_path: Path
) -> None:
    labels = tuple("high" if i > 5 else "low" for i in range(PATIENTS))
    options = FitOptions(pooling="transformer", epochs=1, width=8, seed=1, instances=20)
    network = fit_network(prepared.bags, ClassTarget({"grade": labels}), options)
    tiled = Prepared(**{**vars(prepared), "tile_um": 128.0, "instances": "tiles"})
    found = read_heat_map(write_maps(network, tiled, tmp_path)[0])
    assert found.grid.mpp == found.about.tile_um == 128.0
    assert [channel.name for channel in found.channels] == ["attention", *network.output_names]
    assert "first order" in found.channels[1].unit
    assert found.about.in_fit is None
    assert found.about.looked_at <= found.about.instances == 2 * CELLS


def test_slides_that_do_not_fit_are_refused(
    prepared: Prepared, network: SlideNetwork, tmp_path: Path
) -> None:
    slide = prepared.slides[3]
    unknown = PreparedSlide(**{**vars(slide), "fingerprint": ""})
    some = Prepared(**{**vars(prepared), "slides": (*prepared.slides[:3], unknown)})
    with pytest.raises(BadTable, match=r"2-0\.svs does not tell its slide's fingerprint"):
        write_maps(network, some, tmp_path)
    tiled = Prepared(**{**vars(prepared), "tile_um": 128.0, "instances": "tiles"})
    with pytest.raises(BadCohort, match="fitted on cells, but these are tiles of 128 µm"):
        write_maps(network, tiled, tmp_path)
    assert not list(tmp_path.iterdir())


def test_it_stops_where_it_is_told_to(
    prepared: Prepared, network: SlideNetwork, tmp_path: Path
) -> None:
    with pytest.raises(Cancelled):
        write_maps(network, prepared, tmp_path, cancelled=lambda: bool(list(tmp_path.iterdir())))
    assert len(list(tmp_path.iterdir())) == 2


def test_slides_of_one_file_name_have_files_of_their_own(
    prepared: Prepared, network: SlideNetwork, tmp_path: Path
) -> None:
    twins = tuple(
        PreparedSlide(**{**vars(slide), "name": f"/data/{i}/a.svs"})
        for i, slide in enumerate(prepared.slides[:2])
    )
    bags = (
        ArrayBag(twin.name, np.zeros((3, DIM), np.float16), np.full((3, 2), 5.0)) for twin in twins
    )
    paths = write_maps(
        network, Prepared(**{**vars(prepared), "slides": twins, "bags": tuple(bags)}), tmp_path
    )
    assert [path.name for path in paths] == ["a.00000000.heat.tif", "a.00000001.heat.tif"]
