"""The kinds of sources by name, for a command line that has not read anything yet."""

from __future__ import annotations

from collections.abc import Mapping

KINDS: Mapping[str, str] = {
    "xenium": "a Xenium output folder",
    "visium": "the output of Space Ranger, Visium or Visium HD",
    "st": "a folder of Spatial Transcriptomics sections",
    "anndata": "an .h5ad file, with image=",
    "past": "data laid out for the published PAST code",
    "hest": "a HEST-1k folder",
    "stimage": "a STimage-1K4M folder",
}
"""Name → what its path is."""
