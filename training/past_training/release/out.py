"""Where a model file may be written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_past.errors import PastError
from napari_past.files import check_writable
from past_training.evaluation.output_files import check_free, report_files

SUFFIX, BANK_SUFFIX = ".safetensors", ".h5ad"


def card_page(out: Path) -> Path:
    """The page that goes with a model file."""
    return out.with_suffix(".card.md")


def check_out(out: Path) -> None:
    """Before hours of training, not after: can the model file and its page be written?

    Raises
    ------
    PastError
        It is no .safetensors file.
    CannotWrite
        Its folder does not exist or is read-only.
    """
    if out.suffix != SUFFIX:
        raise PastError(f"--out {out} must be a {SUFFIX} file; give {out.stem}{SUFFIX}.")
    for path in (out, card_page(out)):
        check_writable(path)


def check_outs(
    out: Path, inputs: Iterable[str | Path], force: bool, *, report: bool = True
) -> None:
    """`check_out` of a command: also that nothing is overwritten that is not to be.

    Parameters
    ----------
    inputs
        Files and folders that the command reads.
    force
        Whether files that are there may be overwritten; what is read never is.
    report
        Whether a report (``.md``, ``.html``) goes beside the model file.

    Raises
    ------
    PastError, CannotWrite
    """
    check_out(out)
    reports = report_files(out.with_suffix(".md")) if report else ()
    check_free([out, card_page(out), *reports], inputs, force)


def check_bank(out: Path) -> None:
    """Can a bank, or a folder of a model with its bank, be written?

    Raises
    ------
    PastError
        It is neither a .h5ad file nor a folder that does not exist yet.
    CannotWrite
        Its folder does not exist or is read-only.
    """
    if out.suffix != BANK_SUFFIX and (out.suffix or out.exists()):
        raise PastError(
            f"--out {out} must be a {BANK_SUFFIX} file, or a folder that does not exist yet for "
            f"the model with its bank; call it {out.stem}{BANK_SUFFIX}, or choose another name."
        )
    check_writable(out)


def check_bank_out(out: Path, inputs: Iterable[str | Path], force: bool) -> None:
    """`check_bank` of a command: also that nothing is overwritten that is not to be.

    Raises
    ------
    PastError, CannotWrite
    """
    check_bank(out)
    if out.suffix == BANK_SUFFIX:
        check_free([out, out.with_suffix(".md")], inputs, force)
