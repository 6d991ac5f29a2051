"""Regions as napari shapes, and back: any shapes layer, whatever its scale, to polygons in µm."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import napari
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from napari.layers import Layer, Shapes
from napari.utils.colormaps.standardize_color import transform_color

from napari_past.plugin.own_layers import holds_cells
from napari_past.plugin.pixel_size import in_pixels
from napari_past.space import um_from_world
from napari_past.types import IGNORE, INCLUDE, TUMOUR, FloatArray, Region

LAYER_NAME = "Regions"
ROLES = (TUMOUR, INCLUDE, IGNORE)
ROLE_COLOURS = {TUMOUR: "#c80000", INCLUDE: "#2f6fd0", IGNORE: "#8c8c8c"}
EDGE_UM = 3.0
LEAST_EDGE_PX = 1.5
FOUND = "found by napari-past"
"""Of a layer's metadata: its shapes show what was found and are no regions to score."""
BY_SCORE = "napari_past_by_score"
"""Of a layer's metadata: edges have the colours of scores, not of roles."""
_ELLIPSE_VERTICES = 64
AREAS = ("rectangle", "polygon", "ellipse")
"""Kinds of shapes that have an area."""


def add_regions_layer(viewer: napari.Viewer) -> Shapes:
    """An empty shapes layer in µm, ready for drawing, whose shapes have a name and a role."""
    layer = viewer.add_shapes(
        None,
        ndim=2,
        name=LAYER_NAME,
        scale=(1.0, 1.0),
        units=("um", "um"),
        features=pd.DataFrame({"name": pd.Series(dtype=object), "role": pd.Series(dtype=object)}),
        feature_defaults={"name": "", "role": TUMOUR},
        edge_color=ROLE_COLOURS[TUMOUR],
        face_color="transparent",
        edge_width=EDGE_UM,
        opacity=1.0,
    )
    viewer.layers.selection.active = layer
    layer.mode = "add_polygon"
    return layer


def get_ready() -> None:
    """What napari loads for the first shape, over a second, is loaded; call it in any thread."""
    Shapes(ndim=2)


def complete_names(layer: Shapes) -> None:
    """Number the shapes that have no name yet, and colour every shape by its role."""
    if "name" not in layer.features or "role" not in layer.features:
        return
    features = layer.features.copy()
    # "Region 2" may have been drawn, removed and drawn again: the next free number is taken.
    taken = {str(name) for name in features["name"]}
    names = []
    for name in features["name"]:
        if not isinstance(name, str) or not name:
            number = 1
            while f"Region {number}" in taken:
                number += 1
            name = f"Region {number}"
            taken.add(name)
        names.append(name)
    if names != list(features["name"]):
        features["name"] = names
        role = str(layer.feature_defaults["role"].iloc[0])
        layer.features = features
        # napari would give the last shape's name to the next one.
        layer.feature_defaults = {"name": "", "role": role}
    if len(features) and BY_SCORE not in layer.metadata:
        colour_by_role(layer)


def colours_of_roles(roles: Iterable[str]) -> npt.NDArray[np.float32]:
    """(n, 4) RGBA, 0–1, of shapes with these roles."""
    named = [ROLE_COLOURS.get(role, ROLE_COLOURS[IGNORE]) for role in roles]
    rgba: npt.NDArray[np.float32] = transform_color(named)
    return rgba


def colour_by_role(layer: Shapes) -> None:
    """Give the shapes' edges the colours of their roles."""
    colours = colours_of_roles(layer.features["role"])
    # Setting it draws every shape anew.
    if not np.allclose(layer.edge_color, colours):
        layer.edge_color = colours


def keep_edges_visible(layers: Iterable[Layer], canvas_mpp: float) -> None:
    """Draw edges of our shapes a pixel and a half of the canvas wide at least: thinner ones come
    and go as the user zooms. Somebody else's layers are left as they are.

    Parameters
    ----------
    canvas_mpp
        µm that one pixel of the canvas covers.
    """
    for layer in layers:
        ours = isinstance(layer, Shapes) and ("role" in layer.features or FOUND in layer.metadata)
        if ours and len(layer.data):
            width_um = max(EDGE_UM, LEAST_EDGE_PX * canvas_mpp)
            widths = np.asarray(layer.edge_width)
            # Setting it draws every shape anew.
            if not np.allclose(widths, width_um, rtol=0.1):
                layer.edge_width = width_um
                # napari tells nobody, and the canvas shows the former width until something else is
                # drawn.
                layer.events.edge_width()


