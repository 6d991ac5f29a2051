"""What a slide says of the patient, and where it lies, leaves with nothing that is written."""

from __future__ import annotations

import base64
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pypdf
import pytest
import tifffile
import zarr
from PIL import Image

from napari_past.io import read_cells, writable_suffixes, write_cells
from napari_past.sample import draw_phantom
from napari_past.slide import open_slide

SECRETS = ("Mustermann", "19500401", "drsecret", "SCANHOST7", "S24-00815", "ward-9")
"""Patient, date of birth, user, machine, accession number, folder: as planted below."""
MAGENTA = (255, 0, 255)
"""Of the label and the macro picture, and of nothing else."""
APERIO = (
    "Aperio Image Library v11.2.1\r\n640x512 [0,0 640x512] (256x256) JPEG/RGB Q=70|AppMag = 20"
    "|MPP = 0.5|Patient = Mustermann^Erika|Birth = 19500401|User = drsecret|Rack = S24-00815"
    r"|Filename = C:\Users\drsecret\ward-9\x.svs|ScanScope ID = SCANHOST7"
)
OME = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Experimenter ID="Experimenter:0" UserName="drsecret" LastName="drsecret"/>
<Image ID="Image:0" Name="x"><AcquisitionDate>1950-04-01T00:00:00</AcquisitionDate>
<Description>Mustermann^Erika 19500401 S24-00815</Description>
<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="640" SizeY="512" SizeZ="1"
 SizeC="3" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeXUnit="µm" PhysicalSizeY="0.5"
 PhysicalSizeYUnit="µm" Interleaved="true"><Channel ID="Channel:0:0" SamplesPerPixel="3"/>
<TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slides, full of names, in folders of such names."""
    home = tmp_path_factory.mktemp("x") / "drsecret" / "ward-9"
    home.mkdir(parents=True)
    rgb = draw_phantom(640, 512, 0.5, seed=2).rgb
    strange = np.full((120, 160, 3), MAGENTA, np.uint8)
    tiled = {"tile": (256, 256), "photometric": "rgb", "compression": "deflate", "metadata": None}
    flat = {"photometric": "rgb", "compression": "lzw", "metadata": None}
    with tifffile.TiffWriter(home / "a.svs") as file:
        file.write(rgb, description=APERIO, **tiled)
        file.write(rgb[::4, ::4], description="Aperio\r\nthumbnail", **flat)
        file.write(strange, description="Aperio\r\nlabel 160x120", subfiletype=1, **flat)
        file.write(strange, description="Aperio\r\nmacro 160x120", subfiletype=9, **flat)
    tifffile.imwrite(home / "b.ome.tif", rgb, description=OME.encode(), **tiled)
    return home


@pytest.fixture(scope="module")
def written(folder, command, tiny_model_file) -> Path:
    """Everything that leaves, in one folder, with what was said on the way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("USER", "LOGNAME", "USERNAME"):
            patch.setenv(name, "drsecret")
        out = folder / "out"
        options = ("--model", tiny_model_file, "--device", "cpu")
        said = [command("run", "a.svs", "--out", "out", *options)]
        assert said[0].code == 0, said[0].err
        table = read_cells(out / "a.h5ad")
        assert table.n_obs > 20
        for suffix in writable_suffixes():
            if suffix != ".h5ad":
                with open_slide("a.svs") as slide:
                    write_cells(
                        table, out / f"copy{suffix}", slide=slide, embed_image=suffix == ".zarr"
                    )
        for arguments in (
            ("report", "out/a.h5ad", "--out", "out/table.html"),
            ("report", "a.svs", "--out", "out/slide.pdf", *options[:2]),
            ("score", "out/a.h5ad", "--marker", "ERBB2", "--out", "out/scores.csv"),
            ("info", "a.svs"),
            ("info", "b.ome.tif"),
            ("run", "a.svs", "--out", "out/none/x.csv", *options),
        ):
            said.append(command(*arguments))
            assert said[-1].code == (2 if "out/none/x.csv" in arguments else 0), said[-1].err
        (out / "said.txt").write_text("\n".join(one.out + one.err for one in said))
    return out


