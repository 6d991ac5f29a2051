from __future__ import annotations

import errno
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest
import shapely
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QObject

from napari_past.errors import BadTable, CannotWrite
from napari_past.plugin import annotating as annotating_module
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.annotations import Annotations
from napari_past.plugin.autosave import Autosave, NotReadNow
from napari_past.quality import QualityMask
from napari_past.types import IGNORE, INCLUDE, TUMOUR, Cutoffs, Region

SLIDE, OTHER = "a" * 64, "b" * 64
HOLED = shapely.Polygon([(0.1, 0.2), (100 / 3, 0.2), (100 / 3, 50)], [[(20, 5), (25, 5), (25, 10)]])
DOCUMENT = Annotations(
    regions=(
        Region("Region 1", TUMOUR, HOLED),
        Region("zwei · 二", INCLUDE, shapely.MultiPolygon([shapely.box(0, 0, 1, 1), HOLED])),
        Region("Region 1", "Ignore* fold", shapely.box(-5, -5, 0, 0)),
    ),
    cell_notes={"8d0e": 'mitosis? "yes"\nsecond line'},
    region_notes={"zwei · 二": "DCIS"},
    cutoffs={"past-mini: CD3D + CD3E": Cutoffs(-0.1, 1 / 3, 2.0, "set by you")},
    core_columns={"A-1": {"case": "17"}},
)
MASK = QualityMask(np.tile(np.arange(5, dtype=np.uint8), (7, 4)), 8.0, "edited")
MASK_SIZE_UM = (8.0 * 20, 8.0 * 7)


@dataclass(frozen=True)
class Named:
    """A slide, as far as annotations ask."""

    fingerprint: str
    name: str


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAPARI_PAST_DATA_HOME", str(tmp_path))
    return tmp_path


def test_comes_back_as_it_was_saved_and_by_slide(home: Path) -> None:
    Autosave().save(SLIDE, "slide.svs", DOCUMENT)
    assert Autosave().load(SLIDE) == DOCUMENT
    assert Autosave().load(OTHER).empty
    told = json.loads(Autosave().path(SLIDE).read_text(encoding="utf-8"))
    assert (told["schema"], told["slide"], told["unit"]) == (1, "slide.svs", "um")
    geometry = told["regions"][0]["geometry"]
    assert geometry["type"] == "Polygon"
    assert geometry["coordinates"][0][0] == [0.1, 0.2]
    assert {path.suffix for path in home.rglob("*") if path.is_file()} == {".json"}


