"""Fitting a network to patients."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from napari_past.errors import Cancelled, PastError
from past_training.slide_level.bags.bag import Bag
from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.fitting.card import NetworkCard, NetworkShape
from past_training.slide_level.fitting.feeds import (
    PADDED_BYTES,
    Clustered,
    Feed,
    Held,
    Streamed,
    held_instances,
)
from past_training.slide_level.fitting.network import SlideNetwork
from past_training.slide_level.fitting.objectives import (
    Classes,
    Discrete,
    Objective,
    objective_of,
)
from past_training.slide_level.fitting.options import FitOptions
from past_training.slide_level.fitting.origin import Origin
from past_training.slide_level.fitting.statistics import centroids, spread
from past_training.slide_level.fitting.targets import AlignTarget, SurvivalTarget, Target
from past_training.slide_level.networks.linear_attention import LinearAttention
from past_training.slide_level.networks.poolings import make_pooling
from past_training.slide_level.networks.slide_module import SlideModule

Indices = npt.NDArray[np.int64]


def fit_network(
    bags: Sequence[Bag],
    target: Target,
    options: FitOptions | None = None,
    *,
    start: SlideNetwork | None = None,
    origin: Origin | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> SlideNetwork:
    """A network fitted on all of the patients that are given.

    The same seed, software and number of threads give the same network, to the bit. torch's own
    random numbers are as before afterwards.

    Parameters
    ----------
    bags
        One for each patient of the target, in its order; none is empty.
    start
        Its pooling, and all that instances are made ready by, are the beginning; the head is new.
        Pooling, width and size of vectors are then its own.
    origin
        For the card.
    on_epoch
        Told the number of epochs done and the mean loss of the last one.
    cancelled
        Asked before each step.

    Raises
    ------
    BadCohort
        Bags that are empty, of different sizes, or not of the model whose vectors `start` knows.
    Cancelled
    """
    options = options or FitOptions()
    origin = origin or Origin()
    _check(bags, target, start, origin)
    objective = objective_of(target)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        rng = np.random.default_rng(options.seed)
        module, feed = _begun(bags, objective, options, start, rng)
        everyone = np.arange(len(bags))
        module.standardise("vector", *_vector_spread(module, feed, everyone, options.batch))
        _run(module, feed, objective, everyone, options, rng, on_epoch, cancelled)
        # What a contribution is compared with is the mean of the training bags as they are now.
        module.recentre(*_vector_spread(module, feed, everyone, options.batch))
    return SlideNetwork(_card(module, objective, target, options, origin, start), module)


def _check(bags: Sequence[Bag], target: Target, start: SlideNetwork | None, origin: Origin) -> None:
    if len(bags) != len(target):
        raise ValueError(f"{len(bags)} bags cannot have the outcomes of {len(target)} patients.")
    if len(bags) < 2:
        raise BadCohort("At least two patients are needed to learn from; add patients.")
    empty = [bag.name for bag in bags if bag.n == 0]
    if empty:
        raise BadCohort(
            f"{empty[0]} has no cells{f', and {len(empty) - 1} more' if empty[1:] else ''}; leave "
            f"it out of the table, or prepare it again."
        )
    dims = sorted({bag.dim for bag in bags})
    if len(dims) > 1:
        raise BadCohort(
            f"Bags have vectors of {dims[0]} and of {dims[1]} numbers; prepare all slides with one "
            f"model."
        )
    if start is not None:
        start.require_vectors(dims[0], origin.model, origin.model_sha256)


def _begun(
    bags: Sequence[Bag],
    objective: Objective,
    options: FitOptions,
    start: SlideNetwork | None,
    rng: np.random.Generator,
) -> tuple[SlideModule, Feed]:
    """A module that is ready for its first step, and where its bags come from."""
    longest = max(bag.n for bag in bags)
    wanted = longest if options.instances is None else options.instances
    padded = 4 * bags[0].dim * min(wanted, longest) * min(options.batch, len(bags))
    streamed = options.instances is None and padded > PADDED_BYTES
    held = [] if streamed else held_instances(bags, min(wanted, longest), rng)
    if start is not None:
        module = start.transferred(len(objective.output_names), options.dropout, options.freeze)
    else:
        # Halves of whole bags, where they are not held.
        pieces: Iterator[Iterator[npt.NDArray[np.float16]]] = (
            ((chunk.vectors for chunk in bag.chunks()) for bag in bags)
            if streamed
            else (iter([vectors]) for vectors in held)
        )
        moments = spread(pieces)
        centres = None
        if options.pooling == "linear-attention":
            points = held or held_instances(bags, 1, rng)
            centres = centroids(points, moments, options.clusters, options.seed)
        pooling = make_pooling(
            options.pooling, bags[0].dim, options.width, tokens=options.tokens,
            draws=options.draws, clusters=options.clusters if centres is None else len(centres),
        )  # fmt: skip
        if isinstance(pooling, LinearAttention) and centres is not None:
            pooling.set_centroids(torch.from_numpy(centres))
        module = SlideModule(pooling, len(objective.output_names), options.dropout)
        module.standardise("instance", *map(torch.from_numpy, moments))
    objective.begin(module)
    if isinstance(module.pooling, LinearAttention):
        return module, Clustered(bags, module, module.pooling)
    return module, Streamed(bags) if streamed else Held(held, wanted, rng)


@torch.no_grad()
def _vector_spread(
    module: SlideModule, feed: Feed, everyone: Indices, batch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of the pooled vectors of all patients, (E,) each."""
    module.eval()
    parts = [feed.vectors(module, index) for index in np.split(everyone, everyone[batch::batch])]
    vectors = torch.cat(parts)
    return vectors.mean(0), vectors.std(0, correction=0)


