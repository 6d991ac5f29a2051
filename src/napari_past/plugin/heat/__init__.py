"""Heat maps of networks of slides, laid over their slide."""

from napari_past.plugin.heat.box import HeatMapBox
from napari_past.plugin.heat.view import HeatMapView

__all__ = ["HeatMapBox", "HeatMapView"]
