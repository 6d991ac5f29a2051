"""The names that tensors have in the published PAST checkpoint, and which it must hold."""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import nn

from napari_past.model.card import CellTowerCard, PooledTowerCard
from napari_past.model.past_network import CellEncoder, ProjectionHead
from napari_past.model.pooled import pooled_tower
from napari_past.model.tensors import CELL, IMAGE_PROJECTION, TEMPERATURE, TOWER

IGNORED = ("cell_encoder.encoder_layer.", "graph_encoder.distance_transform.")
"""Tensors that the published network holds but computes nothing with."""
GRAPH_ALONE = ("graph_encoder.", "fusion_layer.", "fusion_norm.", "attn_bias")
"""Tensors of the variant with a graph branch alone."""

Shape = tuple[int, ...]

_OURS_TO_PUBLISHED = [
    (re.compile(pattern), published)
    for pattern, published in (
        (r"^tower\.backbone\.", "image_encoder.model."),
        (r"^cell\.projection\.", "cell_projection."),
        (r"(?<=_projection)\.enter\.", ".projection."),
        (r"(?<=_projection)\.inner\.", ".fc."),
        (r"(?<=_projection)\.norm\.", ".layer_norm."),
        (r"^cell\.tower\.tokens\.", "cell_encoder.embeddings."),
        (r"^cell\.tower\.positions\.", "cell_encoder.positional_embedding."),
        (r"^cell\.tower\.layers\.", "cell_encoder.encoder.layers."),
        (r"(?<=\d)\.attention\.enter\.", ".self_attn.in_proj_"),
        (r"(?<=\d)\.attention\.leave\.", ".self_attn.out_proj."),
        (r"(?<=\d)\.expand\.", ".linear1."),
        (r"(?<=\d)\.contract\.", ".linear2."),
        (r"^cell\.graph\.layers\.(\d)\.linear\.", r"graph_encoder.convs.\1.lin."),
        (r"^cell\.graph\.layers\.(\d)\.source_11D", r"graph_encoder.convs.\1.att_src"),
        (r"^cell\.graph\.layers\.(\d)\.target_11D", r"graph_encoder.convs.\1.att_dst"),
        (r"^cell\.graph\.layers\.", "graph_encoder.convs."),
        (r"^cell\.graph\.norms\.", "graph_encoder.norms."),
        (r"^cell\.graph\.fusion\.enter\.", "fusion_layer.in_proj_"),
        (r"^cell\.graph\.fusion\.leave\.", "fusion_layer.out_proj."),
        (r"^cell\.graph\.fusion_norm\.", "fusion_norm."),
        (r"^cell\.graph\.bias_12$", "attn_bias"),
    )
]


def published_name(name: str) -> str:
    """What the published checkpoint calls a tensor of our model file."""
    for pattern, published in _OURS_TO_PUBLISHED:
        name = pattern.sub(published, name)
    return name


def model_layout(
    image: PooledTowerCard, cells: CellTowerCard, projection_dim: int
) -> dict[str, Shape]:
    """Shape of each tensor that our model file holds of these towers, by name."""
    with torch.device("meta"):
        parts: dict[str, nn.Module] = {
            TOWER: pooled_tower(image),
            IMAGE_PROJECTION: ProjectionHead(image.embed_dim, projection_dim),
            CELL: CellEncoder(cells, projection_dim),
        }
    shapes: dict[str, Shape] = {
        prefix + key: tuple(value.shape)
        for prefix, part in parts.items()
        for key, value in part.state_dict().items()
    }
    return shapes | {TEMPERATURE: ()}


def has_graph(names: Iterable[str]) -> bool:
    """Whether tensors of these published names are those of the variant with a graph branch."""
    return any(name.startswith(GRAPH_ALONE) and not name.startswith(IGNORED) for name in names)