def test_what_the_disk_does_not_give_is_never_saved_over(
    home: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    autosave = Autosave()
    kept = Annotations((Region("A", TUMOUR, HOLED),), {"1": "old", "2": "old"})
    autosave.save(SLIDE, "s", kept)
    path, aside = autosave.path(SLIDE), tmp_path / "aside"
    # A folder in its place is what any user, root too, cannot read.
    path.rename(aside)
    path.mkdir()
    with pytest.raises(NotReadNow, match="left as they are"):
        autosave.load(SLIDE)
    slide = Named(SLIDE, "s")
    parent = QObject()
    annotating = Annotating(ViewerModel(), parent)
    annotating.set_slide(slide)
    annotating.set_cell_note("2", "new")
    annotating.set_slide(Named(OTHER, "t"))
    assert path.is_dir()

    annotating.set_slide(slide)
    annotating.set_cell_note("2", "newer")
    path.rmdir()
    aside.rename(path)
    annotating.set_slide(None)
    found = autosave.load(SLIDE)
    assert found.cell_notes == {"1": "old", "2": "newer"}
    assert [region.name for region in found.regions] == ["A"]


def test_changes_are_written_beside_the_viewer_and_the_last_one_stays(
    home: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is slow with the first state and full for the second: the end waits for it."""
    reached, gate, threads = threading.Event(), threading.Event(), []
    write = Path.write_text

    def slow(path: Path, *arguments: object, **named: object) -> int:
        threads.append(threading.current_thread())
        reached.set()
        assert gate.wait(30), "the gate stayed closed"
        if len(threads) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, *arguments, **named)

    monkeypatch.setattr(annotating_module, "_SAVE_AFTER_MS", 0)
    monkeypatch.setattr(Path, "write_text", slow)
    parent = QObject()
    annotating = Annotating(ViewerModel(), parent)
    annotating.set_slide(Named(SLIDE, "s"))
    annotating.set_cell_note("1", "old")
    qtbot.waitUntil(reached.is_set)
    annotating.set_cell_note("1", "new")
    told = len(notification_manager.records)
    gate.set()
    qtbot.waitUntil(lambda: len(notification_manager.records) > told)
    assert "disk is full" in str(notification_manager.records[-1].message)
    assert Autosave().load(SLIDE).cell_notes == {"1": "old"}
    annotating.close()
    assert Autosave().load(SLIDE).cell_notes == {"1": "new"}
    assert threading.main_thread() not in threads[:2]


def test_a_slide_that_is_left_and_opened_again_has_what_was_being_written(
    home: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, gate = threading.Event(), threading.Event()
    write = Path.write_text

    def slow(path: Path, *arguments: object, **named: object) -> int:
        reached.set()
        assert gate.wait(30), "the gate stayed closed"
        return write(path, *arguments, **named)

    monkeypatch.setattr(annotating_module, "_SAVE_AFTER_MS", 0)
    monkeypatch.setattr(Path, "write_text", slow)
    parent = QObject()
    annotating = Annotating(ViewerModel(), parent)
    annotating.set_slide(Named(SLIDE, "s"))
    annotating.set_cell_note("1", "note")
    qtbot.waitUntil(reached.is_set)
    threading.Timer(0.1, gate.set).start()
    annotating.set_slide(Named(SLIDE, "s"))
    assert annotating.cell_notes == {"1": "note"}


def test_file_of_an_earlier_version_is_still_read(home: Path) -> None:
    path = Autosave().path(SLIDE)
    path.parent.mkdir()
    ring = [[0, 0], [4, 0], [4, 4], [0, 0]]
    kept = {
        "schema": 1,
        "slide": "s",
        "unit": "um",
        "regions": [
            {"name": "A", "role": IGNORE, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        ],
        "cell_notes": {"c": "note"},
        "region_notes": {},
        "cutoffs": {"m: G": [1, 2, 3, "set by you"]},
    }
    path.write_text(json.dumps(kept))
    found = Autosave().load(SLIDE)
    assert found.regions[0].bounds.width_um == 4
    assert found.cutoffs["m: G"].values == (1, 2, 3)


WHOLE = {"schema": 1, "regions": [], "cell_notes": {}, "region_notes": {}, "cutoffs": {}}


def region_with(geometry: object) -> str:
    return json.dumps({**WHOLE, "regions": [{"name": "A", "role": TUMOUR, "geometry": geometry}]})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"schema": 1, "regions": [{"na', id="torn"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(json.dumps({**WHOLE, "schema": 2}).encode(), id="later version"),
        pytest.param(json.dumps({**WHOLE, "cell_notes": []}).encode(), id="wrong type"),
        pytest.param(json.dumps({**WHOLE, "cutoffs": {"g": [3, 2, 1, "x"]}}).encode(), id="limits"),
        pytest.param(region_with({"type": "Point", "coordinates": [0, 0]}).encode(), id="point"),
        pytest.param(
            region_with({"type": "Polygon", "coordinates": [[[0, 0]]]}).encode(), id="one corner"
        ),
        pytest.param(region_with({"type": "Nonsense"}).encode(), id="no geometry"),
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_damaged_file_is_set_aside_and_told(home: Path, content: bytes) -> None:
    autosave = Autosave()
    path = autosave.path(SLIDE)
    path.parent.mkdir()
    for _ in range(2):
        path.write_bytes(content)
        with pytest.raises(BadTable, match="cannot be read") as caught:
            autosave.load(SLIDE)
        assert str(caught.value).count("\n") == 0
        assert not path.exists()
    aside = list(path.parent.glob("*.damaged"))
    # the second one does not take the place of the first
    assert [a.read_bytes() for a in aside] == [content, content]
    assert any(str(a) in str(caught.value) for a in aside)
    assert autosave.load(SLIDE).empty
    autosave.save(SLIDE, "s", DOCUMENT)
    assert autosave.load(SLIDE) == DOCUMENT


def test_full_disk_is_told_and_the_last_state_stays(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    autosave = Autosave()
    autosave.save(SLIDE, "s", DOCUMENT)

    def full(path: Path, *_: object, **__: object) -> int:
        path.write_bytes(b"{")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(CannotWrite, match="disk is full; free some space"):
            autosave.save(SLIDE, "s", Annotations())
    assert autosave.load(SLIDE) == DOCUMENT
    assert [p.name for p in autosave.path(SLIDE).parent.iterdir()] == [f"{SLIDE}.json"]


@pytest.mark.parametrize(
    "save",
    [
        pytest.param(lambda autosave: autosave.save(SLIDE, "s", DOCUMENT), id="document"),
        pytest.param(lambda autosave: autosave.save_mask(SLIDE, MASK), id="mask"),
    ],
)
def test_folder_that_cannot_be_made_is_told(home: Path, save: Callable) -> None:
    (home / "annotations").write_text("a file where a folder should be")
    with pytest.raises(CannotWrite, match="NAPARI_PAST_DATA_HOME"):
        save(Autosave())


def test_two_viewers_never_tear_a_file(home: Path) -> None:
    mine = Annotations(cell_notes={str(k): "mine" for k in range(2000)})
    theirs = Annotations(region_notes={str(k): "theirs" for k in range(10)})
    Autosave().save(SLIDE, "s", mine)

    def write(document: Annotations) -> None:
        for _ in range(30):
            Autosave().save(SLIDE, "s", document)

    writers = [threading.Thread(target=write, args=(d,)) for d in (mine, theirs)]
    for writer in writers:
        writer.start()
    seen = []
    while any(writer.is_alive() for writer in writers):
        seen.append(Autosave().load(SLIDE))
    for writer in writers:
        writer.join()
    assert seen
    assert all(document in (mine, theirs) for document in seen)
    Autosave().save(SLIDE, "s", theirs)
    assert Autosave().load(SLIDE) == theirs
    assert len(list(Autosave().path(SLIDE).parent.iterdir())) == 1


def test_painted_mask_comes_back_and_is_forgotten(home: Path) -> None:
    autosave = Autosave()
    assert autosave.load_mask(SLIDE, MASK_SIZE_UM) is None
    autosave.save_mask(SLIDE, None)
    autosave.save_mask(SLIDE, MASK)
    found = Autosave().load_mask(SLIDE, MASK_SIZE_UM)
    assert found is not None
    npt.assert_array_equal(found.labels, MASK.labels)
    assert (found.mpp, found.source) == (MASK.mpp, MASK.source)
    assert autosave.load_mask(OTHER, MASK_SIZE_UM) is None
    autosave.save_mask(SLIDE, None)
    assert autosave.load_mask(SLIDE, MASK_SIZE_UM) is None


def test_damaged_mask_is_set_aside_and_told(home: Path) -> None:
    autosave = Autosave()
    autosave.save_mask(SLIDE, MASK)
    path = autosave.mask_path(SLIDE)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(BadTable, match="mask of what is not scored"):
        autosave.load_mask(SLIDE, MASK_SIZE_UM)
    assert len(list(path.parent.glob("*.damaged"))) == 1
    assert autosave.load_mask(SLIDE, MASK_SIZE_UM) is None


def test_cutoffs_of_other_slides_are_found_by_model_and_gene(home: Path) -> None:
    autosave = Autosave()
    assert autosave.cutoffs_elsewhere("m: G", but=SLIDE) == []
    for slide, name, cutoffs in (
        (SLIDE, "here.svs", {"m: G": Cutoffs(1, 2, 3, "set by you")}),
        (OTHER, "b.svs", {"m: G": Cutoffs(4, 5, 6, "set by you"), "m: H": Cutoffs(7, 8, 9, "x")}),
        ("c" * 64, "a.svs", {"m: G": Cutoffs(0.1, 0.2, 0.3, "copied from b.svs")}),
        ("d" * 64, "d.svs", {"other model: G": Cutoffs(1, 2, 3, "set by you")}),
    ):
        autosave.save(slide, name, Annotations(cutoffs=cutoffs))
    autosave.path("e" * 64).write_bytes(b'{"cutoffs"')
    autosave.path("f" * 64).write_text('{"slide": "f", "cutoffs": {"m: G": [3, 2, 1, "x"]}}')
    found = autosave.cutoffs_elsewhere("m: G", but=SLIDE)
    assert [(kept.slide, kept.cutoffs.values) for kept in found] == [
        ("a.svs", (0.1, 0.2, 0.3)),
        ("b.svs", (4, 5, 6)),
    ]
    # a damaged file is its own slide's affair
    assert autosave.path("e" * 64).exists()
