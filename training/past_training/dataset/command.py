"""``past-train prepare``: measured tissue of any source to a paired dataset."""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import pydantic

from napari_past.errors import Cancelled
from past_training.dataset.prepare import prepare
from past_training.dataset.progress import ProgressLine
from past_training.dataset.read import PairedDataset
from past_training.dataset.schema import (
    SECTIONS,
    BadDataset,
    PrepareConfig,
    SectionRecord,
    first_problem,
)
from past_training.sources import SOURCES, MeasuredSection, read_sections

CELL_UM, SPOT_UM = 48.0, 112.0
"""Side of a default crop: what PAST showed of a cell, and a spot of ST with a rim."""
REGION_PX, HALO_UM = 512, 32.0
_STEP_PX = 16
"""Default sizes are multiples: towers halve their maps several times."""
_READERS_OPTIONS = ("image", "alignment", "mpp", "patient", "name", "unit", "sections")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its options."""
    kinds = "; ".join(f"{name}: {source.summary}" for name, source in SOURCES.items())
    prepare = commands.add_parser(
        "prepare",
        help="turn measured tissue and its H&E into one paired dataset",
        description=f"Sources are {kinds}. Interrupted, the same command goes on.",
    )
    prepare.add_argument("kind", choices=tuple(SOURCES), metavar="KIND", help=", ".join(SOURCES))
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
        help="any other parameter of the reader, such as tissue=breast; may be repeated",
    )
    cutting = prepare.add_argument_group("how it is cut")
    cutting.add_argument(
        "--mode",
        choices=("crops", "regions"),
        default="crops",
        help="a patch around each row (the default), or patches of a grid with their rows",
    )
    cutting.add_argument("--dataset-mpp", type=float, default=0.5, metavar="M", help="default: 0.5")
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
    line = ProgressLine()
    try:
        sections = _sections(options)
        first = next(sections, None)
        if first is None:
            raise BadDataset(f"{options.sources[0]} holds no section; check the source.")
        dataset = prepare(
            itertools.chain([first], sections),
            options.out,
            _config(options, first),
            line,
            on_warning=line.warn,
            source=options.kind,
            force=options.force,
        )
    except (Cancelled, KeyboardInterrupt):
        line.close()
        print(
            f"past-train: cancelled; whole shards of {options.out} are kept, and the same command "
            f"goes on.",
            file=sys.stderr,
        )
        return 130
    finally:
        line.close()
    print("\n".join(_summary(dataset, options.out)))
    return 0


def _sections(options: argparse.Namespace) -> Iterator[MeasuredSection]:
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
    known = SOURCES[options.kind].options
    for ours, theirs in (("image", "images"), ("sections", "ids"), ("sections", "slides")):
        if ours in values and ours not in known and theirs in known:
            values[theirs] = values.pop(ours)
    for text in options.option:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise BadDataset(f"--option wants KEY=VALUE, but got {text!r}; write tissue=breast.")
        values[key.strip()] = value.strip()
    return values


def _config(options: argparse.Namespace, first: MeasuredSection) -> PrepareConfig:
    """The settings; sizes that were not given fit the first section."""
    mpp, spot_um = options.dataset_mpp, first.spot_diameter_um
    halo_px, patch_px = options.halo_px, options.patch_px
    try:
        if halo_px is None:
            halo_um = max(HALO_UM, (spot_um or 0.0) / 2 + mpp)
            halo_px = _stepped(halo_um, mpp) if options.mode == "regions" else 0
        if patch_px is None:
            crop_um = CELL_UM if spot_um is None else max(SPOT_UM, spot_um + 2 * mpp)
            patch_px = REGION_PX if options.mode == "regions" else _stepped(crop_um, mpp)
        return PrepareConfig(
            mpp=mpp,
            patch_px=patch_px,
            mode=options.mode,
            halo_px=halo_px,
            neighbour_radius_um=options.neighbour_radius,
            shard_patches=options.shard_patches,
        )
    except pydantic.ValidationError as exc:
        raise BadDataset(
            f"These settings do not fit together ({first_problem(exc)}); see past-train prepare "
            f"--help."
        ) from exc


def _stepped(size_um: float, mpp: float) -> int:
    """The least multiple of 16 px that covers a size, give or take a hundredth."""
    if not (math.isfinite(mpp) and mpp > 0):
        raise BadDataset(f"--dataset-mpp is a positive number of µm/px, but got {mpp:g}.")
    return _STEP_PX * math.ceil(size_um / mpp / _STEP_PX - 0.2)


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
