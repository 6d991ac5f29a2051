"""Slides at addresses: the pixels of the local copy, only what is touched, one sentence a fault."""

from __future__ import annotations

import pickle
import shutil
import sys
import threading

import numpy as np
import pytest
import tifffile

from napari_past.cli import main
from napari_past.errors import (
    DamagedSlide,
    MissingExtra,
    NotASlide,
    SlideChanged,
    SlideError,
    SlideUnreachable,
)
from napari_past.slide import open_slide
from napari_past.slide.access.patience import Patience

VIEW = (2000, 1500, 1024, 768)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, draw, write_tiff, write_omezarr):
    path = tmp_path_factory.mktemp("served")
    levels = [draw(700, 900), draw(350, 450), draw(88, 113)]
    write_tiff(path / "drawn.tif", levels, compression="deflate")
    write_omezarr(path / "v4.zarr", levels[:2], "0.4")
    write_omezarr(path / "v5.zarr", levels[:2], "0.5", axes="yxc")
    (path / "notes.txt").write_text("Dear diary, " * 40)
    return path


@pytest.fixture(scope="module")
def serving(folder, serve):
    return serve(folder)


@pytest.fixture
def server(serving, monkeypatch):
    serving.behave()
    monkeypatch.setattr("napari_past.slide.access.remote.READING", Patience(0.3, 0.02))
    monkeypatch.setattr("napari_past.slide.access.remote.OPENING", Patience(0.2, 0.02))
    return serving


@pytest.mark.parametrize("name", ["drawn.tif", "v4.zarr", "v5.zarr"])
def test_same_pixels_as_on_disk(server, folder, name):
    with open_slide(f"{server.address}/{name}") as far, open_slide(folder / name) as near:
        assert (far.name, far.mpp, far.vendor) == (name, near.mpp, near.vendor)
        assert far.levels == near.levels
        window = (301, 222, 300, 200, 0.5)
        np.testing.assert_array_equal(far.read_grid(*window), near.read_grid(*window))
        np.testing.assert_array_equal(far.display_levels[-1], near.display_levels[-1])
        if name.endswith(".tif"):
            assert far.fingerprint == near.fingerprint


def test_fingerprint_of_omezarr_on_the_web_follows_its_content(server, folder):
    with open_slide(f"{server.address}/v4.zarr") as slide:
        first = slide.fingerprint
    shutil.copytree(folder / "v4.zarr", folder / "moved.zarr")
    chunk = folder / "moved.zarr" / "0" / "0" / "0" / "0"
    with open_slide(f"{server.address}/moved.zarr") as slide:
        assert slide.fingerprint == first
        chunk = next(p for p in sorted((folder / "moved.zarr" / "0").iterdir()) if p.is_file())
    other = folder / "moved.zarr" / "0" / "0.0.0"
    other.write_bytes((folder / "v4.zarr" / "0" / "1.0.0").read_bytes())
    with open_slide(f"{server.address}/moved.zarr") as slide:
        assert slide.fingerprint != first
    assert chunk.exists()


