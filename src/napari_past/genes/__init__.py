"""Names of genes and markers: what a user types, and which genes it means.

Markers (HER2, Ki-67, CD3) are a vocabulary of their own and are looked up first; genes are HGNC
symbols, to which Ensembl ids, previous symbols and aliases lead.
"""

from napari_past.genes.marker import Marker
from napari_past.genes.markers import marker_asked, markers
from napari_past.genes.resolution import Resolved, resolve

__all__ = ["Marker", "Resolved", "marker_asked", "markers", "resolve"]
