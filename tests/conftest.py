"""Fixtures that every room shares."""

from __future__ import annotations

import contextlib
import gc
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_past.cli import main
from napari_past.model import Card, write_model_file
from napari_past.sample.ome_tiff import write_pyramid

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need a CUDA GPU where there is none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA GPU"))


def pytest_collection_finish() -> None:
    """Spare the garbage collector what was imported: napari calls it for each layer that goes.

    With the modules of all tests in memory one call takes half a second.
    """
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let what was imported go again, as compiled modules expect at the end."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real slides and tissue: ``$NAPARI_PAST_DATA``, else ``../shared/data``.

    Without it the test is skipped, or fails where ``$NAPARI_PAST_REQUIRE_DATA`` is set.
    """
    folder = Path(os.environ.get("NAPARI_PAST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        reason = f"no real data: {folder} is not a folder (set NAPARI_PAST_DATA)"
        if os.environ.get("NAPARI_PAST_REQUIRE_DATA"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store of results and a data folder of the test run's own: the user's stay as they are."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_PAST_CACHE", str(folder))
        patch.setenv("NAPARI_PAST_DATA_HOME", str(tmp_path_factory.mktemp("home")))
        yield folder


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture(scope="session")
def command() -> Command:
    """``command("info", slide)``: code and texts of `main` in this process."""

    def run(*arguments: object) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(a) for a in arguments])
        return Done(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def worker_processes() -> Callable[[], set[psutil.Process]]:
    """Asks for the workers of this process there are now; some may be kept for a session."""

    def found() -> set[psutil.Process]:
        workers = set()
        for process in psutil.Process().children():
            with suppress(psutil.Error):  # it may have ended in between
                if "napari_past.engine.worker_process" in process.cmdline():
                    workers.add(process)
        return workers

    return found


TINY_GENES = ("ERBB2", "EPCAM", "CD3D", "CD3E", "CD3G", "KRT5")
TINY_CARD: dict[str, object] = {
    "schema_version": 1,
    "name": "tiny",
    "version": "1",
    "summary": "Random weights.",
    "licence": "BSD-3-Clause",
    "attribution": "Nobody's data.",
    "species": "human",
    "organ": "breast",
    "preparation": "FFPE, H&E",
    "scanner": "none",
    "training_data": "none",
    "training_fingerprints": (),
    "recipe": "none",
    "expression_unit": "log1p(counts per 10k)",
    "genes": TINY_GENES,
    "encoder": {
        "mode": "dense",
        "mpp": 0.5,
        "stride_px": 4,
        "halo_px": 64,
        "crop_px": 96,
        "mean": (0.7, 0.55, 0.7),
        "std": (0.2, 0.2, 0.2),
        "tower": {"backbone": "mobilenetv4_conv_small", "stages": (0, 1), "embed_dim": 16},
    },
    "evidence": {
        "protocol": "left one section out",
        "patients": 1,
        "unseen_patients": 0,
        "sections": ("A", "B"),
        "resolution": "100 µm spots",
        "r": {"ERBB2": (0.25, 0.375), "EPCAM": (None, None), "KRT5": (0.5, None)},
        "detected": dict.fromkeys(TINY_GENES, 0.5) | {"KRT5": 0.0123},
    },
    "min_detected": 0.05,
    "cutoffs": dict.fromkeys(("ERBB2", "CD3D", "CD3E"), (-0.5, 0.0, 0.5)),
    "cutoffs_source": "tiny card: drawn by lot",
    "unlike_training_limit": 4.0,
    "slide_unlike_limit": 2.0,
}


@pytest.fixture(scope="session")
def tiny_card() -> Callable[..., Card]:
    """``tiny_card(name=…, encoder={"mode": "crop"})``: a small model's card with changed fields."""

    def card(**changes: object) -> Card:
        fields = dict(TINY_CARD)
        for key, value in changes.items():
            old = fields.get(key)
            nested = isinstance(old, dict) and isinstance(value, dict)
            fields[key] = {**old, **value} if nested else value  # type: ignore[dict-item]
        return Card.model_validate(fields)

    return card


@pytest.fixture(scope="session")
def tiny_tensors() -> dict[str, np.ndarray]:
    """Random weights that fit `tiny_card`."""
    import torch

    from napari_past.model.card import TowerCard
    from napari_past.model.tower import DenseTower

    with torch.random.fork_rng():
        torch.manual_seed(5)
        encoder = TINY_CARD["encoder"]
        assert isinstance(encoder, dict)
        tower = DenseTower(TowerCard.model_validate(encoder["tower"]))
    rng = np.random.default_rng(5)
    state = {f"tower.{k}": v.numpy() for k, v in tower.state_dict().items()}
    return state | {
        "readout.weight": rng.normal(size=(len(TINY_GENES), 16)).astype(np.float32),
        "readout.bias": rng.normal(size=len(TINY_GENES)).astype(np.float32),
        "statistics.mean": rng.normal(size=16).astype(np.float32),
        "statistics.whitening": rng.normal(size=(16, 3)).astype(np.float32),
    }


