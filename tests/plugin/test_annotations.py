from __future__ import annotations

from dataclasses import replace

import shapely

from napari_past.plugin.annotations import LONGEST_HISTORY, Annotations, History
from napari_past.types import IGNORE, TUMOUR, Cutoffs, Region


def square(side_um: float, role: str = TUMOUR) -> Region:
    return Region("A", role, shapely.box(0, 0, side_um, side_um))


FIRST = Annotations(regions=(square(10),), cell_notes={"c": "mitosis"})
SECOND = replace(FIRST, region_notes={"A": "necrotic"})
THIRD = replace(SECOND, cutoffs={"past-mini: ERBB2": Cutoffs(1, 2, 3, "set by you")})


def test_undo_and_redo_walk_along_the_states() -> None:
    history = History(FIRST)
    assert not history.undo()
    assert history.push(SECOND)
    assert history.push(THIRD)
    assert history.undo()
    assert history.undo()
    assert history.now == FIRST
    assert not history.undo()
    assert history.now == FIRST
    assert history.redo()
    assert history.now == SECOND
    assert history.redo()
    assert not history.redo()
    assert history.now == THIRD


def test_another_change_ends_what_could_be_redone() -> None:
    history = History(FIRST)
    history.push(SECOND)
    history.undo()
    assert history.push(THIRD)
    assert not history.redo()
    history.undo()
    assert history.now == FIRST


def test_equal_states_are_one() -> None:
    history = History(FIRST)
    again = Annotations(regions=(square(10),), cell_notes={"c": "mitosis"})
    assert not history.push(again)
    assert not history.undo()
    # what differs in geometry or role alone is another state
    assert history.push(replace(FIRST, regions=(square(10.001),)))
    assert history.push(replace(FIRST, regions=(square(10.001, IGNORE),)))


def test_equal_state_keeps_what_can_be_redone() -> None:
    history = History(FIRST)
    history.push(SECOND)
    history.undo()
    assert not history.push(replace(FIRST))
    assert history.redo()
    assert history.now == SECOND


def test_history_is_bounded_and_forgets_the_oldest() -> None:
    history = History(Annotations())
    for k in range(LONGEST_HISTORY + 50):
        history.push(Annotations(cell_notes={"c": str(k)}))
    steps = 0
    while history.undo():
        steps += 1
    assert steps == LONGEST_HISTORY - 1
    assert history.now.cell_notes == {"c": "50"}


def test_empty() -> None:
    assert Annotations().empty
    assert not any(a.empty for a in (FIRST, Annotations(region_notes={"A": "b"})))
