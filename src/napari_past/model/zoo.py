"""Models by name or by path."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from importlib import resources
from pathlib import Path

from napari_past.errors import UnknownModel
from napari_past.model.files import FOLDER_BANK, FOLDER_CARD, FOLDER_WEIGHTS, read_model_file
from napari_past.model.folder import installed_models, installed_path
from napari_past.model.model import Model

DEFAULT_MODEL = "past-mini"
FETCHED_MODELS = ("past",)
"""Models that `fetch` knows where to get."""
_ZIP = b"PK\x03\x04"


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


def available_models() -> tuple[str, ...]:
    """Names that `load_model` takes: bundled models, then those in the folder of models."""
    return tuple(dict.fromkeys([*bundled_models(), *installed_models()]))


def model_path(name_or_path: str | os.PathLike[str]) -> Path:
    """The file or folder of a model's name or of a path.

    Raises
    ------
    UnknownModel
        It is neither, or a name of several models.
    """
    text = os.fspath(name_or_path)
    if text in bundled_models():
        return Path(str(resources.files("napari_past") / "data" / "models" / f"{text}.safetensors"))
    path = Path(text).expanduser()
    if path.exists():
        return path
    # A model that was made from a checkpoint has the checkpoint's hash behind its name.
    hashed = re.compile(re.escape(text) + r"(-[0-9a-f]{12})?")
    found = [name for name in installed_models() if hashed.fullmatch(name)]
    if text in found or len(found) == 1:
        return installed_path(text if text in found else found[0])
    if found:
        raise UnknownModel(f"There are several models {text!r}: give one of {', '.join(found)}.")
    fetched = f"`napari-past models fetch {text}` gets it; or " if text in FETCHED_MODELS else ""
    raise UnknownModel(
        f"There is no model {text!r} here: {fetched}give one of "
        f"{', '.join(available_models()) or '(none)'} or the path of a model file."
    )


def load_model(name_or_path: str | os.PathLike[str] = DEFAULT_MODEL, device: str = "auto") -> Model:
    """Load a model by name, or a model file or folder by path.

    The published PAST checkpoint (``.pth``) is turned into a model file first, once, in the folder
    of models (``$NAPARI_PAST_MODELS``); ``Model.path`` says where.

    Parameters
    ----------
    name_or_path
        As ``napari-past models list`` shows it, or a path.
    device
        "auto" (a CUDA GPU where there is one), "cpu" or "cuda"; used when pixels are encoded.

    Raises
    ------
    UnknownModel, BadModel
    CannotWrite
        A checkpoint cannot be turned into a model file.
    """
    path = model_path(name_or_path)
    if is_checkpoint(path):
        stat = path.stat()
        path = Path(_converted(str(path.resolve()), (stat.st_mtime_ns, stat.st_size)))
    names = (FOLDER_CARD, FOLDER_WEIGHTS, FOLDER_BANK)
    parts = [path / name for name in names] if path.is_dir() else [path]
    stamps = tuple((s.st_mtime_ns, s.st_size) for s in (p.stat() for p in parts if p.exists()))
    return _loaded(str(path.resolve()), stamps, device)


def is_checkpoint(path: Path) -> bool:
    """Whether a file is an archive as torch saves it, and so no model file of ours."""
    try:
        with path.open("rb") as file:
            return file.read(len(_ZIP)) == _ZIP
    except OSError:
        return False


def _converted(path: str, stamp: tuple[int, int]) -> str:
    """The model file of a checkpoint; looked up again where it, or the file, is another."""
    made = _model_file_of(path, stamp)
    if not Path(made).is_file():
        _model_file_of.cache_clear()
        made = _model_file_of(path, stamp)
    return made


@lru_cache(maxsize=16)
def _model_file_of(path: str, stamp: tuple[int, int]) -> str:
    from napari_past.model.checkpoint import convert_checkpoint

    return str(convert_checkpoint(Path(path)))


@lru_cache(maxsize=4)
def _loaded(path: str, stamps: tuple[tuple[int, int], ...], device: str) -> Model:
    """Kept until a file of the model changes, as `stamps` (mtime, bytes) tell."""
    bank = Path(path) / FOLDER_BANK
    bank_path = bank if bank.is_file() else None
    return Model(*read_model_file(Path(path)), path=path, device=device, bank_path=bank_path)
