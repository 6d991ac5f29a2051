"""Which file of a model may be chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_past.plugin.model_box import ModelBox, whole_model


@pytest.mark.parametrize("chosen", ["weights.safetensors", "bank.h5ad"])
def test_any_part_of_a_model_that_is_a_folder_stands_for_it(tmp_path, chosen) -> None:
    for name in ("weights.safetensors", "bank.h5ad"):
        (tmp_path / name).touch()
    assert whole_model(tmp_path / chosen) == tmp_path


def test_a_file_alone_is_the_model(tmp_path) -> None:
    for name in ("weights.safetensors", "mine.safetensors"):
        (tmp_path / name).touch()
        assert whole_model(tmp_path / name) == tmp_path / name


def test_models_that_were_fetched_are_offered(qtbot, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NAPARI_PAST_MODELS", str(tmp_path))
    Path(tmp_path / "past-0123456789ab.safetensors").touch()
    part = ModelBox()
    qtbot.addWidget(part)
    assert [part.box.itemText(i) for i in range(part.box.count())] == [
        "past-mini", "past-0123456789ab",
    ]  # fmt: skip
