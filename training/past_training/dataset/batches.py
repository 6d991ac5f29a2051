"""A paired dataset as batches: streamed, shuffled, shared among processes, resumable."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from past_training.dataset.order import EpochOrder, Piece
from past_training.dataset.piece import LoadedPatches, PieceReader, joined
from past_training.dataset.prefetch import ahead, in_background
from past_training.dataset.read import PairedDataset
from past_training.dataset.schema import BadDataset

POOL_SHARDS = 8
"""Shards that are shuffled together; two such pools are in memory at most, 16 MiB a shard."""
READY = 4
"""Batches that wait for a loop that is slow."""
_FIXED = ("seed", "world", "batch_patches", "patches")


@dataclass(frozen=True)
class Batch:
    """Patches with their nuclei, and the rows that the nuclei contribute to.

    B patches of side S, N nuclei, R rows, G genes. A row is in a batch with all of its nuclei.
    """

    patches: Tensor
    """uint8 (B, S, S, 3)."""
    where: Tensor
    """float32 (N, 3): patch in the batch, y, x in px, pixel centres at integers; by patch."""
    row_of_nucleus: Tensor
    """int64 (N,), row in the batch."""
    counts: Tensor
    """float32 (R, G), raw."""
    total: Tensor
    """float32 (R,), library size over all genes of the source."""
    measured: Tensor
    """bool (R, G): whether the row's section measured the gene at all; a count of 0 elsewhere says
    nothing."""
    section_index: Tensor
    """int64 (R,), position of the row's section among those selected."""
    row_index: Tensor
    """int64 (R,), number of the row in the dataset; see `PairedDataset.first_row`."""
    tokens: Tensor | None
    """int64 (R, 300) where every selected section has them."""
    neighbours: Tensor | None
    """int64 (R, 8), numbers of the nearest rows, −1 where there are fewer; where every selected
    section has them."""

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """The same batch on another device."""
        moved: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            tensor = getattr(self, field.name)
            moved[field.name] = None if tensor is None else tensor.to(device, None, non_blocking)
        return type(self)(**moved)


