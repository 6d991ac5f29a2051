r"""``past-train slide evaluate``: what models of patients say of patients that were held out.

    past-train slide evaluate cohort --out survival.html --arms clinical,mean-ridge
    past-train slide evaluate patients.csv --patient id --time months --event died \
        --covariates age,stage --out survival.html
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_past.errors import BadTable, PastError
from napari_past.report.document import check_suffix
from napari_past.status_line import StatusLine
from past_training.evaluation.output_files import check_free
from past_training.evaluation.typed import listed
from past_training.slide_level.commands.column_options import add_columns, columns_of
from past_training.slide_level.commands.written_maps import written_maps

if TYPE_CHECKING:
    from past_training.slide_level.bags.prepared import Prepared
    from past_training.slide_level.fitting import FitOptions, SlideNetwork
    from past_training.slide_level.survival.data import SurvivalData
    from past_training.slide_level.survival.protocol import By, Protocol
    from past_training.slide_level.survival.result import SurvivalResult

_COLUMNS = ("slide", "patient", "time", "event", "site", "fold", "mpp", "rois", "covariates")
"""Options that tell columns of a bare table; a prepared folder knows its own."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``evaluate`` to the commands of ``past-train slide``."""
    from past_training.slide_level.survival.arm_names import HELP, POOLINGS

    parser = commands.add_parser(
        "evaluate",
        help="measure models of patients beside their baselines, on patients held out",
        description="Patients are held out whole; all that is chosen or estimated comes from the "
        "others. The page tells the protocol.",
    )
    parser.add_argument(
        "cohort", type=Path, metavar="FOLDER|TABLE",
        help="of `past-train slide prepare`; or a table of patients alone (.csv, .tsv, .parquet), "
        "for clinical models",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, required=True, metavar="REPORT", help="NAME.html or NAME.md"
    )
    parser.add_argument(
        "--task", choices=("survival", "bulk", "classification", "align"),
        default="survival",
        help="what is predicted (default: survival)",
    )  # fmt: skip
    parser.add_argument(
        "--arms", type=listed, metavar="A,B", help=f"of survival, the first is what gains are "
        f"measured against: {HELP}; default: what the cohort allows",
    )  # fmt: skip
    held = parser.add_argument_group("what is held out")
    held.add_argument("--folds", type=int, default=5, metavar="K", help="of patients; default: 5")
    held.add_argument(
        "--repeats", type=int, metavar="N", help="of survival: draw the folds so often; default: 1"
    )
    held.add_argument(
        "--inner",
        type=int,
        metavar="K",
        help="of survival: folds inside a training fold; default: 3",
    )
    by = held.add_mutually_exclusive_group()
    by.add_argument("--leave-site-out", action="store_true", help="each site whole, in turn")
    by.add_argument("--given-folds", action="store_true", help="the folds of the table's --fold")
    held.add_argument("--seed", type=int, default=0, help="of folds, fits and resamples")
    measured = parser.add_argument_group("where survival is measured")
    measured.add_argument(
        "--tau", type=float, metavar="T",
        help="Uno's C counts events before it; default: the last event time at which every "
        "training fold still follows over a tenth uncensored",
    )  # fmt: skip
    measured.add_argument(
        "--times", type=listed, metavar="A,B",
        help="of AUC and calibration; default: quartiles of event times up to tau",
    )  # fmt: skip
    networks = parser.add_argument_group("networks")
    networks.add_argument("--epochs", type=int, metavar="N", help="of each fit; fixed beforehand")
    networks.add_argument(
        "--pooling", choices=POOLINGS, help="of other tasks than survival; default: attention"
    )
    networks.add_argument(
        "--model", type=Path, metavar="FILE",
        help="a fitted network: another arm, where it was fitted on none of these slides",
    )  # fmt: skip
    networks.add_argument(
        "--maps", type=Path, metavar="FOLDER", help="write a heat map of --model for each slide"
    )
    add_columns(parser)
    parser.add_argument(
        "--force", action="store_true", help="overwrite a report and maps that are there"
    )


def execute(options: argparse.Namespace) -> int:
    """Check everything, then evaluate and write the page; 0 when done.

    Raises
    ------
    PastError
        A mistake of the user's.
    """
    check_suffix(options.out)
    check_free([options.out], [options.cohort], options.force)
    if options.maps is not None and options.model is None:
        raise PastError("--maps draws what a network says; name it (--model FILE).")
    if options.epochs is not None and options.epochs < 1:
        raise PastError(f"--epochs is at least 1, but got {options.epochs}.")
    if options.task != "survival":
        return _other_task(options)
    if options.pooling is not None:
        raise PastError(
            "--pooling belongs to other tasks; of survival name an arm "
            f"(--arms network:{options.pooling}:cox)."
        )
    prepared, data = _data(options)
    protocol = _protocol(options)
    network = None if options.model is None else _network(options.model, prepared)
    maps: tuple[Path, ...] = ()
    # First: an evaluation may take hours, and these are refused where slides are not known.
    if network is not None and options.maps is not None and prepared is not None:
        maps = written_maps(network, prepared, options.maps, options.force)
    files = (*_survival(options, data, protocol, network, prepared), *maps)
    print("\n".join(str(file) for file in files))
    return 0


