"""``past-train prepare``: measured tissue of any source to a paired dataset."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from napari_past.errors import Cancelled
from napari_past.spatial.kinds import KINDS
from past_training.dataset.cut import CELL_UM, MPP, REGION_PX, SPOT_UM, Cut, view_of
from past_training.dataset.destination import check_place
from past_training.dataset.schema import SECTIONS, BadDataset, SectionRecord

if TYPE_CHECKING:
    from napari_past.spatial import MeasuredSection
    from past_training.dataset.read import PairedDataset

_READERS_OPTIONS = ("image", "alignment", "mpp", "patient", "name", "unit", "sections")
_THEIRS = {
    ("past", "image"): "images",
    ("hest", "sections"): "ids",
    ("stimage", "sections"): "slides",
}
"""What the reader of a kind calls an option."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its options."""
    kinds = "; ".join(f"{name}: {summary}" for name, summary in KINDS.items())
    prepare = commands.add_parser(
        "prepare",
        help="turn measured tissue and its H&E into one paired dataset",
        description=f"Sources are {kinds}. Interrupted, the same command goes on.",
    )
    prepare.add_argument("kind", choices=tuple(KINDS), metavar="KIND", help=", ".join(KINDS))
    prepare.add_argument("sources", nargs="+", type=Path, metavar="SOURCE")
    prepare.add_argument("--out", type=Path, required=True, metavar="NAME.past")
    reading = prepare.add_argument_group("what the source does not say itself")
    reading.add_argument("--image", metavar="FILE", help="the H&E (past: the folder that holds it)")
    reading.add_argument("--alignment", metavar="FILE.csv", help="of H&E to DAPI (xenium)")
    reading.add_argument("--mpp", type=float, metavar="M", help="µm/px of the H&E")
    reading.add_argument("--patient", metavar="P", help="whose tissue; splits are by patient")
    reading.add_argument("--name", metavar="N", help="of the section")
    reading.add_argument("--sections", metavar="A,B", help="which of a source that holds several")
    reading.add_argument(
        "--spatial-unit", dest="unit", choices=("um", "px"), help="of the positions (anndata)"
    )
    reading.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other parameter of the reader, such as tissue=breast; may be repeated "
        "(docs/training.md lists them by source; an unknown KEY is answered with the list)",
    )
    cutting = prepare.add_argument_group("how it is cut")
    cutting.add_argument(
        "--mode",
        choices=("crops", "regions"),
        default="crops",
        help="a patch around each row (the default), or patches of a grid with their rows",
    )
    cutting.add_argument(
        "--for",
        dest="model",
        metavar="MODEL",
        help="a name or file: at the µm/px that it reads, in patches that show what it sees",
    )
    cutting.add_argument(
        "--dataset-mpp", type=float, metavar="M", help=f"default: {MPP:g}, or that of --for"
    )
    cutting.add_argument(
        "--patch-px",
        type=int,
        metavar="N",
        help=f"default: {CELL_UM:g} µm around a cell, {SPOT_UM:g} around a spot, {REGION_PX} px "
        "for regions",
    )
    cutting.add_argument("--halo-px", type=int, metavar="N", help="of regions: rim around the core")
    cutting.add_argument(
        "--neighbour-radius",
        type=float,
        default=25.0,
        metavar="UM",
        help="cells this near are neighbours; default: 25",
    )
    cutting.add_argument("--shard-patches", type=int, metavar="N", help="default: 16 MiB of pixels")
    prepare.add_argument("--force", action="store_true", help="start the dataset over")


def execute(options: argparse.Namespace) -> int:
    """Read, check, cut; 0 when done, 130 when interrupted.

    Raises
    ------
    PastError
        A mistake of the user's, or a disk that is full.
    """
    check_place(options.out)
    cut = _cut(options)
    # Only now: pandas and the readers take seconds to load.
    from past_training.dataset.prepare import prepare
    from past_training.dataset.progress import ProgressLine

    line = ProgressLine()
    try:
        sections = _sections(options)
        first = next(sections, None)
        if first is None:
            raise BadDataset(f"{options.sources[0]} holds no section; check the source.")
        config = cut.config(first.spot_diameter_um)
        dataset = prepare(
            cut.fitting(itertools.chain([first], sections), config),
            options.out,
            config,
            line,
            on_warning=line.warn,
            source=options.kind,
            force=options.force,
        )
    except (Cancelled, KeyboardInterrupt):
        line.close()
        print(f"past-train: cancelled; {_left(options.out, line.began)}.", file=sys.stderr)
        return 130
    finally:
        line.close()
    print("\n".join(_summary(dataset, options.out)))
    return 0


def _left(out: Path, began: bool) -> str:
    """What is there after an interruption."""
    if began:
        return f"whole shards of {out} are kept, and the same command goes on"
    return "no new shard was written" if out.exists() else "nothing was written"


def _cut(options: argparse.Namespace) -> Cut:
    return Cut(
        mode=options.mode,
        mpp=options.dataset_mpp,
        patch_px=options.patch_px,
        halo_px=options.halo_px,
        neighbour_radius_um=options.neighbour_radius,
        shard_patches=options.shard_patches,
        view=None if options.model is None else view_of(options.model),
    )


def _sections(options: argparse.Namespace) -> Iterator[MeasuredSection]:
    from napari_past.spatial import read_sections

    given = _reader_options(options)
    if options.name is not None and len(options.sources) > 1:
        raise BadDataset(
            f"--name names one section, but {len(options.sources)} sources are given; prepare them "
            f"one after the other into the same --out."
        )
    for path in options.sources:
        yield from read_sections(options.kind, path, given)


def _reader_options(options: argparse.Namespace) -> dict[str, object]:
    """What was given, by the names of the reader's parameters."""
    given = {key: getattr(options, key) for key in _READERS_OPTIONS}
    values: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    values = {_THEIRS.get((options.kind, key), key): value for key, value in values.items()}
    for text in options.option:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise BadDataset(f"--option wants KEY=VALUE, but got {text!r}; write tissue=breast.")
        values[key.strip()] = value.strip()
    return values


def _summary(dataset: PairedDataset, out: Path) -> list[str]:
    lines = [f"{out}:"]
    lines += [f"  {one.name} ({one.patient}): {_counted(one)}" for one in dataset.sections]
    size = sum(path.stat().st_size for path in (out / SECTIONS).rglob("*") if path.is_file())
    rows, nuclei, patches = (
        sum(getattr(record, name) for record in dataset.sections)
        for name in ("rows", "nuclei", "patches")
    )
    lines.append(
        f"  sections {len(dataset.sections)}, patients {len(dataset.patients)}, rows {rows}, "
        f"nuclei {nuclei}, patches {patches}, genes {len(dataset.genes)}, "
        f"bytes {size} ({size / 1e6:.1f} MB)"
    )
    return lines


def _counted(record: SectionRecord) -> str:
    kind = "cells" if record.spot_diameter_um is None else "spots"
    return f"{record.rows} {kind}, {record.nuclei} nuclei, {record.genes} genes"
