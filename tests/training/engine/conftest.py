"""A feed in memory, a tower of a few weights, a small dataset on disk, and real processes."""

from __future__ import annotations

import dataclasses
import multiprocessing
import runpy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image
from scipy.sparse import csr_array
from torch import Tensor, nn

from napari_past.spatial.section import MeasuredSection
from past_training.dataset.batches import Batch
from past_training.dataset.prepare import prepare
from past_training.dataset.schema import PrepareConfig
from past_training.engine.cell_tower import CountTower
from past_training.engine.early_stop import EarlyStop
from past_training.engine.gene_levels import GeneLevels
from past_training.engine.pair_model import PairModel
from past_training.engine.progress import Progress
from past_training.engine.schedule import adamw, scheduled
from past_training.engine.towers import ImageTower, PooledTower
from past_training.engine.training import Training
from past_training.objectives import ObjectiveConfig

SIDE, GENES = 16, 3


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order, so that results can be compared bit by bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_batch(rows: int = 4, seed: int = 0) -> Batch:
    """`rows` patches of noise with a nucleus and a row each."""
    rng = np.random.default_rng(seed)
    counts = torch.tensor(rng.poisson(3, (rows, GENES)), dtype=torch.float32)
    middle = np.full((rows, 2), SIDE / 2)
    return Batch(
        patches=torch.tensor(rng.integers(0, 256, (rows, SIDE, SIDE, 3)), dtype=torch.uint8),
        where=torch.tensor(np.column_stack([np.arange(rows), middle]), dtype=torch.float32),
        row_of_nucleus=torch.arange(rows),
        counts=counts,
        total=counts.sum(1) + 5,
        measured=torch.ones(rows, GENES, dtype=torch.bool),
        section_index=torch.zeros(rows, dtype=torch.int64),
        row_index=100 * seed + torch.arange(rows),
        tokens=None,
        neighbours=None,
    )


@dataclass
class Memory:
    """A feed of batches that are there already; every epoch begins one further."""

    batches: Sequence[Batch]
    handed_out: list[int] = field(default_factory=list)
    _epoch: int = 0
    _step: int = 0

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        if epoch != self._epoch:
            self._epoch, self._step = epoch, 0
        while self._step < len(self):
            i = (self._step + epoch) % len(self)
            self._step += 1
            self.handed_out.append(i)
            yield self.batches[i]

    def state(self) -> dict[str, int]:
        return {"epoch": self._epoch, "step": self._step}

    def restore(self, state: dict[str, int]) -> None:
        self._epoch, self._step = state["epoch"], state["step"]


@pytest.fixture(scope="session")
def batch() -> Callable[..., Batch]:
    """``batch(rows, seed)``."""
    return make_batch


@pytest.fixture(scope="session")
def memory() -> Callable[..., Memory]:
    """``memory(batches)``: a feed."""
    return Memory


