"""What other people's software reads of exported cells: a line for each file and each program.

    pip install spatialdata squidpy scanpy geopandas        (napari-past itself is not needed)
    python open_elsewhere.py cells.h5ad cells.zarr cells.parquet cells.geojson cells.csv \
        [--pictures FOLDER]

Each program opens the file by its own reader and does something with it: scanpy a principal
component analysis of the predicted genes, squidpy a graph of neighbours and a plot of the first
gene on the tissue, spatialdata a query by a box in micrometres and a join of shapes with the
table. The places of the first cell must agree between all lines, GeoJSON's after its pixels are
multiplied by µm per pixel. The exit code is 1 where a program fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Seen:
    """What one program saw in one file."""

    program: str
    cells: int
    genes: int | None
    unit: str
    first_um: tuple[float, float]
    did: str


def with_scanpy(path: Path, pictures: Path | None) -> Seen:
    import scanpy

    adata = scanpy.read_h5ad(path)
    told = adata.uns["napari_past"]
    x, y = adata.obsm["spatial"][0]
    axes, unit = ", ".join(told["coordinates"]["axes"]), told["units"]["obsm"]["spatial"]
    genes = adata[:, adata.X[: min(1000, adata.n_obs)].std(axis=0) > 0].copy()
    scanpy.pp.pca(genes, n_comps=2)
    first = genes.uns["pca"]["variance_ratio"][0]
    did = (
        f"first principal component holds {first:.0%} of the variance; places are {axes} in {unit}"
    )
    return Seen("scanpy", adata.n_obs, adata.n_vars, told["units"]["X"], (x, y), did)


def with_spatialdata(path: Path, pictures: Path | None) -> Seen:
    import spatialdata

    found = spatialdata.read_zarr(path)
    table = found["table"]
    x, y = table.obsm["spatial"][0]
    near = spatialdata.bounding_box_query(
        found,
        axes=("x", "y"),
        min_coordinate=[x - 100, y - 100],
        max_coordinate=[x + 100, y + 100],
        target_coordinate_system="global",
    )
    name = next(n for n in ("cells", "cell_points") if n in found.shapes)
    shapes, rows = spatialdata.join_spatialelement_table(
        sdata=found, spatial_element_names=name, table_name="table"
    )
    shape = found[name].loc[table.obs["instance_id"].iloc[0]].geometry
    inside = shape.covers(shape.centroid) and abs(shape.centroid.x - x) < 5
    images = ", ".join(found.images) or "by name alone"
    did = (
        f"{near['table'].n_obs} cells in 200 x 200 µm around it; {rows.n_obs} joined with "
        f"{len(shapes[name])} shapes; first shape {'on' if inside else 'OFF'} its cell; image "
        f"{images}"
    )
    unit = table.uns["napari_past"]["units"]["X"]
    return Seen("spatialdata", table.n_obs, table.n_vars, unit, (x, y), did)


def with_squidpy(path: Path, pictures: Path | None) -> Seen:
    import matplotlib

    matplotlib.use("Agg")
    import spatialdata
    import squidpy

    table = spatialdata.read_zarr(path)["table"]
    squidpy.gr.spatial_neighbors(table, coord_type="generic", n_neighs=6)
    links = table.obsp["spatial_connectivities"].nnz / table.n_obs
    gene = table.var_names[0]
    did = f"{links:.1f} neighbours a cell"
    if pictures is not None:
        picture = pictures / "squidpy.png"
        squidpy.pl.spatial_scatter(
            table, color=gene, shape=None, size=4, figsize=(7, 6), save=str(picture.resolve())
        )
        did += f"; {gene} drawn in {picture.name}"
    x, y = table.obsm["spatial"][0]
    unit = table.uns["napari_past"]["units"]["X"]
    return Seen("squidpy", table.n_obs, table.n_vars, unit, (x, y), did)


def with_geopandas(path: Path, pictures: Path | None) -> Seen:
    import geopandas

    frame = geopandas.read_parquet(path)
    told = parquet_told(path)
    genes = told["genes"]
    outlined = (frame.geometry.geom_type == "Polygon").sum()
    did = (
        f"{outlined} outlines of {frame.geometry.area.median():.1f} µm² in the middle; "
        f"{frame.sindex.query(frame.geometry.iloc[0].buffer(20)).size} within 20 µm of the first"
    )
    first = (frame["x_um"].iloc[0], frame["y_um"].iloc[0])
    return Seen("geopandas", len(frame), len(genes["names"]), genes["units"][0], first, did)


def with_pandas_parquet(path: Path, pictures: Path | None) -> Seen:
    import pandas

    frame = pandas.read_parquet(path)
    told = parquet_told(path)
    genes, vectors = told["genes"], [c for c in frame if c.startswith("X_")]
    did = ", ".join(f"{c} of {len(frame[c].iloc[0])} numbers" for c in vectors) or "no embeddings"
    first = (frame["x_um"].iloc[0], frame["y_um"].iloc[0])
    return Seen("pandas", len(frame), len(genes["names"]), genes["units"][0], first, did)


def parquet_told(path: Path) -> dict:
    import pyarrow.parquet

    return json.loads(pyarrow.parquet.read_schema(path).metadata[b"napari_past"])


def with_geojson(path: Path, pictures: Path | None) -> Seen:
    """As QuPath takes it: type, UUID, nucleus beside cell, measurements by name."""
    from uuid import UUID

    import geopandas

    with path.open(encoding="utf-8") as file:
        document = json.load(file)
    told, features = document["napari_past"], document["features"]
    ids = {UUID(feature["id"]) for feature in features}
    kinds = {feature["properties"]["objectType"] for feature in features}
    nuclei = sum("nucleusGeometry" in feature for feature in features)
    measured = features[0]["properties"]["measurements"]
    frame = geopandas.read_file(path)
    middle = frame.geometry.iloc[0].centroid
    first = (middle.x * told["mpp"], middle.y * told["mpp"])
    did = (
        f"{len(ids)} UUIDs of {', '.join(kinds)} objects, {nuclei} nuclei, {len(measured)} "
        f"measurements in the first; its centroid told as {measured['Centroid X µm']:.1f}, "
        f"{measured['Centroid Y µm']:.1f} µm"
    )
    genes = told["genes"]
    return Seen("geopandas, json", len(frame), len(genes["names"]), genes["units"][0], first, did)


def with_pandas_csv(path: Path, pictures: Path | None) -> Seen:
    import pandas
    import shapely

    frame = pandas.read_csv(path)
    told = json.loads(path.with_name(f"{path.name}.json").read_text(encoding="utf-8"))
    outlines = shapely.from_wkt(frame["outline_um"].dropna())
    genes = told["genes"]
    did = f"{len(outlines)} outlines of {pandas.Series(shapely.area(outlines)).median():.1f} µm²"
    first = (frame["x_um"].iloc[0], frame["y_um"].iloc[0])
    return Seen("pandas, shapely", len(frame), len(genes["names"]), genes["units"][0], first, did)


Reader = Callable[[Path, Path | None], Seen]
READERS: dict[str, tuple[Reader, ...]] = {
    ".h5ad": (with_scanpy,),
    ".zarr": (with_spatialdata, with_squidpy),
    ".parquet": (with_geopandas, with_pandas_parquet),
    ".geojson": (with_geojson,),
    ".csv": (with_pandas_csv,),
}


def lines(paths: list[Path], pictures: Path | None) -> Iterator[tuple[bool, str]]:
    """A line of the table for each file and program, and whether it went well."""
    for path in paths:
        for reader in READERS[path.suffix]:
            try:
                seen = reader(path, pictures)
            except Exception as exc:  # whatever another program raises is what is to be told
                yield False, f"| {path.name} | {reader.__name__} | failed: {exc!r} | | | | |"
                continue
            x, y = seen.first_um
            yield (
                True,
                f"| {path.name} | {seen.program} | {seen.cells} | {seen.genes} | {seen.unit} | "
                f"{x:.2f}, {y:.2f} | {seen.did} |",
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, help=", ".join(READERS))
    parser.add_argument("--pictures", type=Path, help="a folder for plots")
    options = parser.parse_args()
    unknown = [path.name for path in options.files if path.suffix not in READERS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: give files that end in one of {', '.join(READERS)}")
    warnings.simplefilter("ignore")
    print("| file | opened by | cells | genes | unit | first cell, µm | what it did |")
    print("|---|---|---:|---:|---|---|---|")
    failed = False
    for well, line in lines(options.files, options.pictures):
        print(line, flush=True)
        failed |= not well
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
