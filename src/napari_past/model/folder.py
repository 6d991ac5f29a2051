"""Where models lie that did not come with the package."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from napari_past.errors import CannotWrite

MODELS_FOLDER = "NAPARI_PAST_MODELS"
"""Environment variable that names another folder."""
MODEL_SUFFIX = ".safetensors"


def models_folder() -> Path:
    """``$NAPARI_PAST_MODELS``, else a folder of the user's; it need not exist."""
    named = os.environ.get(MODELS_FOLDER)
    if named:
        return Path(named).expanduser()
    return platformdirs.user_data_path("napari-past") / "models"


def made_models_folder() -> Path:
    """`models_folder`, made where it was missing.

    Raises
    ------
    CannotWrite
    """
    folder = models_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise CannotWrite(
            f"The folder of models, {folder}, cannot be made ({exc.strerror or exc}); set "
            f"{MODELS_FOLDER} to a folder that you may write to."
        ) from exc
    return folder


def installed_models() -> tuple[str, ...]:
    """Names of the model files in `models_folder`, sorted."""
    try:
        files = list(models_folder().glob(f"[!.]*{MODEL_SUFFIX}"))
    except OSError:
        return ()
    return tuple(sorted(file.name.removesuffix(MODEL_SUFFIX) for file in files))


def installed_path(name: str) -> Path:
    """Where the installed model of this name lies, or would lie."""
    return models_folder() / f"{name}{MODEL_SUFFIX}"
