"""From the text that a user types to the genes that it means."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from napari_past.errors import AmbiguousGene, NotScorable, UnknownGene
from napari_past.genes.gene_table import gene_table
from napari_past.genes.marker import Marker, marker_key
from napari_past.genes.markers import markers, markers_by_key

_ENSEMBL_ID = re.compile(r"(ENSG\d{11})(?:\.\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Resolved:
    """What a typed name means."""

    name: str
    """As it was typed."""
    label: str
    """To show: "ERBB2 (HER2)", "CD3D + CD3E + CD3G (CD3)"."""
    symbols: tuple[str, ...]
    """The genes, whose values are averaged; where a collection of available names was given, as
    they are written there."""
    marker: Marker | None
    """The marker that was typed, or that the gene alone stands for."""
    note: str
    """What to tell beside the result; may be empty."""
    measured: bool = False
    """Whether it is read from a real stain, which shows what RNA cannot."""

    def require_scorable(self) -> None:
        """Raise `NotScorable`, with the reason, for a stain that gene RNA cannot stand for."""
        if self.measured:
            return
        if self.marker is not None and not self.marker.scorable:
            raise NotScorable(
                f"{self.marker.name} cannot be scored from gene RNA: {self.marker.note}; "
                f"show the expression of {' + '.join(self.marker.genes)} without a score instead."
            )


def resolve(
    name: str, available: Collection[str] | None = None, *, holder: str = "The model"
) -> Resolved:
    """The genes that `name` means.

    Tried in this order: markers; official symbols and Ensembl ids (a version suffix is ignored); a
    name that `available` holds literally; previous symbols and aliases. Case matters only where
    two aliases differ by it.

    Parameters
    ----------
    name
        A marker, HGNC symbol, Ensembl gene id, previous symbol or alias.
    available
        The genes there are: a model's, or the columns of a table. A gene is found there under its
        symbol, an Ensembl id, or an old name of its own. Of a marker's genes those available are
        kept.
    holder
        Who has the available genes, to begin the error with: "The model", "The table".

    Raises
    ------
    AmbiguousGene
        An alias of several genes, unless exactly one of them is available; or a marker's spelling
        that is the official symbol of another gene ("TTF1").
    UnknownGene
        No such name (up to three similar ones are named), or not available.
    """
    typed = name.strip()
    names = None if available is None else frozenset(available)
    if not typed:
        raise UnknownGene("No gene was named; give a gene or marker such as ERBB2 or HER2.")
    marker = markers_by_key().get(marker_key(typed))
    if marker is not None:
        other = gene_table().by_folded_symbol.get(typed.casefold())
        if other is not None and other not in marker.genes:
            raise AmbiguousGene(_two_meanings(typed, marker, other))
        return _of_marker(typed, marker, names, holder)
    candidates = _official(typed)
    if not candidates and names is not None and typed in names:
        return Resolved(typed, typed, (typed,), None, "")
    candidates = candidates or _by_alias(typed)
    if not candidates:
        raise UnknownGene(_unknown(typed, names, holder))
    if len(candidates) > 1:
        present = [s for s in candidates if names is not None and _name_in(s, names) is not None]
        if len(present) != 1:
            raise AmbiguousGene(
                f"{typed!r} is a name of several genes, {_listed(present or candidates)}; "
                "give one of these symbols."
            )
        candidates = tuple(present)
    return _of_gene(typed, candidates[0], names, holder)


def _official(typed: str) -> tuple[str, ...]:
    """The official symbol that `typed` is, or those that its Ensembl id has."""
    table = gene_table()
    ensembl = _ENSEMBL_ID.fullmatch(typed)
    if ensembl is not None:
        return table.by_ensembl_id.get(ensembl[1].upper(), ())
    symbol = table.by_folded_symbol.get(typed.casefold())
    return () if symbol is None else (symbol,)


def _by_alias(typed: str) -> tuple[str, ...]:
    table = gene_table()
    return table.by_alias.get(typed) or table.by_folded_alias.get(typed.casefold(), ())


def _name_in(symbol: str, names: frozenset[str]) -> str | None:
    """How `names` writes the gene: its symbol, an Ensembl id, or an old name of this gene alone."""
    if symbol in names:
        return symbol
    table = gene_table()
    ids = set(table.ensembl_ids.get(symbol, ()))
    if ids:
        written = sorted(n for n in names if n.startswith("ENSG") and n.partition(".")[0] in ids)
        if written:
            return written[0]
    for alias in table.aliases.get(symbol, ()):
        if alias in names and len(table.by_alias[alias]) == 1:
            return alias
    return None


def _of_gene(typed: str, symbol: str, names: frozenset[str] | None, holder: str) -> Resolved:
    marker = next((m for m in markers() if m.genes == (symbol,)), None)
    written = symbol if names is None else _name_in(symbol, names)
    label = _label((symbol,), marker)
    if written is None:
        raise UnknownGene(_absent(label, names, holder))
    return Resolved(typed, label, (written,), marker, _note(marker, [(symbol, written)], ()))


def _of_marker(typed: str, marker: Marker, names: frozenset[str] | None, holder: str) -> Resolved:
    pairs = [(s, s if names is None else _name_in(s, names)) for s in marker.genes]
    found = [(symbol, written) for symbol, written in pairs if written is not None]
    if not found:
        if names is not None and typed in names:
            return Resolved(typed, typed, (typed,), marker, marker.note)
        raise UnknownGene(_absent(_label(marker.genes, marker), names, holder))
    missing = [symbol for symbol, written in pairs if written is None]
    label = _label(tuple(symbol for symbol, _ in found), marker)
    note = _note(marker, found, missing)
    return Resolved(typed, label, tuple(written for _, written in found), marker, note)


def _label(symbols: tuple[str, ...], marker: Marker | None) -> str:
    genes = " + ".join(symbols)
    return genes if marker is None or marker.name == genes else f"{genes} ({marker.name})"


def _note(marker: Marker | None, found: Iterable[tuple[str, str]], missing: Collection[str]) -> str:
    parts = []
    if marker is not None and marker.scorable and marker.note:
        parts.append(marker.note)
    elif marker is not None and marker.note:
        parts.append(f"{marker.name} cannot be scored from gene RNA: {marker.note}.")
    parts += [f"{symbol} is written {w} here." for symbol, w in found if w != symbol]
    if missing:
        parts.append(f"Without {_listed(missing)} (not available).")
    return " ".join(parts)


def _two_meanings(typed: str, marker: Marker, other: str) -> str:
    ids = gene_table().ensembl_ids.get(other, ())
    genes = " + ".join(marker.genes)
    instead = f", or {ids[0]} for the gene" if ids else ""
    return (
        f"{typed!r} means two things, the marker {marker.name} (gene {genes}) and the gene "
        f"{other}; give {marker.name} for the marker{instead}."
    )


def _absent(label: str, names: frozenset[str] | None, holder: str) -> str:
    count = 0 if names is None else len(names)
    return f"{holder} does not have {label}; choose another gene (it has {count})."


def _unknown(typed: str, names: frozenset[str] | None, holder: str) -> str:
    pool = gene_table().ensembl_ids.keys() if names is None else names
    near = [m for m in markers() if names is None or any(_name_in(g, names) for g in m.genes)]
    spelling = {s.casefold(): s for s in (*pool, *(m.name for m in near))}
    close = difflib.get_close_matches(typed.casefold(), sorted(spelling), n=3, cutoff=0.7)
    if close:
        advice = f"did you mean {', '.join(spelling[c] for c in close)}?"
    else:
        advice = "give an HGNC symbol, an Ensembl id or a marker such as HER2."
    count = "" if names is None else f" ({holder[0].lower()}{holder[1:]} has {len(names)} genes)"
    return f"No gene or marker is named {typed!r}{count}; {advice}"


def _listed(names: Collection[str]) -> str:
    many = list(names)
    shown = many[:12]
    text = ", ".join(shown[:-1]) + (" and " if len(shown) > 1 else "") + shown[-1]
    return text if len(many) <= 12 else f"{', '.join(shown)} and {len(many) - 12} more"