def set_role(layer: Shapes, role: str) -> None:
    """Give the selected shapes a role; shapes drawn next have it too."""
    features = layer.features.copy()
    if "role" not in features:
        features["role"] = INCLUDE
    if "name" not in features:
        features["name"] = ""
    chosen = sorted(layer.selected_data)
    features.loc[features.index[chosen], "role"] = role
    layer.features = features
    layer.feature_defaults = {"name": "", "role": role}
    layer.current_edge_color = ROLE_COLOURS.get(role, ROLE_COLOURS[IGNORE])
    complete_names(layer)


def regions_of(layer: Shapes, only: Iterable[int] | None = None) -> tuple[Region, ...]:
    """The shapes that have an area, as regions in slide space.

    Vertices go through the layer's own transform, so that a layer of any scale counts; lines and
    paths have no area and are passed over, as are shapes that were only clicked.

    Parameters
    ----------
    only
        Positions of the shapes to take; all if None.
    """
    # Each is made anew whenever it is asked for.
    data, kinds = layer.data, layer.shape_type
    chosen = range(len(data)) if only is None else sorted(only)
    names = _column(layer, "name")
    roles = _column(layer, "role")
    regions = []
    placed = _placing(layer)
    for i in chosen:
        if str(kinds[i]) not in AREAS:
            continue
        corners = np.asarray(data[i], np.float64)
        if kinds[i] == "ellipse":
            corners = ellipse_ring(corners)
        polygon = _mended(um_from_world(placed(corners)))
        if polygon is not None:
            role = roles[i] if roles[i] in ROLES or roles[i].startswith("Ignore") else INCLUDE
            regions.append(Region(names[i] or f"{layer.name} {i + 1}", role, polygon))
    return tuple(regions)


def all_regions(layers: Iterable[Layer], selected: bool = False) -> tuple[Region, ...]:
    """Regions of every shapes layer that is in µm, or the selected shapes of those layers."""
    found: list[Region] = []
    for layer in layers:
        others = FOUND in layer.metadata or holds_cells(layer.metadata)
        if isinstance(layer, Shapes) and not others and not in_pixels(layer):
            found += regions_of(layer, layer.selected_data if selected else None)
    return tuple(found)


def _placing(layer: Shapes) -> Callable[[FloatArray], FloatArray]:
    """Takes vertices (v, d) of a layer to (y, x) in the world. It is affine, so a few places tell
    all of it: asked of each vertex, three hundred circles would take seconds."""
    asked = np.vstack([np.zeros(layer.ndim), np.eye(layer.ndim)])
    told = np.array([layer.data_to_world(place)[-2:] for place in asked])
    origin, steps = told[0], told[1:] - told[0]
    return lambda vertices: origin + vertices @ steps


def _column(layer: Shapes, name: str) -> list[str]:
    if name not in layer.features:
        return [""] * len(layer.data)
    return [value if isinstance(value, str) else "" for value in layer.features[name]]


def ellipse_ring(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Vertices (64, 2) of the ellipse in a box given by its four corners, which may be rotated."""
    center = corners.mean(axis=0)
    first, second = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE_VERTICES, endpoint=False)[:, None]
    return center + np.cos(angle) * first + np.sin(angle) * second


def _mended(xy_um: npt.NDArray[np.float64]) -> shapely.Polygon | shapely.MultiPolygon | None:
    """The polygon, or what it encloses where its line crosses itself; None without area."""
    if len(xy_um) < 3:
        return None
    polygon = shapely.Polygon(xy_um)
    if not polygon.is_valid:
        parts = shapely.get_parts(shapely.make_valid(polygon))
        polygon = shapely.union_all([p for p in parts if p.geom_type.endswith("Polygon")])
    return polygon if polygon.area > 0 else None
