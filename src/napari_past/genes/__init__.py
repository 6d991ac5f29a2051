"""Names of genes and markers: what a user types, and which genes it means.

Markers (HER2, Ki-67, CD3) are a vocabulary of their own and are looked up first; genes are HGNC
symbols, to which Ensembl ids, previous symbols and aliases lead.
"""

from napari_past.genes.markers import Marker, markers
from napari_past.genes.resolution import Resolved, resolve

__all__ = ["Marker", "Resolved", "markers", "resolve"]