@pytest.fixture(scope="session")
def write_tiny_model(
    tiny_card: Callable[..., Card], tiny_tensors: Mapping[str, np.ndarray]
) -> Callable[..., Path]:
    """``write_tiny_model(path, tensors={…}, **card fields)``; a tensor of None is left out."""

    def write(
        path: Path, tensors: Mapping[str, np.ndarray | None] | None = None, **changes: object
    ) -> Path:
        merged = {**tiny_tensors, **(tensors or {})}
        kept = {k: v for k, v in merged.items() if v is not None}
        return write_model_file(path, tiny_card(**changes), kept)

    return write


@pytest.fixture(scope="session")
def tiny_model_file(
    tmp_path_factory: pytest.TempPathFactory, write_tiny_model: Callable[..., Path]
) -> Path:
    """A dense model of random weights: stride 4, a halo of 32 µm, 16 numbers a cell."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


CELL_SIDE = {
    "vocabulary": 40, "dim": 16, "heads": 2, "layers": 1, "feed_forward": 16, "graph": False
}  # fmt: skip


@pytest.fixture(scope="session")
def write_banked_model() -> Callable[..., Path]:
    """``write_banked_model(folder, weights, vectors, types, genes, values)``: a model folder.

    The weights are those of a model file with a projection of random weights to 8 numbers; the bank
    holds what that makes of `vectors` (n, embed_dim), with `types` (n,) and `values` (n, g).
    """
    import torch
    from scipy.sparse import csr_array

    from napari_past.model import load_model, read_model_file
    from napari_past.model.bank import BankCells, MadeBy, write_bank
    from napari_past.model.card import CellTowerCard
    from napari_past.model.labels import Labels
    from napari_past.model.past_network import CellEncoder, ProjectionHead

    def write(
        folder: Path,
        weights: Path,
        vectors: np.ndarray,
        types: Sequence[str],
        genes: Sequence[str],
        values: np.ndarray,
    ) -> Path:
        card, tensors, _ = read_model_file(weights)
        fields = card.model_dump(mode="json") | {"cell_tower": CELL_SIDE, "projection_dim": 8}
        with torch.random.fork_rng():
            torch.manual_seed(3)
            parts = {
                "cell.": CellEncoder(CellTowerCard(**CELL_SIDE), 8),
                "image_projection.": ProjectionHead(card.encoder.tower.embed_dim, 8),
            }
        merged = dict(tensors) | {"temperature": np.array(0.07, np.float32)}
        for prefix, part in parts.items():
            merged |= {prefix + key: value.numpy() for key, value in part.state_dict().items()}
        folder.mkdir()
        write_model_file(folder / "weights.safetensors", Card.model_validate(fields), merged)
        model = load_model(str(folder), "cpu")
        untold = Labels.of([""] * len(vectors))
        cells = BankCells([str(i) for i in range(len(vectors))], Labels.of(types), untold, untold)
        write_bank(
            folder / "bank.h5ad", model.project(vectors), [csr_array(values.astype(np.float32))],
            genes, cells, MadeBy(model.name, model.cell_sha256),
        )  # fmt: skip
        return folder

    return write


@dataclass(frozen=True)
class DrawnIhc:
    """A drawn slide, blue and brown by Beer's law, with a margin of glass."""

    path: Path
    centers_um: np.ndarray
    """(n, 2), of round nuclei of 4 µm radius, apart from each other."""
    dab: np.ndarray
    """(n,), optical density of DAB in each nucleus."""
    hematoxylin: np.ndarray
    """(n,), that of haematoxylin: half of the brown nuclei have next to none."""
    vectors: tuple[tuple[float, float, float], ...]
    """Of haematoxylin and DAB, and the glass."""


@pytest.fixture(scope="session")
def drawn_ihc(tmp_path_factory: pytest.TempPathFactory) -> DrawnIhc:
    """350 x 280 µm at 0.5 µm/px, so that its cells lie in several tiles."""
    blue, brown, glass = (0.78, 0.58, 0.22), (0.268, 0.570, 0.776), (240.0, 239.0, 236.0)
    width_px, height_px, mpp = 700, 560, 0.5
    rng = np.random.default_rng(5)
    centers: list[np.ndarray] = []
    while len(centers) < 260:
        place = rng.uniform((25, 25), (width_px * mpp - 10, height_px * mpp - 10))
        if all(np.hypot(*(place - other)) > 11 for other in centers):
            centers.append(place)
    dab = rng.choice([0.0, 0.0, 0.3, 0.5, 0.8], len(centers))
    blues = np.where((dab > 0) & (rng.random(len(centers)) < 0.5), 0.03, 0.4)
    y, x = (np.mgrid[:height_px, :width_px] + 0.5) * mpp
    h = np.where((x > 15) & (y > 15), 0.03, 0.0)
    d = np.zeros(h.shape)
    for (cx, cy), amount, under in zip(centers, dab, blues, strict=True):
        inside = np.hypot(x - cx, y - cy) < 4
        h[inside], d[inside] = under, amount
    od = [a[..., None] * (np.array(v) / np.linalg.norm(v)) for a, v in ((h, blue), (d, brown))]
    light = glass * 10 ** -(od[0] + od[1]) + rng.normal(0, 0.7, (height_px, width_px, 3))
    path = tmp_path_factory.mktemp("ihc") / "ki67.ome.tif"
    write_pyramid(path, np.clip(np.rint(light), 0, 255).astype(np.uint8), mpp, "ki67", jpeg=False)
    return DrawnIhc(path, np.array(centers), dab, blues, (blue, brown, glass))
