"""The published PAST checkpoint as a model file of ours.

Its tensors are read from disk a few at a time, and nothing in it can run code: of all classes that
a pickle may ask for, `argparse.Namespace` alone is allowed beside torch's own tensors.
"""

from __future__ import annotations

import argparse
import logging
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from napari_past.errors import BadModel, PastError
from napari_past.files import file_sha256
from napari_past.model.card import (
    CARD_SCHEMA,
    Card,
    CellTowerCard,
    EncoderCard,
    Evidence,
    PooledTowerCard,
)
from napari_past.model.files import read_card, write_model_stream
from napari_past.model.folder import installed_path, made_models_folder
from napari_past.model.state_dict_adapter import (
    GRAPH_ALONE,
    IGNORED,
    Shape,
    has_graph,
    model_layout,
    published_name,
)

ASSUMED_MPP = 0.2125
"""The checkpoint was trained without a look at the pixel size; Xenium's own is assumed."""
CROP_PX = 224
PROJECTION_DIM = 256
IMAGE_TOWER = PooledTowerCard(
    backbone="vit_large_patch16_224",
    options={"init_values": 1e-5, "dynamic_img_size": True},
    pool="token",
    embed_dim=1024,
)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SHOWN_NAMES = 3
_log = logging.getLogger(__name__)
_MAPPED_BYTES = 128 << 20
"""What has been read of a mapped file counts as ours until it is closed: so much at a time."""


def convert_checkpoint(path: Path, mpp: float | None = None, sha256: str | None = None) -> Path:
    """Our model file of a published checkpoint, in the folder of models.

    It is named by the checkpoint's content, and made once: where it is there already, its path is
    returned at once.

    Parameters
    ----------
    path
        The ``.pth`` as published, of the variant with or without a graph branch.
    mpp
        µm/px of the crops that the image tower reads. None keeps what an earlier conversion was
        told, else assumes `ASSUMED_MPP`: the checkpoint does not say it.
    sha256
        Of the file, where it was computed already.

    Raises
    ------
    BadModel
        It is no PAST checkpoint, is damaged, or holds more than tensors; the message names what is
        missing, unexpected or of another shape.
    CannotWrite
    """
    if mpp is not None and not 0.02 < mpp < 20:
        raise PastError(f"µm/px lie between 0.02 and 20, but got {mpp:g}; give that of the crops.")
    digest = sha256 or file_sha256(path)
    target = installed_path(f"past-{digest[:12]}")
    if _is_made(target, mpp):
        return target
    shapes = {key: tuple(value.shape) for key, value in _tensors(path).items()}
    graph = has_graph(shapes)
    layout = model_layout(IMAGE_TOWER, CellTowerCard(graph=graph), PROJECTION_DIM)
    _check(path.name, shapes, {published_name(key): shape for key, shape in layout.items()}, graph)
    card = _card(digest, graph, ASSUMED_MPP if mpp is None else mpp)
    made_models_folder()
    # Large ones first, so that those that matter are aligned whatever the small ones' sizes.
    layout = dict(sorted(layout.items(), key=lambda item: -int(np.prod(item[1]))))
    write_model_stream(target, card, layout, _float32(path, layout))
    _log.warning("%s was made a model file, once: %s", path, target)
    return target


def _is_made(target: Path, mpp: float | None) -> bool:
    if not target.is_file():
        return False
    try:
        card = read_card(target)
    except BadModel:
        return False
    return mpp is None or card.encoder.mpp == mpp


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """Tensors by their published names, mapped from the file, not read."""
    try:
        _check_stored(path)
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as exc:
        asked = re.search(r"GLOBAL (\S+)", str(exc))
        what = f"the code {asked[1]}" if asked else "something other than tensors"
        raise BadModel(
            f"{path.name} asks to run {what} when it is opened, which the published PAST "
            f"checkpoint does not; it was not opened: get the file from where PAST is published."
        ) from exc
    except Exception as exc:  # a pickle that is damaged fails in what it asks to be made
        first = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
        raise BadModel(
            f"{path.name} cannot be read as a checkpoint ({first.rstrip('. ')}); check the "
            f"download, or get it again."
        ) from exc
    state = content.get("model") if isinstance(content, dict) else None
    if not isinstance(state, Mapping):
        held = ", ".join(map(str, list(content)[:8])) if isinstance(content, dict) else "no entries"
        raise BadModel(
            f"{path.name} holds no entry 'model' with PAST's tensors but {held or 'nothing'}; give "
            f"the published checkpoint."
        )
    strange = [str(k) for k, v in state.items() if not isinstance(v, torch.Tensor)]
    if strange:
        raise BadModel(
            f"{_names(strange)} in {path.name} {_are(strange)} no tensor; give the published "
            f"checkpoint."
        )
    return {str(key): value for key, value in state.items()}


