"""PAST models: files with cards, encoders, read-outs."""

from napari_past.model.card import (
    Card,
    CellTowerCard,
    EncoderCard,
    Evidence,
    PooledTowerCard,
    TowerCard,
)
from napari_past.model.files import read_model_file, write_model_file
from napari_past.model.model import Model
from napari_past.model.reliability import Reliability
from napari_past.model.zoo import (
    DEFAULT_MODEL,
    available_models,
    bundled_models,
    load_model,
    model_path,
)

__all__ = [
    "DEFAULT_MODEL",
    "Card",
    "CellTowerCard",
    "EncoderCard",
    "Evidence",
    "Model",
    "PooledTowerCard",
    "Reliability",
    "TowerCard",
    "available_models",
    "bundled_models",
    "load_model",
    "model_path",
    "read_model_file",
    "write_model_file",
]
