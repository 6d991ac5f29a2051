"""Tables as SpatialData folders: the table, the outlines as shapes, the slide by name or whole.

Written as the documented format of SpatialData 0.2 has it, without the package. Everything lies in
one coordinate system, "global", in µm of slide space: shapes as they are, the image scaled.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import numpy.typing as npt
import pandas as pd
import zarr
from anndata import AnnData
from zarr.codecs import BytesCodec, ZstdCodec

from napari_past.errors import BadTable
from napari_past.io.anndata_form import incoming, outgoing
from napari_past.io.declared import check_declared
from napari_past.io.expression import OnRows, expression_blocks, no_step
from napari_past.io.outlines import CELL_OUTLINE, OUTLINE, outline_array
from napari_past.io.provenance import KEY
from napari_past.io.settled import settled
from napari_past.io.spatialdata_image import write_image
from napari_past.io.spatialdata_shapes import (
    put_attributes,
    read_outlines,
    write_circles,
    write_polygons,
)
from napari_past.io.zarr_folder import METADATA, atomic_folder
from napari_past.slide import Slide

CELLS, POINTS, WHOLE_CELLS, IMAGE, TABLE = "cells", "cell_points", "whole_cells", "image", "table"
_ATTRS = "spatialdata_attrs"
_VERSIONS = {"container": "0.2", "table": "0.2"}
_X_CHUNK = (8192, 64)


def write_zarr(
    adata: AnnData,
    path: str | Path,
    slide: Slide | None = None,
    on_rows: OnRows = no_step,
    on_image: Callable[[float], None] = lambda share: None,
) -> None:
    """Write a folder that SpatialData, napari-spatialdata, squidpy and scanpy open.

    ``shapes/cells`` has the outlines; cells without one are circles of ``shapes/cell_points``, as
    large as their area where that is known; ``shapes/whole_cells`` has the outlines of whole cells
    where the others are of nuclei. ``tables/table`` annotates the first two. The slide is
    told by name, fingerprint, µm/px and size, or embedded as ``images/image``, a pyramid that is
    copied block by block. The same table gives the same bytes; the folder appears whole or not at
    all.

    Parameters
    ----------
    slide
        The open slide whose image is to be embedded; without it the slide is told by name alone.
    on_image
        Called with the share of the image that is copied.

    Raises
    ------
    CannotWrite
        The parent folder is missing or read-only, another folder is there, or the disk is full.
    """
    adata = settled(adata)
    with atomic_folder(path) as folder:
        root = zarr.open_group(folder, mode="w", zarr_format=3)
        told = outgoing(adata[:0], plain_names=True).uns[KEY]
        put_attributes(root, {_ATTRS: {"version": _VERSIONS["container"]}, KEY: told})
        shapes = root.create_group("shapes")
        outlined = _outlined(adata)
        names = np.array([POINTS, CELLS], dtype=object)[outlined.astype(int)]
        if outlined.any():
            write_polygons(shapes, CELLS, adata, OUTLINE, outlined)
        if not outlined.all():
            write_circles(shapes, POINTS, adata, ~outlined)
        if CELL_OUTLINE in adata.obsm:
            having = np.isfinite(adata.obsm[CELL_OUTLINE]).all(axis=2).sum(axis=1) >= 3
            if having.any():
                write_polygons(shapes, WHOLE_CELLS, adata, CELL_OUTLINE, having)
        _write_table(root.create_group("tables"), adata, names, on_rows)
        if slide is not None:
            write_image(root.create_group("images"), IMAGE, slide, on_image)
        _consolidate(folder)


def _outlined(adata: AnnData) -> npt.NDArray[np.bool_]:
    enough = np.isfinite(outline_array(adata)).all(axis=2).sum(axis=1) >= 3
    return np.asarray(enough, dtype=np.bool_)


def _write_table(
    tables: zarr.Group, adata: AnnData, regions: npt.NDArray[np.object_], on_rows: OnRows
) -> None:
    form = outgoing(adata, plain_names=True)
    named = sorted(set(regions.tolist()))
    obs, uns = form.obs, dict(form.uns)
    attrs: dict[str, object] = dict.fromkeys(("region", "region_key", "instance_key"))
    if named:
        attrs = {
            "region": named[0] if len(named) == 1 else named,
            "region_key": _free("region", obs),
            "instance_key": _free("instance_id", obs),
        }
        uns[_ATTRS] = attrs
        kinds = pd.Categorical(regions, categories=pd.Index(named, dtype=object))
        numbers = np.arange(adata.n_obs)
        obs = obs.assign(**{str(attrs["region_key"]): kinds, str(attrs["instance_key"]): numbers})
    # The outlines are the shapes'.
    obsm = {k: v for k, v in form.obsm.items() if k not in (OUTLINE, CELL_OUTLINE)}
    bare = AnnData(obs=obs, var=form.var, obsm=obsm, uns=uns)
    compressors = [ZstdCodec(level=3)]
    with anndata.settings.override(zarr_write_format=3, auto_shard_zarr_v3=False):
        anndata.io.write_elem(tables, TABLE, bare, dataset_kwargs={"compressors": compressors})
    table = tables[TABLE]
    assert isinstance(table, zarr.Group)
    if "X" in table:
        del table["X"]
    shape = (adata.n_obs, adata.n_vars)
    x = table.create_array(
        "X",
        shape=shape,
        dtype=np.float32,
        chunks=(max(1, min(shape[0], _X_CHUNK[0])), max(1, min(shape[1], _X_CHUNK[1]))),
        serializer=BytesCodec(),
        attributes={"encoding-type": "array", "encoding-version": "0.2.0"},
        compressors=compressors,
    )
    for rows, values in expression_blocks(adata, on_rows):
        x[rows] = values
    encoding = {"spatialdata-encoding-type": "ngff:regions_table", "version": _VERSIONS["table"]}
    put_attributes(table, {**encoding, **attrs})


def _free(name: str, obs: pd.DataFrame) -> str:
    while name in {str(column).lower() for column in obs}:
        name = f"{name}_"
    return name


def _consolidate(folder: Path) -> None:
    """Put the metadata of all groups and arrays into the root's, in one order whatever the file
    system's, so that a reader opens one file."""
    root = folder / METADATA
    files = {f.parent.relative_to(folder).as_posix(): f for f in folder.rglob(METADATA)}
    told = json.loads(root.read_text(encoding="utf-8"))
    told["consolidated_metadata"] = {
        "kind": "inline",
        "must_understand": False,
        "metadata": {
            name: json.loads(files[name].read_text(encoding="utf-8"))
            for name in sorted(files, key=lambda n: (n.count("/"), n))
            if name != "."
        },
    }
    root.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_zarr(path: str | Path) -> AnnData:
    """The table of a SpatialData folder, or of an AnnData one; of ours with its outlines.

    Raises
    ------
    BadTable
        No such folder, no table of cells in it, no ``obsm["spatial"]``, or of a later version.
    """
    source = Path(path)
    try:
        group, ours = table_group(source)
        check_declared(group, source)
        adata = anndata.io.read_elem(group)
        if not isinstance(adata, AnnData):
            raise TypeError("no AnnData")
        told = adata.uns.pop(_ATTRS, {})
        if ours:
            keys = [str(told.get(k)) for k in ("region_key", "instance_key")]
            adata.obs = adata.obs.drop(columns=keys, errors="ignore")
            names = adata.obs_names.tolist()
            adata.obsm[OUTLINE] = read_outlines(source / "shapes" / CELLS, names)
            if (source / "shapes" / WHOLE_CELLS).is_dir():
                adata.obsm[CELL_OUTLINE] = read_outlines(source / "shapes" / WHOLE_CELLS, names)
    except BadTable:
        raise
    except Exception as exc:  # a damaged folder fails in zarr or anndata in many ways
        raise BadTable(
            f"{source.name} cannot be read as a SpatialData or AnnData folder ({exc}); write it "
            "again."
        ) from exc
    return incoming(adata, source)


def table_group(source: Path) -> tuple[zarr.Group, bool]:
    """The AnnData in a folder, and whether this software wrote it.

    Raises
    ------
    BadTable
        No such folder, no zarr, or no table in it.
    """
    if not source.exists():
        raise BadTable(f"There is no file or folder {source.name}; check its name.")
    if not source.is_dir():
        raise BadTable(f"{source.name} is a file, but a zarr folder was expected; give a folder.")
    try:
        root = zarr.open_group(source, mode="r")
    except Exception as exc:  # zarr has an error for each way in which a folder is none
        raise BadTable(f"{source.name} is no zarr folder ({exc}); give another.") from exc
    if root.attrs.get("encoding-type") == "anndata":
        return root, False
    tables = root.get("tables")
    names = sorted(tables.group_keys()) if isinstance(tables, zarr.Group) else []
    if not names or not isinstance(tables, zarr.Group):
        raise BadTable(f"{source.name} holds no table of cells; give a SpatialData with one.")
    chosen = tables[TABLE if TABLE in names else names[0]]
    assert isinstance(chosen, zarr.Group)
    return chosen, KEY in root.attrs
