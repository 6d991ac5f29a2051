"""Annotations on disk, by slide, whole at any moment.

Two viewers may hold one slide: the last one that writes is kept, and no file is ever torn.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import mapping, shape

from napari_past.errors import BadTable, CannotWrite, PastError
from napari_past.files import atomic_write, data_home, make_folder
from napari_past.plugin.annotations import Annotations, KeptCutoffs
from napari_past.plugin.classing.labels import ClassLabels, LabelledArea, LabelledPlace
from napari_past.quality import QualityMask, read_mask, write_mask
from napari_past.types import Cutoffs, Region

SCHEMA = 1
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, ShapelyError, PastError)


def annotations_folder() -> Path:
    """``$NAPARI_PAST_DATA_HOME``, else the user's data folder: unlike the cache never cleared."""
    return data_home() / "annotations"


class NotReadNow(PastError):
    """What is kept of a slide may be whole, but the disk does not give it."""


class Autosave:
    """Reads and writes what users say of slides, by the slides' fingerprints.

    Regions and notes are JSON, with polygons as GeoJSON geometries in µm of slide space; what the
    user painted as not scored is a TIFF beside.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or annotations_folder()

    def path(self, fingerprint: str) -> Path:
        """Where a slide's annotations are."""
        return self._folder / f"{fingerprint}.json"

    def mask_path(self, fingerprint: str) -> Path:
        """Where a slide's mask of what is not scored is, once the user changed it."""
        return self._folder / f"{fingerprint}.unscored.tif"

    def load(self, fingerprint: str) -> Annotations:
        """What was said of a slide before; empty where nothing was.

        Raises
        ------
        NotReadNow
            The disk does not answer; the file is left as it is.
        BadTable
            The file is damaged or of a later version; it was set aside, and the sentence says
            where.
        """
        path = self.path(fingerprint)
        try:
            return _parsed(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Annotations()
        except OSError as exc:
            raise _not_now("regions and notes", exc) from exc
        except _DAMAGE as exc:
            raise _set_aside(path, "regions and notes", exc) from exc

    def load_mask(self, fingerprint: str, slide_size_um: tuple[float, float]) -> QualityMask | None:
        """What the user painted as not scored; None where it was never changed.

        Raises
        ------
        NotReadNow
            The disk does not answer; the file is left as it is.
        BadTable
            The file is damaged; it was set aside, and the sentence says where.
        """
        path = self.mask_path(fingerprint)
        what = "mask of what is not scored"
        try:
            if not path.exists():
                return None
            # What cannot be read at all is not damaged.
            path.open("rb").close()
            return read_mask(path, slide_size_um)
        except OSError as exc:
            raise _not_now(what, exc) from exc
        except PastError as exc:
            raise _set_aside(path, what, exc) from exc

    def cutoffs_elsewhere(self, key: str, but: str) -> list[KeptCutoffs]:
        """The cut-offs of one model and gene on other slides, by the slides' names.

        Files that cannot be read are passed over: each is told of when its own slide is opened.

        Parameters
        ----------
        key
            Model and gene, as in `Annotations.cutoffs`.
        but
            Fingerprint of the slide that is left out.
        """
        found = []
        for path in self._folder.glob("*.json"):
            if path.stem == but:
                continue
            with contextlib.suppress(OSError, *_DAMAGE):
                content = json.loads(path.read_text(encoding="utf-8"))
                weak, moderate, strong, source = content["cutoffs"][key]
                cutoffs = Cutoffs(weak, moderate, strong, source)
                found.append(KeptCutoffs(str(content["slide"]), cutoffs))
        return sorted(found, key=lambda kept: kept.slide)

    def save(self, fingerprint: str, slide_name: str, annotations: Annotations) -> None:
        """Keep them, whole or not at all.

        Raises
        ------
        CannotWrite
            The disk is full or the folder read-only.
        """
        content = {
            "schema": SCHEMA,
            "slide": slide_name,
            "unit": "um",
            "regions": [
                {"name": r.name, "role": r.role, "geometry": mapping(r.polygon_um)}
                for r in annotations.regions
            ],
            "cell_notes": dict(annotations.cell_notes),
            "region_notes": dict(annotations.region_notes),
            "cutoffs": {name: [*c.values, c.source] for name, c in annotations.cutoffs.items()},
            "core_columns": {name: dict(told) for name, told in annotations.core_columns.items()},
            "classes": _told_classes(annotations.classes),
        }
        # Without indent: that takes Python's own encoder, a sixth of a second for 300 discs.
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
        self._make_folder()
        with atomic_write(self.path(fingerprint)) as unfinished:
            unfinished.write_text(text, encoding="utf-8", newline="\n")

    def save_mask(self, fingerprint: str, mask: QualityMask | None) -> None:
        """Keep what the user painted as not scored; None forgets it, so that it is found anew.

        Raises
        ------
        CannotWrite
            The disk is full or the folder read-only.
        """
        self._make_folder()
        path = self.mask_path(fingerprint)
        if mask is not None:
            write_mask(path, mask)
            return
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise CannotWrite(
                f"{path} cannot be removed ({exc.strerror}); remove it yourself."
            ) from exc

    def _make_folder(self) -> None:
        make_folder(self._folder, "Regions and notes cannot be saved")


def _not_now(what: str, why: OSError) -> NotReadNow:
    return NotReadNow(
        f"The saved {what} of this slide cannot be read for now ({why.strerror}); they are left as "
        "they are, and open the slide again once the disk answers."
    )


def _set_aside(path: Path, what: str, why: Exception) -> BadTable:
    """Rename a file that cannot be used, under a name that no other one has."""
    aside = path.with_name(f"{path.name}.{uuid4().hex[:8]}.damaged")
    try:
        os.replace(path, aside)
    except OSError as exc:
        return BadTable(
            f"The saved {what} of this slide cannot be read, nor {path} be renamed "
            f"({exc.strerror}); move it elsewhere before the next change overwrites it."
        )
    return BadTable(
        f"The saved {what} of this slide cannot be read ({str(why).rstrip('.')}); the file is set "
        f"aside as {aside}, and the slide begins without."
    )


def _parsed(content: Any) -> Annotations:
    if content["schema"] != SCHEMA:
        raise ValueError(f"it has the schema {content['schema']}, and {SCHEMA} is known")
    return Annotations(
        tuple(
            Region(str(told["name"]), str(told["role"]), _polygon(told["geometry"]))
            for told in content["regions"]
        ),
        {str(k): str(v) for k, v in content["cell_notes"].items()},
        {str(k): str(v) for k, v in content["region_notes"].items()},
        {k: Cutoffs(a, b, c, source) for k, (a, b, c, source) in content["cutoffs"].items()},
        # Files of before have none.
        {
            str(core): {str(k): str(v) for k, v in told.items()}
            for core, told in content.get("core_columns", {}).items()
        },
        _parsed_classes(content.get("classes", {"names": [], "places": [], "areas": []})),
    )


def _told_classes(labels: ClassLabels) -> dict[str, Any]:
    return {
        "names": list(labels.names),
        "places": [[place.x_um, place.y_um, place.code] for place in labels.places],
        "areas": [{"class": a.code, "geometry": mapping(a.polygon_um)} for a in labels.areas],
    }


def _parsed_classes(content: Any) -> ClassLabels:
    return ClassLabels(
        tuple(str(name) for name in content["names"]),
        tuple(LabelledPlace(float(x), float(y), int(code)) for x, y, code in content["places"]),
        tuple(LabelledArea(_polygon(a["geometry"]), int(a["class"])) for a in content["areas"]),
    )


def _polygon(geometry: Any) -> shapely.Polygon | shapely.MultiPolygon:
    polygon = shape(geometry)
    if not isinstance(polygon, shapely.Polygon | shapely.MultiPolygon):
        raise ValueError(f"a region is a {polygon.geom_type} and no polygon")
    return polygon
