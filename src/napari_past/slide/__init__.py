"""A slide as a lazy pyramid with a physical size."""

from napari_past.slide.memory import slide_of_array
from napari_past.slide.slide import Slide, open_slide
from napari_past.slide.source import SlideMetadata
from napari_past.slide.tissue import TissueMask

__all__ = ["Slide", "SlideMetadata", "TissueMask", "open_slide", "slide_of_array"]
