"""Sections of Spatial Transcriptomics (ST): a picture, spot positions, counts.

Reads the layout of the HER2-positive breast cancer data of Andersson et al. 2021 (Nat Commun
12:6012): ``<section>.jpg``, ``<section>.tsv.gz`` (spots "XxY" by genes) and
``<section>_selection.tsv`` with ``x, y, pixel_x, pixel_y``, where pixel_x is the column and pixel_y
the row in the picture.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from napari_past.errors import PastError
from napari_past.types import Rgb

Image.MAX_IMAGE_PIXELS = None  # sections are larger than Pillow's default guard


@dataclass(frozen=True)
class Section:
    """One section with its measured spots."""

    name: str
    patient: str
    rgb: Rgb
    mpp: float
    spots_um: npt.NDArray[np.float64]
    """(s, 2), (x, y) centres in slide space."""
    counts: pd.DataFrame
    """(s, genes), raw counts, rows in the order of `spots_um`."""
    fingerprint: str
    """SHA-256 of the picture file."""

    @property
    def background(self) -> tuple[float, float, float]:
        """Colour of clear glass: the 90th percentile, since spots leave most of the glass free."""
        r, g, b = np.percentile(self.rgb[::16, ::16].reshape(-1, 3), 90, axis=0)
        return float(r), float(g), float(b)


def read_section(folder: Path, name: str, patient: str, mpp: float) -> Section:
    """Read one section; spots without counts are dropped.

    Raises
    ------
    PastError
        A file is missing, or no spot has counts.
    """
    picture, table = folder / f"{name}.jpg", folder / f"{name}.tsv.gz"
    positions = folder / f"{name}_selection.tsv"
    for path in (picture, table, positions):
        if not path.is_file():
            raise PastError(f"Section {name} lacks {path.name} in {folder}; see the recipe's data.")
    counts = pd.read_csv(table, sep="\t", index_col=0)
    if bool((counts.to_numpy() < 0).any()):
        raise PastError(f"{table.name} holds negative counts; give raw counts.")
    where = pd.read_csv(positions, sep="\t")
    where.index = pd.Index(where["x"].astype(str) + "x" + where["y"].astype(str))
    common = [spot for spot in where.index if spot in counts.index and counts.loc[spot].sum() > 0]
    if not common:
        raise PastError(f"No spot of {positions.name} has counts in {table.name}; check the pair.")
    where = where.loc[common]
    # A pixel's centre is half a pixel into slide space.
    spots_um = (where[["pixel_x", "pixel_y"]].to_numpy(np.float64) + 0.5) * mpp
    try:
        rgb = np.asarray(Image.open(picture).convert("RGB"))
    except OSError as exc:
        raise PastError(
            f"{picture.name} cannot be read as a picture ({exc}); get it again."
        ) from exc
    return Section(
        name=name,
        patient=patient,
        rgb=rgb,
        mpp=mpp,
        spots_um=spots_um,
        counts=counts.loc[common],
        fingerprint=hashlib.sha256(picture.read_bytes()).hexdigest(),
    )


def log1p_cp10k(counts: pd.DataFrame, genes: list[str]) -> npt.NDArray[np.float32]:
    """log1p of counts per 10,000 of the spot, (s, len(genes)); the total is over all genes."""
    total = counts.sum(axis=1).to_numpy(np.float64)
    values = counts.reindex(columns=genes, fill_value=0).to_numpy(np.float64)
    return np.log1p(values / total[:, None] * 1e4).astype(np.float32)
