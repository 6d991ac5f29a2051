"""A drawn slide of six tiles, and stores of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from napari_past.cells import get_detector
from napari_past.engine import Cells, Plan, Store, Workers, make_plan, run_plan
from napari_past.engine.measured import assay_of
from napari_past.model import Model, load_model
from napari_past.sample import write_phantom
from napari_past.slide import Slide, open_slide

WIDTH_PX, HEIGHT_PX, MPP = 1150, 800, 0.5
STAIN = "ihc-nuclear"


@pytest.fixture(scope="session")
def slide_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """575 x 400 µm: three tiles by two of 256 µm, the outer ones cut by the slide's edge."""
    path = tmp_path_factory.mktemp("slide") / "phantom.ome.tif"
    return Path(write_phantom(path, WIDTH_PX, HEIGHT_PX, MPP, seed=4))


@pytest.fixture(scope="session")
def slide(slide_file: Path) -> Slide:
    return open_slide(slide_file)


@pytest.fixture(scope="session")
def model(tiny_model_file: Path) -> Model:
    return load_model(tiny_model_file, "cpu")


@pytest.fixture(scope="session")
def plan(slide: Slide, model: Model) -> Plan:
    """The whole slide's."""
    return make_plan(slide, model)


@pytest.fixture(scope="session")
def undisturbed(
    plan: Plan, model: Model, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Cells]:
    """The whole slide, computed once; each call gives it from its store."""
    root = tmp_path_factory.mktemp("undisturbed")
    Cells(plan, model, Store(plan.key, root)).compute()
    return lambda: Cells(plan, model, Store(plan.key, root))


@pytest.fixture(scope="session")
def tile_bytes() -> Callable[[Store], dict[str, bytes]]:
    """``tile_bytes(store)``: its tiles, by name."""
    return lambda store: {p.name: p.read_bytes() for p in sorted(store.folder.glob("*.tile"))}


@pytest.fixture(scope="session")
def stain_plan(slide: Slide) -> Plan:
    """The whole slide's, of a measured stain: processes that run it need no torch, whose import
    takes each of them seconds."""
    stain = assay_of(None, get_detector(STAIN), "cpu")
    return make_plan(slide, stain, get_detector(STAIN), device="cpu")


@pytest.fixture(scope="session")
def stain_bytes(
    stain_plan: Plan,
    tile_bytes: Callable[[Store], dict[str, bytes]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, bytes]:
    """Its tiles as this process makes them by itself."""
    store = Store(stain_plan.key, tmp_path_factory.mktemp("stain"))
    run_plan(stain_plan, store)
    return tile_bytes(store)


@pytest.fixture(scope="session")
def lost() -> list[str]:
    """What `workers` told of a lost process."""
    return []


@pytest.fixture(scope="session")
def workers(lost: list[str]) -> Iterator[Workers]:
    """A process with two threads, shared by all tests: starting one takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        # Workers find modules where this process does.
        patch.syspath_prepend(Path(__file__).parent / "doubles")
        with Workers(device="cpu", threads=2, niceness=1, on_lost=lost.append) as workers:
            yield workers