def _check_stored(path: Path) -> None:
    """Raise ValueError where a part of the file is packed: it may unpack to any size, and PyTorch
    packs nothing."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if part.file_size > part.compress_size:
                raise ValueError(f"its part {part.filename} is packed, as PyTorch never does")


def _check(
    file: str, found: Mapping[str, Shape], expected: Mapping[str, Shape], graph: bool
) -> None:
    """Raise `BadModel` with all that differs from the published layout."""
    missing = [key for key in expected if key not in found]
    unexpected = [k for k in found if k not in expected and not k.startswith(IGNORED)]
    misshapen = [
        f"{key} {found[key]} instead of {shape}"
        for key, shape in expected.items()
        if key in found and found[key] != shape
    ]
    told = [
        f"{len(names)} {word} ({_names(names)})"
        for word, names in (
            ("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen),
        )
        if names
    ]  # fmt: skip
    if not told:
        return
    hint = ""
    if graph and missing and all(key.startswith(GRAPH_ALONE) for key in missing):
        hint = " (other tensors of a graph branch are there, so it is no variant without one)"
    raise BadModel(
        f"{file} is not the published PAST checkpoint: of its tensors {'; '.join(told)}{hint}; "
        f"nothing was converted: get the file from where PAST is published."
    )


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more


def _are(names: Sequence[str]) -> str:
    return "are" if len(names) > 1 else "is"


def _float32(path: Path, layout: Mapping[str, Shape]) -> Iterator[npt.NDArray[np.float32]]:
    """The layout's tensors in its order; the file is opened anew for every few of them."""
    open_bytes = _MAPPED_BYTES
    state: dict[str, torch.Tensor] = {}
    for key, shape in layout.items():
        if open_bytes >= _MAPPED_BYTES:
            state = {}
            state, open_bytes = _tensors(path), 0
        tensor = state[published_name(key)]
        if not tensor.is_floating_point():
            raise BadModel(
                f"Tensor {published_name(key)} of {path.name} holds {tensor.dtype} where "
                f"floating-point numbers were expected; get the file again."
            )
        values = tensor.detach().to(torch.float32).contiguous().numpy()
        if not np.isfinite(values).all():
            raise BadModel(
                f"Tensor {published_name(key)} of {path.name} holds infinities or NaN; get the "
                f"file again."
            )
        open_bytes += values.nbytes
        yield values.reshape(shape)


def _card(digest: str, graph: bool, mpp: float) -> Card:
    branch = "with" if graph else "without"
    size = (
        f"Its µm/px were not recorded in training: {mpp:g} is an assumption (about "
        f"{mpp * CROP_PX:.0f} µm a crop)."
        if mpp == ASSUMED_MPP
        else f"Its µm/px were not recorded in training: {mpp:g} was given when it was converted."
    )
    return Card(
        schema_version=CARD_SCHEMA,
        name="past",
        version=f"checkpoint {digest[:12]}",
        summary=f"PAST as its authors published it, {branch} its graph branch: an image tower and "
        f"a cell tower with one space for both, and no read-out. {size} For research use only.",
        licence="as published by the authors of PAST; see where the checkpoint came from",
        attribution="PAST, arXiv 2507.06418, by its authors",
        species="human and mouse",
        organ="several organs, not recorded in the checkpoint",
        preparation="H&E of Xenium sections",
        scanner="not recorded",
        training_data="pairs of H&E and Xenium cells (arXiv 2507.06418), not listed in the "
        "checkpoint",
        training_fingerprints=(),
        recipe="converted from the published checkpoint",
        expression_unit="none: no read-out",
        genes=(),
        encoder=EncoderCard(
            mode="crop",
            mpp=mpp,
            stride_px=1,
            halo_px=CROP_PX // 2,
            crop_px=CROP_PX,
            mean=_IMAGENET_MEAN,
            std=_IMAGENET_STD,
            tower=IMAGE_TOWER,
        ),
        projection_dim=PROJECTION_DIM,
        cell_tower=CellTowerCard(graph=graph),
        evidence=Evidence(
            protocol="nothing was measured",
            patients=0,
            unseen_patients=0,
            sections=(),
            resolution="no measurement",
            r={},
            detected={},
        ),
        min_detected=0.0,
        cutoffs={},
        cutoffs_source="none: no read-out",
        unlike_training_limit=None,
    )
