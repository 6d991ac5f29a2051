"""Fine-tuning of few parameters: a head alone, or low-rank additions to every layer."""

from __future__ import annotations

from typing import cast

from torch import nn

from napari_past.errors import MissingExtra, PastError


def freeze(*modules: nn.Module) -> None:
    """Head-only training: the weights of `modules` stay as they are, all others are trained.

    Running statistics of their normalisation layers stay as well, see `training_mode`.
    """
    for module in modules:
        module.requires_grad_(False)


def training_mode(model: nn.Module) -> None:
    """``model.train()``, but batch normalisation with frozen weights keeps its statistics.

    Otherwise a tower that counts as frozen would drift with the statistics of each batch, and would
    give other embeddings in training than afterwards.
    """
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not any(
            p.requires_grad for p in module.parameters()
        ):
            module.eval()


def with_lora(tower: nn.Module, rank: int = 8, alpha: int = 16) -> nn.Module:
    """`tower` with low-rank additions to its linear and convolutional layers, all else frozen.

    Hu et al. 2021 (arXiv 2106.09685), through peft. Call it as the tower itself; the additions
    start at zero, so that nothing has changed yet. Depthwise convolutions stay as they are: they
    have fewer weights than their additions would have.

    Parameters
    ----------
    tower
        Is changed; keep the returned module.
    rank
        Of the additions.
    alpha
        Additions are scaled by ``alpha / rank``.

    Raises
    ------
    MissingExtra
        peft is not installed.
    PastError
        The tower has no such layer, or the rank is not positive.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as exc:
        raise MissingExtra(
            "Low-rank fine-tuning needs peft: pip install 'napari-past[training]'."
        ) from exc
    if rank < 1:
        raise PastError(f"The rank of low-rank additions is at least 1, but got {rank}.")
    names = [name for name, module in tower.named_modules() if _adaptable(module)]
    if not names:
        raise PastError(
            "This tower has no linear or convolutional layer to add to; train it whole."
        )
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=names)
    return cast(nn.Module, get_peft_model(tower, config))


def merged(adapted: nn.Module) -> nn.Module:
    """The tower that `with_lora` was given, with what was learned added to its weights.

    Its layers and their names are those of before, so that it can be exported as any other.
    """
    from peft import PeftModel

    assert isinstance(adapted, PeftModel), "merged() takes what with_lora() gave"
    return cast(nn.Module, adapted.merge_and_unload())


def _adaptable(module: nn.Module) -> bool:
    if isinstance(module, nn.Conv2d):
        return module.groups == 1
    return isinstance(module, nn.Linear)
