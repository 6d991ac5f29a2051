"""Models by name or by path."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib import resources
from pathlib import Path

from napari_past.errors import UnknownModel
from napari_past.model.files import FOLDER_CARD, FOLDER_WEIGHTS, read_model_file
from napari_past.model.model import Model

DEFAULT_MODEL = "past-mini"


def bundled_models() -> tuple[str, ...]:
    """Names of the models that ship with the package, sorted."""
    folder = resources.files("napari_past") / "data" / "models"
    return tuple(
        sorted(
            f.name.removesuffix(".safetensors")
            for f in folder.iterdir()
            if f.name.endswith(".safetensors")
        )
    )


def model_path(name_or_path: str | os.PathLike[str]) -> Path:
    """The file or folder of a bundled model's name or of a path.

    Raises
    ------
    UnknownModel
        It is neither.
    """
    text = os.fspath(name_or_path)
    if text in bundled_models():
        return Path(str(resources.files("napari_past") / "data" / "models" / f"{text}.safetensors"))
    path = Path(text).expanduser()
    if path.exists():
        return path
    raise UnknownModel(
        f"There is no model {text!r}: give one of {', '.join(bundled_models()) or '(none)'} or "
        f"the path of a model file."
    )


def load_model(name_or_path: str | os.PathLike[str] = DEFAULT_MODEL, device: str = "auto") -> Model:
    """Load a bundled model by name, or a model file or folder by path.

    Parameters
    ----------
    name_or_path
        As ``napari-past models list`` shows it, or a path.
    device
        "auto" (a CUDA GPU where there is one), "cpu" or "cuda"; used when pixels are encoded.

    Raises
    ------
    UnknownModel, BadModel
    """
    path = model_path(name_or_path)
    parts = [path / FOLDER_CARD, path / FOLDER_WEIGHTS] if path.is_dir() else [path]
    stamps = tuple((s.st_mtime_ns, s.st_size) for s in (p.stat() for p in parts if p.exists()))
    return _loaded(str(path.resolve()), stamps, device)


@lru_cache(maxsize=4)
def _loaded(path: str, stamps: tuple[tuple[int, int], ...], device: str) -> Model:
    """Kept until a file of the model changes, as `stamps` (mtime, bytes) tell."""
    return Model(*read_model_file(Path(path)), path=path, device=device)
