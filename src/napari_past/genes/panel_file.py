"""Markers from a TOML file: each mistake is one sentence that names the marker and the field."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from napari_past.errors import BadTable
from napari_past.genes.gene_table import gene_table
from napari_past.genes.marker import (
    COMPARTMENTS,
    PREDICTED_SCORES,
    REAL_STAIN_SCORES,
    Marker,
    marker_key,
)

NEEDED = ("name", "genes", "compartment", "score", "predicted")
OPTIONAL = ("aliases", "real_stain_only", "least_cells", "least_of", "note")
NONE = "none"
"""Told in `predicted` of a marker that gene RNA cannot stand for."""
_WORDS = "|".join(COMPARTMENTS)
_COMPARTMENT = re.compile(rf"({_WORDS})( (and|or) ({_WORDS}))*")


def read_markers(text: str, source: str, *, check_genes: bool = False) -> tuple[Marker, ...]:
    """The markers of a TOML text, in its order.

    Parameters
    ----------
    source
        What the text is, to tell mistakes: a file's name.
    check_genes
        Refuse genes that are no HGNC symbols; reads the table of gene names.

    Raises
    ------
    BadTable
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise BadTable(f"{source} is no TOML: {exc}; correct that line.") from exc
    rows = document.pop("marker", [])
    if document:
        raise BadTable(
            f"{source} has {next(iter(document))!r} beside its markers; each marker begins with "
            "[[marker]], and nothing else is known."
        )
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadTable(f"{source} must begin each marker with [[marker]] on a line of its own.")
    return tuple(_Row(row, i, source).marker(check_genes) for i, row in enumerate(rows, start=1))


class _Row:
    """One table of the file, and who is to blame for what is in it."""

    def __init__(self, row: Mapping[str, Any], number: int, source: str) -> None:
        self._row = row
        name = row.get("name")
        called = repr(name) if isinstance(name, str) and name.strip() else f"number {number}"
        self._who = f"Marker {called} in {source}"

    def marker(self, check_genes: bool) -> Marker:
        for field in self._row:
            if field not in (*NEEDED, *OPTIONAL):
                raise BadTable(
                    f"{self._who} has a field {field!r}, which is not known; the fields are "
                    f"{', '.join((*NEEDED, *OPTIONAL))}."
                )
        for field in NEEDED:
            if field not in self._row:
                raise BadTable(f"{self._who} has no field {field}; add it.")
        name = self._text("name")
        if not marker_key(name):
            raise self._wrong("name", "a name")
        predicted = self._some("predicted", (*PREDICTED_SCORES, NONE))
        if not predicted or (NONE in predicted and len(predicted) > 1):
            raise self._wrong("predicted", 'at least one score, or "none" alone')
        note = self._text("note")
        if NONE in predicted and not note:
            raise BadTable(
                f'{self._who} has predicted = ["none"] but no field note; say in it why gene RNA '
                "cannot stand for the stain."
            )
        least = self._row.get("least_cells", 0)
        if not isinstance(least, int) or isinstance(least, bool) or least < 0:
            raise self._wrong("least_cells", "a whole number of cells")
        least_of = self._text("least_of")
        if least and not least_of:
            raise BadTable(
                f"{self._who} has least_cells but no field least_of; say in it which cells, as "
                '"tumour nuclei".'
            )
        compartment = self._text("compartment")
        if not _COMPARTMENT.fullmatch(compartment):
            raise self._wrong("compartment", f'{_listed(COMPARTMENTS)}, joined by "and" or "or"')
        return Marker(
            name=name,
            genes=self._genes(check_genes),
            aliases=self._texts("aliases"),
            compartment=compartment,
            score=self._text("score"),
            predicted=() if NONE in predicted else predicted,
            real_stain_only=self._some("real_stain_only", REAL_STAIN_SCORES),
            least_cells=least,
            least_of=least_of,
            note=note,
        )

    def _genes(self, check: bool) -> tuple[str, ...]:
        genes = self._texts("genes")
        if not genes:
            raise self._wrong("genes", 'at least one HGNC symbol, as ["ESR1"]')
        known = gene_table().ensembl_ids if check else genes
        for gene in genes:
            if gene not in known:
                near = difflib.get_close_matches(gene.upper(), known, n=1, cutoff=0.7)
                advice = f"did you mean {near[0]}?" if near else "give the symbol."
                raise BadTable(
                    f"{self._who} has {gene!r} in its field genes, which is no HGNC symbol; "
                    f"{advice}"
                )
        return genes

    def _text(self, field: str) -> str:
        value = self._row.get(field, "")
        if not isinstance(value, str):
            raise self._wrong(field, "a text in quotes")
        return value.strip()

    def _texts(self, field: str) -> tuple[str, ...]:
        values = self._row.get(field, [])
        whole = isinstance(values, list) and all(isinstance(v, str) and v.strip() for v in values)
        if not whole:
            raise self._wrong(field, 'a list of texts, as ["one", "two"]')
        return tuple(dict.fromkeys(value.strip() for value in values))

    def _some(self, field: str, of: tuple[str, ...]) -> tuple[str, ...]:
        values = self._texts(field)
        strange = [value for value in values if value not in of]
        if strange:
            raise BadTable(
                f"{self._who} has {strange[0]!r} in its field {field}; choose among {_listed(of)}."
            )
        return values

    def _wrong(self, field: str, wanted: str) -> BadTable:
        return BadTable(
            f"{self._who} has {self._row[field]!r} in its field {field}; give {wanted}."
        )


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