def contents(file: Path) -> Iterator[bytes]:
    """A file's bytes, and what is packed in them."""
    raw = file.read_bytes()
    yield raw
    if raw[:2] == b"\x1f\x8b":
        yield gzip.decompress(raw)
    if raw[:4] == b"PK\3\4":
        with zipfile.ZipFile(file) as packed:
            yield from (packed.read(name) for name in packed.namelist())
    for encoded in re.findall(rb"base64,([A-Za-z0-9+/=]+)", raw):
        yield base64.b64decode(encoded)
    if raw[:4] == b"%PDF":
        reader = pypdf.PdfReader(io.BytesIO(raw))
        yield repr(reader.metadata).encode()
        yield "\n".join(page.extract_text() for page in reader.pages).encode()
        for stream in re.findall(rb"stream\r?\n(.*?)endstream", raw, re.DOTALL):
            try:
                yield zlib.decompress(stream)
            except zlib.error:
                continue
    if file.suffix == ".h5ad":
        told: list[str] = []

        def collect(name: str, node: h5py.Group | h5py.Dataset) -> None:
            told.extend((name, repr(dict(node.attrs))))
            if isinstance(node, h5py.Dataset) and node.dtype.kind in "OSU":
                told.append(repr(node[()]))

        with h5py.File(file) as opened:
            opened.visititems(collect)
        yield "\n".join(told).encode()
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(file)
        yield repr(table.schema.metadata).encode() + table.to_pandas().to_csv().encode()


def unpacked(root: Path) -> Iterator[tuple[str, bytes]]:
    """All that lies in a folder, arrays of zarr as values."""
    for file in sorted(root.rglob("*")):
        if file.is_file():
            for content in contents(file):
                yield str(file.relative_to(root)), content
    for group in sorted(root.glob("*.zarr")):
        for name, node in zarr.open_group(group, mode="r").members(max_depth=None):
            if isinstance(node, zarr.Array) and node.dtype.kind in "OSUT":
                yield f"{group.name}/{name}", repr(node[...]).encode()


def test_no_name_and_no_path_leaves(written, folder) -> None:
    found, files = [], set()
    for name, content in unpacked(written):
        files.add(name)
        for secret in (*SECRETS, str(folder)):
            for spelt in (secret.encode(), secret.encode("utf-16-le")):
                if spelt.lower() in content.lower():
                    found.append((name, secret))
    kinds = {Path(name).suffix for name in files}
    assert {".h5ad", ".csv", ".geojson", ".html", ".pdf", ".txt"} <= kinds
    assert found == []


def test_label_and_macro_are_in_no_picture(written) -> None:
    """Their colour is looked for in every picture of every file."""
    pictures = 0
    for name, content in unpacked(written):
        if content[:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0"):
            pictures += 1
            with Image.open(io.BytesIO(content)) as image:
                distance = np.abs(np.asarray(image.convert("RGB"), int) - MAGENTA).sum(axis=2)
            assert distance.min() > 60, name
    assert pictures
    for pdf in written.glob("*.pdf"):
        for page in pypdf.PdfReader(pdf).pages:
            for shown in page.images:
                distance = np.abs(np.asarray(shown.image.convert("RGB"), int) - MAGENTA).sum(axis=2)
                assert distance.min() > 60, pdf
    for group in written.glob("*.zarr"):
        for name, node in zarr.open_group(group, mode="r").members(max_depth=None):
            if isinstance(node, zarr.Array) and node.dtype == np.uint8 and node.ndim == 3:
                pixels = np.moveaxis(node[...], 0, -1).astype(int)
                assert np.abs(pixels - MAGENTA).sum(axis=2).min() > 60, name


def test_secrets_are_there_to_be_found(folder) -> None:
    """Else the tests above would pass whatever is written."""
    svs, ome = ((folder / name).read_bytes() for name in ("a.svs", "b.ome.tif"))
    assert all(secret.encode() in svs for secret in SECRETS)
    assert b"Mustermann" in ome
    with open_slide(folder / "a.svs") as slide:
        assert slide.mpp == 0.5
        assert {"label", "macro"} <= {name.lower() for name in slide.series_names}
