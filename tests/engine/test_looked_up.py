"""What a bank says of a table's cells is the same in pieces, in any thread, as at once."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.engine import CellTable, looked_up
from napari_past.errors import Cancelled
from napari_past.model import load_model

BANK_GENES = ("KRT19", "VIM", "CD3E")
"""The last one is the read-out's, too."""


@pytest.fixture
def tiles(undisturbed):
    cells = undisturbed().compute()
    return [cells.store.read(tile) for tile in cells.plan.tiles]


@pytest.fixture
def banked(tmp_path: Path, tiny_model_file, write_banked_model, tiles):
    """A model whose bank holds every third cell of the slide."""
    vectors = np.concatenate([tile.embeddings for tile in tiles])[::3].astype(np.float32)
    rng = np.random.default_rng(4)
    types = [("T cell", "B cell", "tumour")[i] for i in rng.integers(0, 3, len(vectors))]
    values = rng.gamma(1.0, size=(len(vectors), 3)) * (rng.random((len(vectors), 3)) < 0.5)
    folder = write_banked_model(
        tmp_path / "banked", tiny_model_file, vectors, types, BANK_GENES, values
    )
    return load_model(str(folder), "cpu")


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looked_up, "MOST_CELLS", 23)
    monkeypatch.setattr(looked_up, "LEAST_CELLS", 5)
    monkeypatch.setattr(looked_up, "PAIRS", 1)
    monkeypatch.setattr(looked_up, "VALUED_CELLS", 17)


def filled(model, tiles) -> CellTable:
    table = CellTable(model, "0" * 64)
    table.append(tiles)
    return table


def work_off(table: CellTable, genes: tuple[str, ...]) -> list[looked_up.Piece]:
    pieces = []
    while (piece := table.next_piece(genes)) is not None:
        assert table.take(piece, piece.work(lambda share: None))
        pieces.append(piece)
    return pieces


def test_pieces_give_what_the_model_gives_at_once(banked, tiles, small_pieces) -> None:
    table = filled(banked, tiles)
    vectors = np.concatenate([tile.embeddings for tile in tiles])
    pieces = work_off(table, ("VIM", "ERBB2", "KRT19"))
    assert [p.kind for p in pieces[: len(vectors) // 23]] == ["types"] * (len(vectors) // 23)
    assert {p.kind for p in pieces} == {"types", "neighbours", "values"}
    for kind in ("types", "neighbours", "values"):
        own = [p for p in pieces if p.kind == kind]
        assert [p.start for p in own] == [0, *(p.stop for p in own)][:-1]
        assert own[-1].stop == len(vectors)
    expected = banked.cell_types(vectors)
    assert table.types.names == expected.names == ("B cell", "T cell", "tumour")
    npt.assert_array_equal(table.types.code, expected.code)
    npt.assert_allclose(table.types.margin, expected.margin, atol=1e-5)
    assert len(np.unique(table.types.code)) > 1
    genes = ["VIM", "ERBB2", "KRT19"]
    npt.assert_allclose(
        table.expression(genes, stop=table.ready(genes)),
        banked.expression(vectors, genes, banked.neighbours(vectors)),
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip


def test_values_come_in_the_order_of_the_cells(banked, tiles, small_pieces) -> None:
    table = filled(banked, tiles)
    vectors = np.concatenate([tile.embeddings for tile in tiles])
    expected = banked.expression(vectors, ["VIM"], banked.neighbours(vectors))
    seen = []
    while (piece := table.next_piece(["VIM"])) is not None:
        assert table.take(piece, piece.work(lambda share: None))
        n = table.ready(["VIM"])
        if n not in seen:
            seen.append(n)
            npt.assert_allclose(table.expression(["VIM"], stop=n), expected[:n], rtol=1e-4)
        assert table.ready(["ERBB2"]) == len(table)  # the read-out needs no bank
    # From the second piece on there is something to show, long before all is known.
    assert seen[:3] == [0, 5, 10]
    assert seen[-1] == len(vectors)


def test_pieces_hold_all_they_need(banked, tiles, small_pieces) -> None:
    """The table grows, and moves its arrays, while a piece is worked at in another thread."""
    table = CellTable(banked, "0" * 64)
    table.append(tiles[:1])
    for _ in range(2):
        piece = table.next_piece([])
        table.take(piece, piece.work(lambda share: None))
    first = table.next_piece(["VIM"], types=False)
    table.append(tiles[1:])
    answers = []
    thread = threading.Thread(target=lambda: answers.append(first.work(lambda share: None)))
    thread.start()
    thread.join()
    expected = banked.neighbours(tiles[0].embeddings[: first.stop])
    npt.assert_array_equal(answers[0].index, expected.index)
    assert table.take(first, answers[0])


def test_answers_that_do_not_follow_are_not_taken(banked, tiles, small_pieces) -> None:
    table = filled(banked, tiles)
    for genes in ([], ["VIM"]):
        piece = table.next_piece(genes, types=not genes)
        answer = piece.work(lambda share: None)
        later = replace(piece, start=piece.start + 1)
        assert not table.take(later, answer)
        assert table.take(piece, answer)
        assert not table.take(piece, answer)  # nothing twice
    assert (len(table.types.code), table.found) == (23, 5)


def test_work_ends_when_it_is_told_to(banked, tiles) -> None:
    table = filled(banked, tiles)
    piece = table.next_piece(["VIM"], types=False)

    def stop(share: float) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        piece.work(stop)
    assert table.found == 0
    with pytest.raises(Cancelled):
        table.votes(3)(stop)


def test_former_genes_are_forgotten_but_never_those_that_are_wanted(
    banked, tiles, small_pieces, monkeypatch
) -> None:
    monkeypatch.setattr(looked_up, "MOST_GENES", 1)
    table = filled(banked, tiles)
    work_off(table, ("VIM",))
    work_off(table, ("KRT19",))
    assert table.ready(["VIM"]) == len(table)
    both = ("VIM", "KRT19")
    work_off(table, both)
    assert table.ready(both) == len(table)
    assert work_off(table, both) == []
    work_off(table, ())
    assert sum(table.ready([gene]) > 0 for gene in both) == 1


def test_votes_of_a_cell_are_the_same_looked_up_before_or_now(banked, tiles) -> None:
    table = filled(banked, tiles)
    now = table.votes(7)(lambda share: None)
    work_off(table, ("VIM",))
    before = table.votes(7)(lambda share: None)
    assert (now.names, now.code[0]) == (before.names, before.code[0])
    assert now.share[0] == pytest.approx(before.share[0], abs=1e-5)
    vector = np.concatenate([tile.embeddings for tile in tiles])[7:8]
    expected = banked.bank.votes(banked.neighbours(vector))
    assert now.code[0] == expected.code[0]


def test_a_model_without_a_bank_has_nothing_to_look_up(model, tiles) -> None:
    table = filled(model, tiles)
    assert table.next_piece(["ERBB2"]) is None
    assert len(table.types.code) == 0