def test_only_touched_tiles_of_a_real_pyramid(data_dir, serve):
    """Directories and the tiles of one view, and nothing twice."""
    path = data_dir / "slides" / "her2st_C5_pyramid.tif"
    serving = serve(path.parent)
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        x, y, width, height = VIEW
        columns = -(-page.imagewidth // page.tilewidth)
        tiles = [
            row * columns + column
            for row in range(y // page.tilelength, -(-(y + height) // page.tilelength))
            for column in range(x // page.tilewidth, -(-(x + width) // page.tilewidth))
        ]
        touched = sum(page.databytecounts[i] for i in tiles)
    with open_slide(f"{serving.address}/{path.name}") as far, open_slide(path) as near:
        opening = serving.switches.bytes_sent
        mpp = far.require_mpp()
        pixels = far.read_grid(*VIEW, mpp)
        viewing = serving.switches.bytes_sent - opening
        again = far.read_grid(*VIEW, mpp)
        assert serving.switches.bytes_sent == opening + viewing
        np.testing.assert_array_equal(pixels, near.read_grid(*VIEW, mpp))
        np.testing.assert_array_equal(pixels, again)
    assert touched <= viewing <= 1.05 * touched + 16384
    assert opening + viewing <= path.stat().st_size / 20
    assert max(n for _, n in serving.switches.requests) <= 2**22


def test_many_threads_read_the_same_pixels(server, folder):
    with open_slide(f"{server.address}/drawn.tif") as far, open_slide(folder / "drawn.tif") as near:
        whole = near.level_arrays[0].compute()
        failures = []

        def read(seed):
            rng = np.random.default_rng(seed)
            for _ in range(6):
                x, y = (int(v) for v in rng.integers(0, 600, 2))
                if not np.array_equal(
                    far.read_grid(x, y, 120, 90, 0.5), whole[y : y + 90, x : x + 120]
                ):
                    failures.append((x, y))

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures


@pytest.mark.parametrize("failure", [429, 500, 503])
def test_errors_that_pass_are_waited_out(server, failure):
    server.switches.failures, server.switches.failure = 2, failure
    with open_slide(f"{server.address}/drawn.tif") as slide:
        server.switches.failures = 2
        first = slide.read_grid(0, 0, 50, 50, 0.5)
        server.switches.drops = 2
        slide.read_grid(300, 300, 300, 300, 0.5)
        assert first.shape == (50, 50, 3)


@pytest.mark.parametrize("fault", ["failures", "drops"])
@pytest.mark.parametrize("name", ["drawn.tif", "v5.zarr"])
def test_errors_that_stay_are_told_and_pass_later(server, name, fault):
    with open_slide(f"{server.address}/{name}") as slide:
        setattr(server.switches, fault, 10**6)
        with pytest.raises(SlideUnreachable, match=rf"^{name} cannot be read from 127\.0\.0\.1"):
            slide.read_grid(0, 0, 50, 50, 0.5)
        with pytest.raises(SlideUnreachable):
            slide.tissue_mask()
        setattr(server.switches, fault, 0)
        assert slide.read_grid(0, 0, 50, 50, 0.5).shape == (50, 50, 3)


def test_the_second_read_does_not_wait_again(server):
    with open_slide(f"{server.address}/drawn.tif") as slide:
        server.switches.failures = 10**6
        for _ in range(2):
            with pytest.raises(SlideUnreachable):
                slide.read_grid(0, 0, 10, 10, 0.5)
        left = server.switches.failures
        with pytest.raises(SlideUnreachable):
            slide.read_grid(0, 0, 10, 10, 0.5)
        assert server.switches.failures == left - 1


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("{server}/none.tif", NotASlide, r"no slide none\.tif at 127"),
        ("{server}/none.zarr", NotASlide, r"no slide none\.zarr at 127"),
        ("{server}/notes.txt", NotASlide, "no image that is read as a slide"),
        ("http://127.0.0.1:9/a.tif?sig=SECRET", SlideUnreachable, "cannot be read from"),
        ("http://no-such-host.invalid/a.tif?sig=SECRET", SlideUnreachable, "host"),
        ("https://reader:SECRET@127.0.0.1/a.tif", SlideError, "netrc"),
        ("nothing://bucket/a.tif?sig=SECRET", SlideError, "unknown kind"),
    ],
)
def test_what_cannot_be_opened(server, address, error, message):
    with pytest.raises(error, match=message) as caught:
        open_slide(address.format(server=server.address))
    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_server_without_ranges(server):
    """A whole slide is never fetched; OME-Zarr needs no ranges."""
    server.switches.ranges = False
    with pytest.raises(SlideError, match=r"no HTTP range requests.*download"):
        open_slide(f"{server.address}/drawn.tif")
    with open_slide(f"{server.address}/v4.zarr") as slide:
        assert slide.read_grid(0, 0, 50, 50, 0.5).shape == (50, 50, 3)


def test_signed_address(server):
    """A signature opens the slide, travels to workers, and is shown nowhere."""
    server.switches.secret = "sig=SECRET%2Fa+b"
    address = f"{server.address}/drawn.tif"
    with pytest.raises(SlideError, match="403"):
        open_slide(address)
    with open_slide(f"{address}?{server.switches.secret}") as slide:
        assert "SECRET" not in slide.name + repr(slide) + repr(slide.ref)
        copy = pickle.loads(pickle.dumps(slide))
        np.testing.assert_array_equal(
            copy.read_grid(0, 0, 50, 50, 0.5), slide.read_grid(0, 0, 50, 50, 0.5)
        )
        copy.close()
        server.switches.secret = "another"
        with pytest.raises(SlideUnreachable, match="403") as caught:
            slide.read_grid(600, 500, 50, 50, 0.5)
        assert "SECRET" not in str(caught.value)


def test_slide_replaced_while_it_is_read(server, folder, draw, write_tiff):
    write_tiff(folder / "r.tif", [draw(640, 480)], compression="deflate")
    with open_slide(f"{server.address}/r.tif") as slide:
        slide.check_unchanged()
        slide.read_grid(0, 0, 50, 50, 0.5)
        write_tiff(folder / "r.tif", [draw(650, 480)], compression="deflate")
        with pytest.raises(SlideChanged, match=r"r\.tif was replaced"):
            slide.read_grid(300, 300, 50, 50, 0.5)
        with pytest.raises(SlideChanged):
            slide.check_unchanged()


def test_few_bad_tiles_over_the_web(server, folder):
    content = bytearray((folder / "drawn.tif").read_bytes())
    with tifffile.TiffFile(folder / "drawn.tif") as tif:
        start, size = tif.pages[0].dataoffsets[0], tif.pages[0].databytecounts[0]
    content[start : start + size] = bytes(size)
    (folder / "marred.tif").write_bytes(content)
    with open_slide(f"{server.address}/marred.tif") as slide:
        with pytest.raises(DamagedSlide):
            slide.read_grid(0, 0, 50, 50, 0.5)
        assert slide.display_levels[0][:10, :10].compute().max() < 160


def test_info_of_an_address(server, capsys):
    server.switches.secret = "sig=SECRET"
    assert main(["info", f"{server.address}/drawn.tif?sig=SECRET"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("drawn.tif\n")
    assert main(["info", f"{server.address}/drawn.tif?sig=SECRET", "--json"]) == 0
    told = capsys.readouterr()
    assert f'"path": "{server.address}/drawn.tif"' in told.out
    assert main(["info", f"{server.address}/none.tif?sig=SECRET"]) == 2
    assert "SECRET" not in told.out + told.err + capsys.readouterr().err


def test_extra_is_named(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.delitem(sys.modules, "napari_past.slide.access.web", raising=False)
    monkeypatch.delitem(sys.modules, "napari_past.slide.access.buckets", raising=False)
    for address in (f"{server.address}/drawn.tif", "s3://slides/a.tif"):
        with pytest.raises(MissingExtra, match=r"napari-past\[remote\]"):
            open_slide(address)
