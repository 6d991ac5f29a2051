"""``past-train bank``: a reference bank from measured cells."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from napari_past.errors import PastError
from napari_past.model import model_path
from past_training.release.out import check_bank_out


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``bank`` to the commands of past-train."""
    parser = commands.add_parser(
        "bank",
        help="encode measured cells as a reference bank to look pictures of cells up in",
        description="Writes an .h5ad file with a vector, the measured genes and the labels of each "
        "cell. Where patients are told apart, cells are then looked up in those of other patients, "
        "and the figures are written beside it (NAME.md).",
    )
    parser.add_argument("--model", required=True, metavar="NAME|FILE", help="one with a cell tower")
    parser.add_argument(
        "--cells", type=Path, required=True, metavar="FILE.h5ad", help="raw counts, cells by genes"
    )
    parser.add_argument(
        "--genes", type=Path, required=True, metavar="FILE",
        help="the vocabulary: genes in the order of their tokens (.h5ad, .txt or .csv)",
    )  # fmt: skip
    parser.add_argument(
        "--means", type=Path, required=True, metavar="FILE",
        help="mean of each gene in the technology (.npy or .csv)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, required=True, metavar="BANK.h5ad|FOLDER",
        help="the bank alone, or a folder: a model that has the weights and the bank",
    )  # fmt: skip
    for what, usual in (("type", "cell_type"), ("patient", "patient"), ("study", "study")):
        parser.add_argument(
            f"--{what}-key", metavar="COLUMN",
            help=f"of obs (default: {usual}, where there is one)",
        )  # fmt: skip
    parser.add_argument("--layer", metavar="NAME", help="where the counts are (default: X)")
    parser.add_argument("--technology", default="Xenium", metavar="NAME", help="default: Xenium")
    parser.add_argument("--species", choices=("human", "mouse"), default="human")
    parser.add_argument(
        "--batch", type=int, default=1024, metavar="N", help="cells at once (default: 1024)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite a bank that is there")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def execute(options: argparse.Namespace) -> int:
    """Encode, write, look up."""
    if options.batch < 1:
        raise PastError(f"--batch is at least 1, but got {options.batch}.")
    inputs = [model_path(options.model), options.cells, options.genes, options.means]
    check_bank_out(options.out, inputs, options.force)
    # Only now: pandas and anndata take seconds to load.
    from napari_past.files import atomic_write
    from napari_past.model import load_model
    from napari_past.model.vocabulary import read_vocabulary
    from napari_past.status_line import StatusLine
    from past_training.evaluation.retrieval_check import check_bank
    from past_training.evaluation.retrieval_page import retrieval_page
    from past_training.release.bank import BankConfig, bank_place, build_bank

    vocabulary = read_vocabulary(options.genes, options.means, technology=options.technology)
    model = load_model(options.model, options.device)
    line, began = StatusLine(), time.monotonic()

    def on_cells(done: int, cells: int) -> None:
        if line.due() or done == cells:
            rate = done / max(time.monotonic() - began, 1e-9)
            line.tell(f"{done:,} of {cells:,} cells, {rate:,.0f} cells/s")

    config = BankConfig(
        species=options.species,
        layer=options.layer,
        type_key=options.type_key,
        patient_key=options.patient_key,
        study_key=options.study_key,
        batch=options.batch,
    )
    with bank_place(options.out, model) as place:
        try:
            bank, empty = build_bank(model, options.cells, vocabulary, place, config, on_cells)
        finally:
            line.close()
    print(
        f"{options.out}: {len(bank)} cells ({empty} without genes were left out), "
        f"{len(bank.genes)} genes, {len(bank.types.names)} types, "
        f"{len(bank.patients.names)} patients, {len(bank.studies.names)} studies"
    )
    if len(bank.patients.names) < 2 or bank.patients.untold:
        print("Patients are not told apart (--patient-key), so the bank was not measured.")
        return 0
    page = place.with_suffix(".md")
    text = retrieval_page(bank, check_bank(bank))
    with atomic_write(page) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    print(f"report: {page}")
    return 0
