"""Weights that were not published for timm, by the names that tensors have in our towers.

Only how tensors are called and laid out is known here, from the model cards and from what
transformers and CONCH's own code write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, cat
from torch.nn.functional import layer_norm, linear

from past_training.engine.hub import TowerUnavailable
from past_training.engine.known_towers import Layout

State = Mapping[str, Tensor]

_BLOCK = re.compile(r"encoder\.layer\.(\d+)\.(.+)\.(\w+)")
_IN_A_BLOCK = {
    "attention.output.dense": "attn.proj",
    # ViTModel
    "layernorm_before": "norm1", "layernorm_after": "norm2",
    "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2",
    # Dinov2Model
    "norm1": "norm1", "norm2": "norm2", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
    "layer_scale1": "ls1", "layer_scale2": "ls2",
}  # fmt: skip
_OUTSIDE = {
    "embeddings.cls_token": "cls_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
    "layernorm.weight": "norm.weight",
    "layernorm.bias": "norm.bias",
}
_QKV = ("query", "key", "value")
_NOT_READ = ("pooler.", "embeddings.mask_token")
"""Of training, and of what follows the class token."""
_TRUNK, _POOLER = "visual.trunk.", "visual.attn_pool_contrast."
_QUERY_EPS = 1e-5


def tower_state(state: State, layout: Layout, name: str) -> dict[str, Tensor]:
    """A tower's weights by their names in `napari_past.model.pooled.PooledTower`.

    Parameters
    ----------
    state
        As published, in this layout.
    name
        Of the tower, for the messages.

    Raises
    ------
    TowerUnavailable
        A tensor is missing, or one is there that no such tower has.
    """
    if layout == "timm":
        return {f"backbone.{key}": value for key, value in state.items()}
    try:
        if layout == "conch":
            return _of_conch(state)
        return {f"backbone.{key}": value for key, value in _of_transformers(state).items()}
    except KeyError as exc:
        raise TowerUnavailable(
            f"The weights of {name} have other tensors than were known when this was written "
            f"({exc.args[0]}); update napari-past, or take another tower."
        ) from exc


def _of_transformers(state: State) -> dict[str, Tensor]:
    """timm's vision transformer in the names of a ``ViTModel`` or ``Dinov2Model``."""
    result: dict[str, Tensor] = {}
    # A model with a head on top has its own name in front.
    own = {re.sub(r"^(vit|dinov2)\.", "", key): value for key, value in state.items()}
    for key, value in own.items():
        if key.startswith(_NOT_READ):
            continue
        if key in _OUTSIDE:
            result[_OUTSIDE[key]] = value
            continue
        found = _BLOCK.fullmatch(key)
        if found is None:
            raise KeyError(key)
        number, part, kind = found.groups()
        before, _, last = part.rpartition(".")
        if before == "attention.attention" and last in _QKV:
            if last == "query":  # timm has the three in one, in this order
                result[f"blocks.{number}.attn.qkv.{kind}"] = _joined(own, number, kind)
        elif part in _IN_A_BLOCK:
            kind = "gamma" if kind == "lambda1" else kind
            result[f"blocks.{number}.{_IN_A_BLOCK[part]}.{kind}"] = value
        else:
            raise KeyError(key)
    return result


def _joined(state: State, number: str, kind: str) -> Tensor:
    layer = f"encoder.layer.{number}.attention.attention"
    return cat([state[f"{layer}.{one}.{kind}"] for one in _QKV])


def _of_conch(state: State) -> dict[str, Tensor]:
    """CONCH's trunk, and the pooler that gives its image vector before the projection to text.

    Its only query is the same for every image, so all that happens to it before the attention is
    done here, once.
    """
    own = {key.removeprefix("module."): value for key, value in state.items()}
    trunk = {
        f"backbone.{key.removeprefix(_TRUNK)}": value
        for key, value in own.items()
        if key.startswith(_TRUNK)
    }
    bias_q, bias_k, bias_v = own[f"{_POOLER}attn.in_proj_bias"].chunk(3)
    norm = (own[f"{_POOLER}ln_q.weight"], own[f"{_POOLER}ln_q.bias"])
    query = own[f"{_POOLER}query"]
    query = layer_norm(query, query.shape[-1:], *norm, _QUERY_EPS)
    query = linear(query, own[f"{_POOLER}attn.q_proj_weight"], bias_q)
    return trunk | {
        "pool.query": query.squeeze(0),
        "pool.enter.weight": own[f"{_POOLER}ln_k.weight"],
        "pool.enter.bias": own[f"{_POOLER}ln_k.bias"],
        "pool.key.weight": own[f"{_POOLER}attn.k_proj_weight"],
        "pool.key.bias": bias_k,
        "pool.value.weight": own[f"{_POOLER}attn.v_proj_weight"],
        "pool.value.bias": bias_v,
        "pool.out.weight": own[f"{_POOLER}attn.out_proj.weight"],
        "pool.out.bias": own[f"{_POOLER}attn.out_proj.bias"],
        "pool.norm.weight": own["visual.ln_contrast.weight"],
        "pool.norm.bias": own["visual.ln_contrast.bias"],
    }
