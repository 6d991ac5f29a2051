"""InstanSeg's door, with a stand-in of its interface: a script that labels dark blobs."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_past.cells import Detector, find_cells, get_detector
from napari_past.errors import BadModel, PastError, UnknownDetector, WorkerFailed
from napari_past.files import detector_weights
from napari_past.model.fetch import DETECTORS, fetch_detector
from napari_past.slide import slide_of_array


class DarkBlobs(torch.nn.Module):
    """(1, 3, H, W), scaled, to (1, 2, H, W): connected dark pixels, and the same once more."""

    def __init__(self) -> None:
        super().__init__()
        self.pixel_size = 0.5
        self.cells_and_nuclei = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dark = (x.mean(1, keepdim=True) < 0.5).float()
        number = torch.arange(1, dark.numel() + 1, device=x.device).float().reshape(dark.shape)
        labels = number * dark
        for _ in range(18):
            labels = torch.nn.functional.max_pool2d(labels, 3, 1, 1) * dark
        _, order = torch.unique(labels, return_inverse=True)
        return torch.cat([order.float(), order.float()], dim=1)


class Small(DarkBlobs):
    """Returns another size than it was given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1, 1:, 1:]


class Hungry(DarkBlobs):
    """Always wants more memory than there is."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(1 << 60)


class Reads(DarkBlobs):
    """Opens a file."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_file("secret", False, 4)


class NoSize(torch.nn.Module):
    """Some other network."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def saved(network: torch.nn.Module, folder: Path) -> str:
    path = folder / f"{type(network).__name__}.pt"
    torch.jit.script(network).save(path)
    return str(path)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    return saved(DarkBlobs(), tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def places_px() -> np.ndarray:
    """(n, 2), (x, y), pixel centres are integers; some on the seams of windows, at 512."""
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(40, 700, 60), np.arange(35, 560, 60)), -1).reshape(-1, 2)
    places = grid + rng.integers(-12, 13, grid.shape)
    return np.concatenate([places[np.abs(places - 512).min(axis=1) > 30], [[512, 300], [200, 511]]])


@pytest.fixture(scope="module")
def slide(places_px):
    rgb = np.full((600, 740, 3), 244, np.uint8)
    rgb[15:585, 15:725] = (230, 170, 200)
    y, x = np.mgrid[:600, :740]
    for px, py in places_px:
        rgb[(x - px) ** 2 + (y - py) ** 2 <= 81] = (90, 50, 130)
    return slide_of_array(rgb, 0.5)


def test_finds_each_once_whatever_the_tiles(weights, slide, places_px):
    detector = get_detector(weights)
    assert isinstance(detector, Detector)
    found = find_cells(slide, detector=detector)
    expected = (places_px + 0.5) * 0.5
    order = np.lexsort(found.centers_um.T)
    np.testing.assert_allclose(found.centers_um[order], expected[np.lexsort(expected.T)], atol=1e-9)
    np.testing.assert_allclose(found.areas_um2, 253 * 0.25)
    # 253 pixels lie in a disc with the radius 9.
    part = find_cells(slide, detector=detector, region=(200, 100, 77, 130))
    inside = found.centers_um[
        np.all((found.centers_um >= (200, 100)) & (found.centers_um < (277, 230)), axis=1)
    ]
    assert sorted(map(tuple, part.centers_um.tolist())) == sorted(map(tuple, inside.tolist()))


def test_identity_is_of_weights_and_slide(weights, slide):
    detector = get_detector(weights)
    fitted = pickle.loads(pickle.dumps(detector.fitted(slide)))
    assert hashlib.sha256(Path(weights).read_bytes()).hexdigest() in fitted.identity()
    assert fitted.identity() == detector.fitted(slide).identity() != detector.identity()
    assert Path(weights).parent.as_posix() not in fitted.identity()


@pytest.mark.parametrize(
    ("network", "error", "says"),
    [
        (Small, BadModel, "shape"),
        (Hungry, WorkerFailed, "not enough memory"),
        (Reads, BadModel, "from_file"),
        (NoSize, BadModel, "pixel_size"),
    ],
)
def test_other_networks_are_told(network, error, says, slide, tmp_path):
    path = saved(network(), tmp_path)
    with pytest.raises(error, match=says):
        find_cells(slide, detector=get_detector(path))


def test_files_that_are_none(weights, slide, tmp_path):
    other = tmp_path / "other.pt"
    with pytest.raises(UnknownDetector, match="no file"):
        get_detector(str(other))
    other.write_bytes(b"no zip")
    with pytest.raises(BadModel, match="no TorchScript"):
        get_detector(str(other))
    torch.save({"a": torch.zeros(3)}, other)
    with pytest.raises(BadModel, match="no TorchScript"):
        get_detector(str(other))
    other.write_bytes(Path(weights).read_bytes())
    detector = get_detector(str(other))
    saved(Small(), tmp_path)
    other.write_bytes((tmp_path / "Small.pt").read_bytes())
    from napari_past.cells.instanseg import _module

    _module.cache_clear()
    mirrored = slide_of_array(slide.read_grid(0, 0, 740, 600, 0.5)[::-1], 0.5)
    with pytest.raises(BadModel, match="changed"):
        find_cells(mirrored, detector=detector)


def test_fetched_only_when_checked(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_PAST_DATA_HOME", str(tmp_path / "home"))
    with pytest.raises(UnknownDetector, match="models fetch"):
        get_detector("instanseg")
    with pytest.raises(PastError, match="--sha256"):
        fetch_detector("instanseg")
    assert DETECTORS["instanseg"].startswith("https://")
    published = tmp_path / "brightfield_nuclei.zip"
    with zipfile.ZipFile(published, "w") as archive:
        archive.write(weights, "brightfield_nuclei/instanseg.pt")
        archive.writestr("brightfield_nuclei/rdf.yaml", "name: stand-in")
    with pytest.raises(BadModel, match="was expected"):
        fetch_detector("instanseg", str(published), "0" * 64)
    assert not detector_weights("instanseg").exists()
    fetched = fetch_detector("instanseg", str(published))
    assert fetched.model.read_bytes() == Path(weights).read_bytes()
    assert get_detector("instanseg").identity() == get_detector(weights).identity()