def _run(
    module: SlideModule,
    feed: Feed,
    objective: Objective,
    everyone: Indices,
    options: FitOptions,
    rng: np.random.Generator,
    on_epoch: Callable[[int, float], None] | None,
    cancelled: Callable[[], bool] | None,
) -> None:
    """Draw, pool, lose, go back, step; the rate falls by a half cosine."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, options.lr, weight_decay=options.weight_decay)
    module.train()
    for epoch in range(options.epochs):
        rate = options.lr * 0.5 * (1 + math.cos(math.pi * epoch / options.epochs))
        for group in optimiser.param_groups:
            group["lr"] = rate
        losses = []
        for index in _batches(everyone, options.batch, rng):
            if cancelled is not None and cancelled():
                raise Cancelled("The fit was cancelled; nothing was written.")
            loss = objective.loss(module, feed.vectors(module, index), index)
            if not torch.isfinite(loss):
                raise PastError(
                    f"The loss became {loss.item()} in epoch {epoch + 1}; fit again with a lower "
                    f"--lr."
                )
            # Without an event, or a label, in a batch there is nothing to go back from.
            if loss.requires_grad:
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
            losses.append(float(loss.detach()))
        if on_epoch is not None:
            on_epoch(epoch + 1, float(np.mean(losses)))
    module.eval()


def _batches(everyone: Indices, batch: int, rng: np.random.Generator) -> list[Indices]:
    """All patients once, in random order, in batches of nearly the same size."""
    count = -(-len(everyone) // batch)
    return [np.sort(part) for part in np.array_split(rng.permutation(everyone), count)]


def _card(
    module: SlideModule,
    objective: Objective,
    target: Target,
    options: FitOptions,
    origin: Origin,
    start: SlideNetwork | None,
) -> NetworkCard:
    pooling = module.pooling
    if start is not None:
        shape = start.card.shape.model_copy(update={"sides": {}})
    else:
        clusters = options.clusters
        if isinstance(pooling, LinearAttention):
            clusters = len(pooling.centroids)
        shape = NetworkShape(
            pooling=options.pooling, dim=pooling.dim, width=pooling.width, tokens=options.tokens,
            draws=options.draws, clusters=clusters, sides={},
        )  # fmt: skip
    if isinstance(target, AlignTarget):
        sides = {name: values.shape[1] for name, values in target.modalities.items()}
        shape = NetworkShape.model_validate({**shape.model_dump(), "sides": sides})
    ends = objective.intervals.ends.tolist() if isinstance(objective, Discrete) else ()
    return NetworkCard(
        head=objective.head,
        shape=shape,
        output_names=objective.output_names,
        unit=objective.unit,
        interval_ends=tuple(ends),
        tasks=objective.tasks if isinstance(objective, Classes) else {},
        model=origin.model,
        model_sha256=origin.model_sha256,
        instances=origin.instances,
        tile_um=origin.tile_um,
        patients=len(target),
        slides=origin.slides,
        events=int(target.event.sum()) if isinstance(target, SurvivalTarget) else None,
        fingerprints=origin.fingerprints,
        earlier_slides=0 if start is None else start.card.slides + start.card.earlier_slides,
        earlier_fingerprints=()
        if start is None
        else (*start.card.fingerprints, *start.card.earlier_fingerprints),
        epochs=options.epochs,
        instances_of_epoch=options.instances,
        batch=options.batch,
        lr=options.lr,
        weight_decay=options.weight_decay,
        dropout=options.dropout,
        seed=options.seed,
        started_from="" if start is None else start.sha256,
        frozen=start is not None and options.freeze,
        versions={
            **{
                name: importlib.metadata.version(name) for name in ("napari-past", "numpy", "torch")
            },
            "threads": str(torch.get_num_threads()),
        },
    )