class Batches:
    """The batches of one process, epoch by epoch; `order` says what is seen when.

    Parameters
    ----------
    dataset
        Its selected sections, and of them the rows that are seen: patches without nuclei of such
        rows are left out.
    genes
        Columns of `Batch.counts`, in this order.
    batch_patches
        Patches in a batch; without `drop_last` at most so many, evenly.
    seed
        At least 0; the same seed gives the same batches, whatever `workers` is.
    rank, world
        Which of how many processes this is. Each sees its own share, in as many batches as any.
    workers
        Threads that read ahead while the loop computes; 0 reads when a batch is asked for.
        Threads, not processes: what takes time here (reading, decompressing, gathering) runs
        outside of Python's lock, and nothing is copied between processes.
    shuffle
        Whether patches come in another order in each epoch.
    drop_last
        Only whole batches.
    pool_shards
        Shards that are shuffled together: more mix better and take more memory.

    Raises
    ------
    BadDataset
        A gene is not in the dataset or asked for twice, or there are fewer patches than the
        processes need.
    """

    def __init__(
        self,
        dataset: PairedDataset,
        genes: Sequence[str],
        batch_patches: int,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
        pool_shards: int = POOL_SHARDS,
    ) -> None:
        unknown = sorted(set(genes) - set(dataset.genes))
        if unknown:
            raise BadDataset(
                f"{dataset.name} has no gene {', '.join(unknown[:5])}"
                f"{' …' if len(unknown) > 5 else ''}; choose among its {len(dataset.genes)} genes."
            )
        if len(set(genes)) < len(genes):
            twice = next(gene for gene in genes if list(genes).count(gene) > 1)
            raise BadDataset(f"Gene {twice} is asked for twice; name each gene once.")
        place = {gene: k for k, gene in enumerate(dataset.genes)}
        column_of_gene = np.full(len(place), -1, np.int64)
        column_of_gene[[place[gene] for gene in genes]] = np.arange(len(genes))
        sections = range(len(dataset.sections))
        self._readers = [PieceReader(dataset, k, column_of_gene) for k in sections]
        filled = tuple(reader.filled() for reader in self._readers)
        self._order = EpochOrder(
            filled, seed, 0, rank, world, batch_patches, pool_shards, shuffle, drop_last
        )
        # Of two processes that share three patches, one would have none for its second batch.
        if len(self) == 0 or self._order.total < world or (world > 1 and batch_patches < 2):
            raise BadDataset(
                f"{dataset.name} has {self._order.total} patches with nuclei, which cannot be "
                f"shared by {world} processes in batches of {batch_patches}; take other batches, "
                f"or fewer processes."
            )
        self._measured = np.stack([reader.measured() for reader in self._readers])
        self._has_tokens = all(record.has_tokens for record in dataset.sections)
        self._has_neighbours = all(record.has_neighbours for record in dataset.sections)
        self._masks = _masks_digest(dataset)
        self._workers = workers
        self._epoch = self._step = 0
        self._restored = False

    def __len__(self) -> int:
        """Batches in an epoch, the same for every process."""
        return len(self._order.bounds) - 1

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch; after `restore`, those that were not seen yet of that one.

        Raises
        ------
        BadDataset
            A file is missing or damaged.
        """
        step = self._step if self._restored and epoch == self._epoch else 0
        self._epoch, self._step, self._restored = epoch, step, False
        batches = self._batches(dataclasses.replace(self._order, epoch=epoch), step)
        for batch in in_background(batches, READY) if self._workers else batches:
            self._step += 1
            yield batch

    def state(self) -> dict[str, int]:
        """Where the next batch lies, in plain numbers; the same for every process."""
        order = self._order
        return {
            "epoch": self._epoch,
            "step": self._step,
            "seed": order.seed,
            "world": order.world,
            "batch_patches": order.batch_patches,
            "patches": order.total,
            "masks": self._masks,
        }

    def restore(self, state: dict[str, int]) -> None:
        """Go on where `state` was taken: ``epoch(state["epoch"])`` gives what was not seen yet.

        Raises
        ------
        BadDataset
            It was taken with another seed, number of processes, batch size or dataset, with which
            the order is another, or with other rows to see.
        """
        own = self.state()
        for name in _FIXED:
            if state[name] != own[name]:
                raise BadDataset(
                    f"The run that is resumed had {name} {state[name]}, but now it is {own[name]}; "
                    f"resume with the same, or start a new run."
                )
        # A run of before there were masks saw every row.
        if state.get("masks", 0) != own["masks"]:
            raise BadDataset(
                "The run that is resumed saw other rows of these sections; resume with the same "
                "rows held out, or start a new run."
            )
        self._epoch, self._step, self._restored = state["epoch"], state["step"], True

    def _batches(self, order: EpochOrder, step: int) -> Generator[Batch, None, None]:
        bounds = order.bounds.tolist()
        wanted = [pool for pool in order.pools() if pool.first + len(pool) > bounds[step]]
        loads = (self._load(piece) for pool in wanted for piece in pool.pieces)
        parts: list[LoadedPatches] = []
        at = bounds[step]
        with closing(ahead(loads, self._workers, order.pool_shards)) as loaded:
            for pool in wanted:
                if step == len(bounds) - 1:
                    return
                held = joined([next(loaded) for _ in pool.pieces])
                shuffled = order.shuffled(pool)
                end = pool.first + len(pool)
                while at < end and step < len(bounds) - 1:
                    stop = min(bounds[step + 1], end)
                    chosen = shuffled[at - pool.first : stop - pool.first]
                    parts.append(held.take(np.sort(chosen)))
                    at = stop
                    if at == bounds[step + 1]:
                        yield self._batch(parts)
                        parts, step = [], step + 1
                # What the next batch needs of this pool was copied, so it goes before the next one.
                del held

    def _load(self, piece: Piece) -> Callable[[], LoadedPatches]:
        return partial(self._readers[piece.section], piece)

    def _batch(self, parts: Sequence[LoadedPatches]) -> Batch:
        whole = joined(parts)
        patch = np.repeat(np.arange(len(whole)), np.diff(whole.nuclei_start))
        where = np.column_stack([patch.astype(np.float32), whole.nuclei_yx])
        pixels = whole.patches[0] if len(whole.patches) == 1 else np.concatenate(whole.patches)
        has_tokens = self._has_tokens and whole.tokens is not None
        has_neighbours = self._has_neighbours and whole.neighbours is not None
        return Batch(
            patches=torch.from_numpy(pixels),
            where=torch.from_numpy(where),
            row_of_nucleus=torch.from_numpy(whole.nuclei_row),
            counts=torch.from_numpy(whole.counts.toarray()),
            total=torch.from_numpy(whole.total),
            measured=torch.from_numpy(self._measured[whole.section]),
            section_index=torch.from_numpy(whole.section),
            row_index=torch.from_numpy(whole.row_index),
            tokens=torch.from_numpy(whole.tokens) if has_tokens else None,
            neighbours=torch.from_numpy(whole.neighbours) if has_neighbours else None,
        )


def _masks_digest(dataset: PairedDataset) -> int:
    """A number that tells which rows are seen; 0 where all are."""
    digest = 0
    for record in dataset.sections:
        kept = dataset.rows_kept(record.name)
        if kept is not None:
            digest = zlib.crc32(kept.tobytes(), zlib.crc32(record.name.encode(), digest))
    return digest