def _data(options: argparse.Namespace) -> tuple[Prepared | None, SurvivalData]:
    # Only now: pandas takes a second to load.
    from past_training.slide_level.survival.data import of_cohort, of_prepared

    prepared = _prepared(options) if options.cohort.is_dir() else None
    if prepared is not None:
        return prepared, of_prepared(prepared)
    if not options.cohort.exists():
        raise BadTable(f"There is no {options.cohort}; give a table or a prepared folder.")
    from past_training.slide_level.cohort.read import read_cohort

    return None, of_cohort(read_cohort(options.cohort, columns_of(options)))


def _prepared(options: argparse.Namespace) -> Prepared:
    from past_training.slide_level.bags.read_prepared import read_prepared

    if not options.cohort.is_dir():
        raise PastError(
            f"{options.cohort} has no cells of slides, which this needs; give a folder of "
            "`past-train slide prepare`."
        )
    named = [name for name in _COLUMNS if getattr(options, name) is not None]
    if named:
        raise PastError(
            f"A prepared folder knows its columns; leave --{named[0]} out, or prepare it anew."
        )
    return read_prepared(options.cohort)


def _by(options: argparse.Namespace) -> By:
    if options.leave_site_out:
        return "sites"
    return "column" if options.given_folds else "folds"


def _protocol(options: argparse.Namespace) -> Protocol:
    from past_training.slide_level.survival.protocol import Protocol

    times = None
    if options.times is not None:
        try:
            times = tuple(sorted({float(text) for text in options.times}))
        except ValueError:
            raise PastError(
                f"--times are numbers with commas between them, but got {','.join(options.times)}."
            ) from None
    if any(not math.isfinite(t) for t in (*(times or ()), options.tau or 0.0)):
        raise PastError("--tau and --times are finite; give times within the follow-up.")
    return Protocol(
        folds=options.folds,
        repeats=1 if options.repeats is None else options.repeats,
        inner=3 if options.inner is None else options.inner,
        by=_by(options),
        tau=options.tau,
        times=times,
        seed=options.seed,
    )


def _fit_options(options: argparse.Namespace) -> FitOptions:
    from past_training.slide_level.fitting import FitOptions

    return FitOptions() if options.epochs is None else FitOptions(epochs=options.epochs)


def _network(path: Path, prepared: Prepared | None) -> SlideNetwork:
    from past_training.slide_level.fitting import read_network

    network = read_network(path)
    if prepared is None:
        raise PastError(
            "--model looks at cells of slides, which a bare table has not; give a folder of "
            "`past-train slide prepare`."
        )
    network.require_prepared(prepared)
    return network


def _survival(
    options: argparse.Namespace,
    data: SurvivalData,
    protocol: Protocol,
    network: SlideNetwork | None,
    prepared: Prepared | None,
) -> tuple[Path, ...]:
    from past_training.slide_level.survival.arms import arm_of, usual_arms
    from past_training.slide_level.survival.evaluate import evaluate_survival
    from past_training.slide_level.survival.hazards import proportional_hazards
    from past_training.slide_level.survival.page import write_page

    names = tuple(options.arms or usual_arms(data))
    needs_network = any("network:" in name for name in names)
    fit_options = _fit_options(options) if needs_network else None
    arms = [arm_of(name, protocol.inner, fit_options) for name in names]
    unmeasured: tuple[str, ...] = ()
    if network is not None and prepared is not None:
        from past_training.slide_level.survival.fixed_arm import fixed_arm

        found = fixed_arm(network, prepared, options.model.name)
        unmeasured = (found,) if isinstance(found, str) else ()
        data = replace(data, notes=(*data.notes, *unmeasured))
        arms += () if isinstance(found, str) else (found,)
    line = StatusLine()
    for note in unmeasured:
        line.note(f"note: {note}")

    def on_fold(name: str, done: int, total: int) -> None:
        if line.due() or done == total:
            line.tell(f"{name}: fit {done}/{total}")

    try:
        result = evaluate_survival(data, arms, protocol, on_fold=on_fold)
    finally:
        line.close()
    hazards = proportional_hazards(data, result.splits)
    files = write_page(data, result, hazards, options.out)
    _tell(result)
    return files


def _tell(result: SurvivalResult) -> None:
    from past_training.slide_level.survival.page import estimate_text

    for arm in result.arms:
        gain = "" if arm.gain is None else f", gain {estimate_text(arm.gain, signed=True)}"
        print(f"{arm.name}: Harrell's C {estimate_text(arm.harrell)}{gain}")


def _other_task(options: argparse.Namespace) -> int:
    for option in ("arms", "tau", "times", "maps", "model", "repeats", "inner"):
        if getattr(options, option) is not None:
            raise PastError(
                f"--{option} belongs to --task survival, but got --task {options.task}; leave it "
                "out."
            )
    prepared = _prepared(options)
    from past_training.slide_level.tasks.evaluate import evaluate_task

    fit_options = _fit_options(options)
    if options.pooling is not None:
        fit_options = replace(fit_options, pooling=options.pooling)
    line = StatusLine()
    try:
        files = evaluate_task(
            prepared,
            options.task,
            options.out,
            folds=options.folds,
            by=_by(options),
            options=fit_options,
            seed=options.seed,
            on_fold=lambda name, done, total: line.tell(f"{name}: fit {done}/{total}"),
        )
    finally:
        line.close()
    print("\n".join(str(file) for file in files))
    return 0
