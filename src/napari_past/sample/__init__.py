"""The embedded sample: a drawn H&E slide of which every nucleus is known.

Nothing is copied from a patient: outline, glands, fibres and nuclei are drawn from a seed, so the
sample can be shipped, shown and used as an oracle in tests.
"""

from napari_past.sample.measurement import draw_counts
from napari_past.sample.ome_tiff import write_phantom
from napari_past.sample.phantom import Phantom, draw_phantom

__all__ = ["Phantom", "draw_counts", "draw_phantom", "write_phantom"]
