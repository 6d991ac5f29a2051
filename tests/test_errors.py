"""Sentences stay sentences, whatever they quote."""

from __future__ import annotations

import pickle

from napari_past.errors import BadTable


def test_line_breaks_and_floods_are_taken_out_of_what_is_quoted() -> None:
    assert str(BadTable("a.csv cannot be read (line 3\nsaw 12 \n); correct it.")) == (
        "a.csv cannot be read (line 3 saw 12 ); correct it."
    )
    told = str(BadTable(f"a.csv has text ({'x' * 1_000_000}); correct it."))
    assert len(told) < 1100
    assert told.startswith("a.csv has text (xxx")
    assert told.endswith("xxx); correct it.")
    assert str(pickle.loads(pickle.dumps(BadTable("one.")))) == "one."
