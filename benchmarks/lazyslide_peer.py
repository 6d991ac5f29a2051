"""LazySlide's feature extraction, driven over standard input by ``wholeslide.py``.

Runs with any Python that has `lazyslide` and `timm`; napari-past is not needed there. The first
line that it reads is the job (JSON: slide, backbone, places); each further line asks for one
extraction, and one line answers. The backbone has random weights: its speed does not depend on
them.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version
from typing import Any

import lazyslide
import numpy as np
import timm
import torch
from wsidata import TileSpec, open_wsi
from wsidata.io import add_tiles


class Pooled(torch.nn.Module):
    """One vector for each picture: the means over the maps of a backbone's stages."""

    def __init__(self, backbone: str, stages: list[int]) -> None:
        super().__init__()
        self.backbone = timm.create_model(
            backbone, pretrained=False, features_only=True, out_indices=stages
        ).to(memory_format=torch.channels_last)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        maps = self.backbone(image.contiguous(memory_format=torch.channels_last))
        return torch.cat([m.mean(dim=(2, 3)) for m in maps], dim=1)


class Normalised:
    """Pixels (Y, X, 3) uint8 as the backbone wants them."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        self.mean = torch.tensor(mean).view(3, 1, 1) * 255
        self.std = torch.tensor(std).view(3, 1, 1) * 255

    def __call__(self, rgb: np.ndarray) -> torch.Tensor:
        return (torch.from_numpy(rgb).permute(2, 0, 1).float() - self.mean) / self.std


def main() -> None:
    # Whatever libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=answers)

    try:
        job = json.loads(sys.stdin.readline())
        slide = open_wsi(job["slide"])
        for key, tiles in job["tiles"].items():
            spec = TileSpec.from_wsidata(
                slide, tiles["side_px"], mpp=tiles["mpp"], slide_mpp=job["slide_mpp"]
            )
            places = np.array(tiles["places_px"])
            add_tiles(slide, key, places, spec, np.zeros(len(places), int))
        model = Pooled(job["backbone"], job["stages"]).eval()
        normalised = Normalised(job["mean"], job["std"])
        answer(version=version("lazyslide"), reader=type(slide.reader).__name__)
        for line in sys.stdin:
            wanted = json.loads(line)
            torch.set_num_threads(job["threads"] - wanted["loaders"])
            vectors = lazyslide.tl.feature_extraction(
                slide,
                model,
                transform=normalised,
                device=job["device"],
                batch_size=job["tiles"][wanted["tiles"]]["batch"],
                num_workers=wanted["loaders"],
                tile_key=wanted["tiles"],
                pbar=False,
                return_features=True,
            )
            answer(vectors=len(vectors), numbers=vectors.shape[1])
    except Exception as exc:  # told by whoever asked
        answer(error=f"{type(exc).__name__}: {exc}")


if __name__ == "__main__":
    main()
