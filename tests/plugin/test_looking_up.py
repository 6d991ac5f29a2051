"""Cells are looked up beside the GUI thread: in order, cancelled in between, told as it goes."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import numpy.testing as npt
import pytest
from qtpy.QtCore import QObject, QTimer

from napari_past.engine import CellTable, looked_up
from napari_past.model import load_model
from napari_past.plugin.looking_up import LookingUp


@pytest.fixture
def part(qtbot) -> LookingUp:
    owner = QObject()
    part = LookingUp(owner)
    yield part
    part.close()
    owner.deleteLater()


def settle(qtbot, part: LookingUp) -> None:
    qtbot.waitUntil(lambda: not part.busy, timeout=30_000)


def expected(table: CellTable, gene: str) -> np.ndarray:
    vectors = np.stack([table.embedding(i) for i in range(len(table))])
    return table.model.expression(vectors, [gene], table.model.neighbours(vectors))


def test_all_is_worked_out_in_other_threads_and_nothing_is_told_twice(
    part, banked_table, qtbot, gate
) -> None:
    gate.open.set()
    ready = []
    part.arrived.connect(lambda: ready.append(banked_table.ready(["INS"])))
    part.want(banked_table, ["INS"])
    assert part.busy
    assert part.told == ""  # types are worked out in a moment
    settle(qtbot, part)
    n = len(banked_table)
    assert len(banked_table.types.code) == n > 200
    assert ready == sorted(ready)
    assert {100, 200, n} <= set(ready)  # piece by piece
    npt.assert_allclose(banked_table.expression(["INS"]), expected(banked_table, "INS"), rtol=1e-4)
    assert len(gate.threads) == -(-n // 100) + 1  # the last one is `expected`
    assert threading.main_thread() not in gate.threads[:-1]
    gate.threads.clear()
    part.want(banked_table, ["GCG"])  # the same reference cells, other values
    settle(qtbot, part)
    assert gate.threads == []
    assert banked_table.ready(["GCG"]) == n


def test_the_viewer_goes_on_while_cells_wait_to_be_looked_up(
    part, banked_table, qtbot, gate
) -> None:
    ticks = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(1))
    timer.start(5)
    part.want(banked_table, ["INS"])
    qtbot.waitUntil(gate.reached.is_set)
    ticks.clear()
    qtbot.waitUntil(lambda: len(ticks) >= 20)
    assert part.busy
    n = len(banked_table)
    assert part.told == f"Looking up {n:,} cells in past-drawn"
    assert (part.done, part.total) == (0, n)
    gate.open.set()
    qtbot.waitUntil(lambda: banked_table.found >= 100)
    assert part.done >= 100
    settle(qtbot, part)
    assert part.told == ""


def test_another_gene_drops_what_is_no_longer_wanted(part, banked_table, qtbot, gate) -> None:
    part.want(banked_table, ["INS"])
    qtbot.waitUntil(gate.reached.is_set)
    part.want(banked_table, ["ERBB2"])  # of the read-out
    assert not part.busy
    gate.open.set()
    qtbot.wait(300)
    assert (len(gate.threads), banked_table.found) == (1, 0)
    part.want(banked_table, ["INS"])
    settle(qtbot, part)
    npt.assert_allclose(banked_table.expression(["INS"]), expected(banked_table, "INS"), rtol=1e-4)


def test_a_gene_of_the_same_bank_goes_on_with_what_was_begun(
    part, banked_table, qtbot, gate
) -> None:
    part.want(banked_table, ["INS"])
    qtbot.waitUntil(gate.reached.is_set)
    part.want(banked_table, ["GCG"])
    gate.open.set()
    settle(qtbot, part)
    assert banked_table.ready(["GCG"]) == len(banked_table)
    assert banked_table.ready(["INS"]) == 0
    assert len(gate.threads) == -(-len(banked_table) // 100)


def test_cells_of_another_table_never_get_the_answers_of_the_former(
    part, banked_table, banked_folder, qtbot, gate
) -> None:
    part.want(banked_table, ["INS"])
    qtbot.waitUntil(gate.reached.is_set)
    other = CellTable(load_model(str(banked_folder), "cpu"), "1" * 64)
    part.want(other, ["INS"])
    assert not part.busy
    gate.open.set()
    qtbot.wait(300)
    assert (banked_table.found, other.found, len(other.types.code)) == (0, 0, 0)


def test_the_user_stops_it_and_goes_on(part, banked_table, qtbot, gate) -> None:
    part.want(banked_table, ["INS"])
    qtbot.waitUntil(gate.reached.is_set)
    assert part.stopped_told == ""
    part.stop()
    n = len(banked_table)
    assert part.stopped_told.startswith(f"0 of {n:,} cells were looked up")
    part.grow()  # more cells came: it stays stopped
    gate.open.set()
    settle(qtbot, part)
    assert banked_table.found == 0
    assert len(banked_table.types.code) == n
    part.want(banked_table, ["INS"])
    settle(qtbot, part)
    assert (part.stopped_told, part.missing) == ("", 0)
    assert banked_table.ready(["INS"]) == n


def test_cells_that_come_meanwhile_are_looked_up_too(
    part, banked_table, analysed, qtbot, gate
) -> None:
    gate.open.set()
    table = CellTable(banked_table.model, "2" * 64)
    part.want(table, ["INS"])
    assert not part.busy
    table.append(filter(None, (analysed.store.read(tile) for tile in analysed.plan.tiles)))
    part.grow()
    settle(qtbot, part)
    assert table.ready(["INS"]) == len(table.types.code) == len(table) > 200


def test_a_bank_that_is_gone_is_told_once_in_a_sentence(
    part, banked_folder, analysed, qtbot, tmp_path
) -> None:
    folder = tmp_path / "gone"
    shutil.copytree(banked_folder, folder)
    table = CellTable(load_model(str(folder), "cpu"), "3" * 64)
    table.append(filter(None, (analysed.store.read(tile) for tile in analysed.plan.tiles)))
    assert table.model.bank is not None  # it is open now
    (folder / "bank.h5ad").unlink()
    why = []
    part.failed.connect(why.append)
    part.want(table, ["INS"])
    qtbot.waitUntil(lambda: bool(why))
    settle(qtbot, part)
    part.grow()
    qtbot.wait(200)
    assert len(why) == 1
    assert "There is no file" in why[0]
    assert not part.busy


def test_pieces_are_smaller_the_larger_the_bank(banked_table, monkeypatch) -> None:
    monkeypatch.setattr(looked_up, "LEAST_CELLS", 30)
    for pairs, cells in ((100 * len(banked_table.model.bank.bank), 100), (1, 30)):
        monkeypatch.setattr(looked_up, "PAIRS", pairs)
        assert len(banked_table.next_piece(["INS"], types=False)) == cells
