"""How sections are cut: sizes that nobody gave fit the rows, and the model that is to read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pydantic

from past_training.dataset.schema import BadDataset, Mode, PrepareConfig, first_problem

if TYPE_CHECKING:
    from napari_past.spatial.section import MeasuredSection

CELL_UM, SPOT_UM = 48.0, 112.0
"""Side of a default crop: what PAST showed of a cell, and a spot of ST with a rim."""
REGION_PX, HALO_UM = 512, 32.0
CORE_PX = 256
"""Least core of a region whose halo a model asks for."""
MPP = 0.5
_STEP_PX = 16
"""Default sizes are multiples: towers halve their maps several times."""


@dataclass(frozen=True)
class View:
    """What a model sees."""

    model: str
    """As the user called it."""
    mpp: float
    """µm/px that it reads."""
    halo_px: int
    """How far around a nucleus."""

    def around_px(self, spot_um: float | None) -> int:
        """Pixels around the centre of a row that show all that is seen of its nuclei.

        Parameters
        ----------
        spot_um
            Diameter of a spot, whose nuclei lie anywhere in it; None: a cell, whose nucleus is its
            centre.
        """
        return self.halo_px + math.ceil((spot_um or 0.0) / 2 / self.mpp)


def view_of(model: str) -> View:
    """What a model sees, by its name or file.

    Raises
    ------
    UnknownModel, BadModel
    """
    from napari_past.model import load_model

    encoder = load_model(model, "cpu").card.encoder
    return View(model, encoder.mpp, encoder.halo_px)


@dataclass(frozen=True)
class Cut:
    """What the user said of how sections are cut; None: as it fits.

    Raises
    ------
    BadDataset
        The model reads another µm/px, or sees more than such patches show.
    """

    mode: Mode = "crops"
    mpp: float | None = None
    patch_px: int | None = None
    halo_px: int | None = None
    neighbour_radius_um: float = 25.0
    shard_patches: int | None = None
    view: View | None = None

    def __post_init__(self) -> None:
        if self.mpp is not None and not (math.isfinite(self.mpp) and self.mpp > 0):
            raise BadDataset(f"--dataset-mpp is a positive number of µm/px, but got {self.mpp:g}.")
        if self.view is None:
            return
        if self.mpp is not None and not math.isclose(self.mpp, self.view.mpp, rel_tol=1e-6):
            raise BadDataset(
                f"--for {self.view.model} means {self.view.mpp:g} µm/px, but got --dataset-mpp "
                f"{self.mpp:g}; leave out one of them."
            )
        self._check_shown(None, self.patch_px, self.halo_px)

    def config(self, spot_um: float | None) -> PrepareConfig:
        """The settings for rows of this diameter (None: cells).

        Raises
        ------
        BadDataset
            What was given does not fit together.
        """
        regions, view = self.mode == "regions", self.view
        mpp = self.mpp or (MPP if view is None else view.mpp)
        around_px = 0 if view is None else view.around_px(spot_um)
        halo_px, patch_px = self.halo_px, self.patch_px
        if halo_px is None:
            halo_um = max(HALO_UM, (spot_um or 0.0) / 2 + mpp)
            halo_px = max(_stepped(halo_um / mpp), _covering(around_px)) if regions else 0
        if patch_px is None and regions:
            patch_px = REGION_PX if view is None else max(REGION_PX, 2 * halo_px + CORE_PX)
        elif patch_px is None:
            crop_um = CELL_UM if spot_um is None else max(SPOT_UM, spot_um + 2 * mpp)
            patch_px = max(_stepped(crop_um / mpp), _covering(2 * around_px))
        try:
            config = PrepareConfig(
                mpp=mpp,
                patch_px=patch_px,
                mode=self.mode,
                halo_px=halo_px,
                neighbour_radius_um=self.neighbour_radius_um,
                shard_patches=self.shard_patches,
            )
        except pydantic.ValidationError as exc:
            raise BadDataset(
                f"These settings do not fit together ({first_problem(exc)}); see past-train "
                f"prepare --help."
            ) from exc
        self._check_shown(spot_um, config.patch_px, config.halo_px)
        return config

    def fitting(
        self, sections: Iterable[MeasuredSection], config: PrepareConfig
    ) -> Iterator[MeasuredSection]:
        """The sections, each when its turn comes.

        Raises
        ------
        BadDataset
            The spots of one are too wide for the model to see around its nuclei.
        """
        for section in sections:
            self._check_shown(section.spot_diameter_um, config.patch_px, config.halo_px)
            yield section

    def _check_shown(
        self, spot_um: float | None, patch_px: int | None, halo_px: int | None
    ) -> None:
        """Whether patches, as far as they are known, show what the model sees of their nuclei."""
        if self.view is None:
            return
        wanted_px = self.view.around_px(spot_um)
        what = "a nucleus" if spot_um is None else f"the nuclei of a spot of {spot_um:g} µm"
        seen = f"{self.view.model} sees {self.view.halo_px} px around {what}"
        if self.mode == "regions" and halo_px is not None and halo_px < wanted_px:
            raise BadDataset(
                f"{seen}, which a --halo-px of {halo_px} does not show; leave --halo-px out, or "
                f"give {wanted_px} or more."
            )
        if self.mode == "crops" and patch_px is not None and patch_px < 2 * wanted_px:
            raise BadDataset(
                f"{seen}, which patches of {patch_px} px (--patch-px) do not show; leave "
                f"--patch-px out, or give {2 * wanted_px} or more."
            )


def _stepped(size_px: float) -> int:
    """The least multiple of 16 px that covers a size, give or take a hundredth."""
    return _STEP_PX * math.ceil(size_px / _STEP_PX - 0.2)


def _covering(size_px: int) -> int:
    """The least multiple of 16 px that covers a size."""
    return _STEP_PX * math.ceil(size_px / _STEP_PX)
