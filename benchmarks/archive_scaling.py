"""What an archive costs, worked out from what `archive.py` measured and from named assumptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common import table

GENES = 9
"""Values a cell in the tables, about those of the panel."""
LARGE_FLOP, GPU_FLOP_S = 62e9, 790e12
"""PAST's ViT-L for a cell; an H200 in bfloat16."""
GPU_CELLS_S = GPU_FLOP_S / LARGE_FLOP
"""Worked out, not measured."""
LARGE_CPU_S = 1.15
"""The same tower, seconds a cell on two cores, measured earlier."""
HOURS = 3600.0
LINK_BYTES_S = 1.25e8
"""A network of 1 Gbit/s."""


@dataclass(frozen=True)
class Assumptions:
    """What is not measured here."""

    slides: int
    tissue_mm2: float
    """Of a slide."""
    core_price: float
    """Of a core for an hour, in the reader's currency."""
    gpu_price: float


def scaling_tables(m: Mapping[str, Any], assumed: Assumptions) -> list[str]:
    """Lines of Markdown: the archive, where the time goes, and where the bottleneck moves."""
    one = 1.0 / assumed.slides
    mm2 = assumed.slides * assumed.tissue_mm2
    # A tile at the border of tissue counts whole, as in the run that was measured.
    tiles = mm2 * m["tiles"] / m["tissue_mm2"]
    cells = mm2 * m["cells"] / m["tissue_mm2"]
    stages = {
        name: m[f"{key}_cpu_s"] * tiles
        for name, key in (
            ("reading and decoding", "read"), ("finding nuclei", "detect"),
            ("encoding (the default model)", "encode"), ("storing", "store"),
        )
    }  # fmt: skip
    stages["slides beside their tiles"] = m["slide_cpu_s"] * assumed.slides
    exports = {
        form: cells * (cell + GENES * value) for form, (cell, value, _) in m["formats"].items()
    }
    stages["writing .h5ad"] = cells * m["formats"]["h5ad"][2] / 1e6
    cpu_s = sum(stages.values())
    large_s = cells / GPU_CELLS_S
    rows: list[tuple[str, float, Sequence[str]]] = [
        ("tissue, mm² (assumed)", mm2, ("{:,.0f}", "{:,.0f}")),
        ("tiles", tiles, ("{:,.0f}", "{:,.0f}")),
        ("cells", cells, ("{:,.0f}", "{:,.0f}")),
        ("core hours, default model", cpu_s / HOURS, ("{:.2f}", "{:,.0f}")),
        ("its cost", cpu_s / HOURS * assumed.core_price, ("{:.3f}", "{:,.0f}")),
        ("read from slides, GB", tiles * m["read_bytes"] / 1e9, ("{:.2f}", "{:,.0f}")),
        ("store, GB", cells * m["store_bytes"] / 1e9, ("{:.2f}", "{:,.0f}")),
        ("files of the store", tiles, ("{:,.0f}", "{:,.0f}")),
        *(
            (f".{form} with {GENES} genes, GB", size / 1e9, ("{:.2f}", "{:,.0f}"))
            for form, size in exports.items()
        ),
        ("GPU hours, PAST's own ViT-L, at least", large_s / HOURS, ("{:.3f}", "{:,.0f}")),
        ("their cost", large_s / HOURS * assumed.gpu_price, ("{:.3f}", "{:,.0f}")),
        ("core hours of the same on two cores", cells * LARGE_CPU_S * 2 / HOURS,
         ("{:,.0f}", "{:,.0f}")),
    ]  # fmt: skip
    lines = table(
        ["what", "a slide", f"{assumed.slides:,} slides"],
        [(what, forms[0].format(n * one), forms[1].format(n)) for what, n, forms in rows],
    )
    lines += [
        "",
        f"A core is taken at {assumed.core_price:g} an hour and a GPU at {assumed.gpu_price:g}, in "
        "your currency: both are yours to replace (`--price`, `--gpu-price`).",
        f"PAST's own ViT-L is taken at {LARGE_FLOP / 1e9:g} GFLOP a cell and a GPU at "
        f"{GPU_FLOP_S / 1e12:g} TFLOP/s (an H200 in bfloat16): {GPU_CELLS_S:,.0f} cells a second "
        "were nothing else in the way, which is worked out and not measured. On two cores it took "
        f"{LARGE_CPU_S:g} s a cell in an earlier run, which this one did not repeat.",
        "",
        "Where the core hours go:",
        "",
        *table(
            ["stage", "share", "core hours"],
            [(n, f"{s / cpu_s:.0%}", f"{s / HOURS:,.0f}") for n, s in stages.items()],
        ),
        "",
        "What stops more workers from helping:",
        "",
        *table(["what", "is full at"], _limits(m, tiles, cells, assumed)),
    ]
    return lines


def _limits(
    m: Mapping[str, Any], tiles: float, cells: float, assumed: Assumptions
) -> list[tuple[str, str]]:
    tile_s = sum(m[f"{key}_cpu_s"] for key in ("read", "detect", "encode", "store"))
    fed_s = m["read_cpu_s"] + m["detect_cpu_s"] + m["store_cpu_s"]
    gpu_tile_s = m["cells"] / m["tiles"] / GPU_CELLS_S
    read_rate = m["read_bytes"] / tile_s
    store_rate = m["store_bytes"] * m["cells"] / m["tiles"] / tile_s
    single_s = m["slide_cpu_s"] * assumed.slides + cells * m["formats"]["h5ad"][2] / 1e6
    return [
        (
            f"one scheduler, {1e3 * m['task_s']:.1f} ms a tile",
            f"{tile_s / m['task_s']:,.0f} cores",
        ),
        (
            "the one process that plans, collects and writes",
            f"{tiles * tile_s / single_s:,.0f} cores, by CPU time",
        ),
        (
            f"slides over 1 Gbit/s, {read_rate / 1e6:.2f} MB/s a core",
            f"{LINK_BYTES_S / read_rate:,.0f} cores",
        ),
        (
            f"the store on a disk of 100 MB/s, {store_rate / 1e6:.3f} MB/s a core",
            f"{1e8 / store_rate:,.0f} cores",
        ),
        (
            "files of the store at 500 new files a second",
            f"{500 * tile_s:,.0f} cores",
        ),
        (
            f"one scheduler, PAST's own ViT-L at {1e3 * gpu_tile_s:.0f} ms a tile on a GPU",
            f"{gpu_tile_s / m['task_s']:.1f} GPUs",
        ),
        (
            "the cores that read and find nuclei for one such GPU",
            f"{fed_s / gpu_tile_s:.1f} cores a GPU",
        ),
    ]