class Body(nn.Module):
    """The smallest tower that looks at pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 6, 5, 3)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        result: Tensor = self.convolution(image_BCHW).relu().mean((2, 3))
        return result


@pytest.fixture(scope="session")
def tiny_tower() -> Callable[[], ImageTower]:
    """``tiny_tower()``: six numbers for a patch."""
    return lambda: ImageTower(PooledTower(Body()), 6, None)


@pytest.fixture(scope="session")
def cpu() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


@pytest.fixture
def start(cpu, tiny_tower, tmp_path) -> Callable[..., tuple[Training, Progress]]:
    """``start(objective, feed, epochs, …)``: all that `fit` needs, from one seed."""

    def made(
        objective: ObjectiveConfig,
        feed: Memory,
        steps: int,
        *,
        patience: int | None = None,
        lr: float = 1e-2,
        fabric: Fabric | None = None,
        resumed: int | None = None,
    ) -> tuple[Training, Progress]:
        torch.manual_seed(3)
        cells = CountTower(GENES, 16) if objective.contrastive else None
        model = PairModel(
            objective,
            tiny_tower(),
            cells,
            16,
            GeneLevels(torch.full((GENES,), 1000.0), torch.ones(GENES)),
        )
        optimizer = adamw(model, model.image_tower, lr, 0.1, 0.02)
        schedule = scheduled(optimizer, 1, steps, 0.01)
        wrapped, setup = (fabric or cpu).setup(model, optimizer)
        training = Training(wrapped, setup, schedule, feed, EarlyStop(patience))
        return training, Progress(tmp_path, objective.parts, steps, resumed, True)

    return made


def write_picture(path: Path, seed: int) -> Path:
    """120 x 80 µm of noise in a rim of glass."""
    rng = np.random.default_rng(seed)
    rgb = np.full((160, 240, 3), 243, np.uint8)
    rgb[8:-8, 8:-8] = rng.integers(60, 230, (144, 224, 3))
    Image.fromarray(rgb).save(path)
    return path


def section(folder: Path, name: str, patient: str, seed: int, **fields: Any) -> MeasuredSection:
    """Fifty cells whose first gene follows the red of the pixels around them."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform([10, 10], [110, 70], (50, 2))
    counts = rng.poisson([4.0, 2.0, 1.0, 0.5, 8.0], (50, 5)).astype(np.float32)
    values = {
        "name": name, "patient": patient, "species": "human", "tissue": "breast",
        "technology": "Xenium", "image": write_picture(folder / f"{name}.png", seed), "mpp": 0.5,
        "ids": tuple(f"{name}-{i}" for i in range(50)), "centers_um": centers,
        "counts": csr_array(counts), "genes": ("EPCAM", "VIM", "CD3E", "PTPRC", "ACTB"),
        "spot_diameter_um": None,
    }  # fmt: skip
    return MeasuredSection(**(values | fields))


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """Three sections of two patients, 50 cells each, patches of 16 px."""
    folder = tmp_path_factory.mktemp("paired")
    sections = [section(folder, f"S{i}", "P" if i < 2 else "Q", i) for i in range(3)]
    prepare(sections, folder / "tiny.past", PrepareConfig(patch_px=SIDE, shard_patches=32))
    return folder / "tiny.past"


@pytest.fixture(scope="session")
def panels(tmp_path_factory) -> Path:
    """Two sections of two patients, of which one lacks a gene."""
    folder = tmp_path_factory.mktemp("panels")
    whole = section(folder, "A", "P", 5)
    short = dataclasses.replace(
        section(folder, "B", "Q", 6), genes=whole.genes[:4], counts=whole.counts[:, :4]
    )
    third = section(folder, "C", "R", 7)
    config = PrepareConfig(patch_px=SIDE, shard_patches=32)
    prepare([whole, short, third], folder / "panels.past", config)
    return folder / "panels.past"


@pytest.fixture(scope="session")
def tokens(tmp_path_factory) -> Path:
    """Two sections of the published PAST layout: ranked tokens, and no counted gene."""
    folder = tmp_path_factory.mktemp("tokens")
    rng = np.random.default_rng(0)
    sections = []
    for i, name in enumerate("AB"):
        ids = rng.integers(30, 20340, (50, 300))
        ids[:, :3], ids[:, 200:] = [4, 9, 5], 1
        empty = csr_array((50, 0), dtype=np.float32)
        sections.append(section(folder, name, name, i, genes=(), counts=empty, tokens=ids))
    config = PrepareConfig(patch_px=SIDE, shard_patches=32)
    prepare(sections, folder / "tokens.past", config)
    return folder / "tokens.past"


@pytest.fixture(scope="session")
def processes() -> Any:
    """Starts processes quickly: one imports all, others are its forks."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["past_training.engine.launch"])
    return context


def in_its_own_process(context: Any, script: str, **names: object) -> Any:
    """A started process that runs a script of this folder with these global names."""
    path = str(Path(__file__).with_name(script))
    process = context.Process(target=runpy.run_path, args=(path, names, "__main__"))
    process.start()
    return process


@pytest.fixture
def run_script(processes) -> Iterator[Callable[..., Any]]:
    """``run_script("joint_loss.py", rank=0)``: a process that was started; ended with the test."""
    started: list[Any] = []

    def start(script: str, **names: object) -> Any:
        started.append(in_its_own_process(processes, script, **names))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.join()
