from __future__ import annotations

import pytest

from napari_past.plugin.moved_cutoffs import GIVEN, decimals_of, moved, typed
from napari_past.types import Cutoffs

CARD = Cutoffs(0.12345, 1.0, 2.5, "card")


@pytest.mark.parametrize(
    ("line", "value", "wanted"),
    [
        pytest.param(1, 1.23456, (0.12345, 1.235, 2.5), id="rounded, the others as they were"),
        pytest.param(1, 9.0, (0.12345, 2.499, 2.5), id="stops below the next"),
        pytest.param(1, -9.0, (0.12345, 0.124, 2.5), id="stops above the one before"),
        pytest.param(0, -9.0, (-9.0, 1.0, 2.5), id="the first has no lower end"),
        pytest.param(2, 9.0, (0.12345, 1.0, 9.0), id="the last has no upper end"),
    ],
)
def test_one_is_moved_and_none_crosses(line: int, value: float, wanted: tuple) -> None:
    found = moved(CARD, line, value, 3)
    assert found.values == pytest.approx(wanted, abs=6e-4)
    assert [found.values[k] for k in range(3) if k != line] == [
        CARD.values[k] for k in range(3) if k != line
    ]
    assert found.weak < found.moderate < found.strong
    assert found.source == GIVEN


def test_a_line_that_does_not_move_stays_the_cards() -> None:
    assert moved(CARD, 0, 0.1231, 3) is CARD
    # between two that touch there is no room
    tight = Cutoffs(1.0, 1.0005, 1.001, "card")
    assert moved(tight, 1, 5.0, 3) is tight


def test_typed_numbers_must_ascend() -> None:
    assert typed(CARD, 2, 7.0).values == (0.12345, 1.0, 7.0)
    with pytest.raises(ValueError, match="ascending"):
        typed(CARD, 0, 1.0)


@pytest.mark.parametrize(("span", "decimals"), [(300.0, 2), (1.5, 2), (0.4, 3), (0.0156, 4)])
def test_decimals_follow_the_span(span: float, decimals: int) -> None:
    assert decimals_of(Cutoffs(0.0, span / 2, span, "card")) == decimals
