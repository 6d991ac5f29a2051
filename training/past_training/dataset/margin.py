"""How much of the picture a patch shows around its nuclei."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def margin_px(yx_px: npt.NDArray[np.floating], patch_px: int) -> float:
    """Distance in px from the border of its patch to the nucleus that lies nearest to it.

    Parameters
    ----------
    yx_px
        (n, 2), in patches of `patch_px`, pixel centres at integers; at least one.
    """
    return float(min((yx_px + 0.5).min(), (patch_px - 0.5 - yx_px).min()))


def patch_px_for(halo_px: int, margin: float, patch_px: int) -> int:
    """Side of the patches that show `halo_px` around each nucleus; `patch_px` where these do.

    Parameters
    ----------
    margin
        `margin_px` of the patches that there are, of `patch_px`.
    """
    # A crop's centre lies half a pixel beside the patch's, at most.
    return patch_px + 2 * max(0, math.ceil(halo_px - margin - 1))
