"""PAST models: files with cards, encoders, read-outs."""

from napari_past.model.card import Card, EncoderCard, Evidence, TowerCard
from napari_past.model.files import read_model_file, write_model_file
from napari_past.model.model import Model, Reliability
from napari_past.model.zoo import DEFAULT_MODEL, bundled_models, load_model, model_path

__all__ = [
    "DEFAULT_MODEL",
    "Card",
    "EncoderCard",
    "Evidence",
    "Model",
    "Reliability",
    "TowerCard",
    "bundled_models",
    "load_model",
    "model_path",
    "read_model_file",
    "write_model_file",
]
