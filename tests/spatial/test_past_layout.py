"""Data laid out for the published PAST code."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_past.spatial.errors import BadPairing, BadSource
from napari_past.spatial.past_layout import LayoutName, read_past_layout

CELLS = 12


def write_cells(path, rng, *, prefix=True, width=300, ragged=True, **changes):
    """A file of `CELLS` cells, species human, assay Xenium, modality spatial."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = rng.integers(30, 20340, (CELLS, width))
    if prefix:
        rows[:, :3] = (4, 9, 5)
    rows[1, width // 2 :] = 1
    lists = [np.array([(i + 1) % CELLS, (i + 5) % CELLS][: 1 + i % 2]) for i in range(CELLS)]
    arrays = {
        "X": rows,
        "modality": np.full(CELLS, 4),
        "assay": np.full(CELLS, 9),
        "specie": np.full(CELLS, 5),
        "image_x": rng.uniform(20, 900, CELLS),
        "image_y": rng.uniform(20, 600, CELLS),
        "idx": np.arange(100, 100 + CELLS),
    } | changes
    with h5py.File(path, "w") as file:
        for key, value in arrays.items():
            if value is not None:
                file[key] = value
        if ragged:
            kept = file.create_dataset("neighbor_indices", (CELLS,), h5py.vlen_dtype(np.int64))
            for i, row in enumerate(lists):
                kept[i] = row
        else:
            padded = np.full((CELLS, 8), -1)
            for i, row in enumerate(lists):
                padded[i, : len(row)] = row
            file["neighbor_indices"] = padded
    return arrays, lists


@pytest.fixture
def layout(tmp_path, he_tiff):
    """``cells`` and ``images`` as upstream has them, with one section."""
    path = tmp_path / "cells" / "Xenium" / "human_breast_Donor1_s1_a.h5"
    folder = tmp_path / "images" / "Xenium" / "Donor1" / "s1_a"
    folder.mkdir(parents=True)
    (folder / "morphology.tif").write_bytes(b"")
    (folder / "s1_he_image.ome.tif").symlink_to(he_tiff)
    return tmp_path, path


@pytest.fixture
def rng():
    return np.random.default_rng(8)


@pytest.mark.parametrize("ragged", [True, False], ids=["ragged", "padded"])
def test_section(layout, rng, ragged):
    root, path = layout
    arrays, lists = write_cells(path, rng, ragged=ragged)
    (section,) = read_past_layout(root)
    assert (section.name, section.patient) == ("human_breast_Donor1_s1_a", "Donor1")
    assert (section.species, section.tissue, section.technology) == ("human", "breast", "Xenium")
    np.testing.assert_array_equal(section.tokens, arrays["X"])
    assert section.tokens.dtype == np.int64
    assert (section.genes, section.counts.shape) == ((), (CELLS, 0))
    assert section.mpp == pytest.approx(0.5, rel=1e-6)
    expected_um = (np.stack([arrays["image_x"], arrays["image_y"]], axis=1) + 0.5) * section.mpp
    np.testing.assert_allclose(section.centers_um, expected_um)
    start, index = section.neighbours
    for i, row in enumerate(lists):
        np.testing.assert_array_equal(index[start[i] : start[i + 1]], row)
    assert section.ids == tuple(str(100 + i) for i in range(CELLS))


def test_rows_without_prefix_get_one(layout, rng):
    root, path = layout
    arrays, _ = write_cells(path, rng, prefix=False, idx=None)
    (section,) = read_past_layout(root)
    np.testing.assert_array_equal(section.tokens[:, :3], np.tile([4, 9, 5], (CELLS, 1)))
    np.testing.assert_array_equal(section.tokens[:, 3:], arrays["X"][:, :297])
    assert section.ids == tuple(str(i) for i in range(CELLS))


def test_short_rows_are_padded(layout, rng):
    root, path = layout
    arrays, _ = write_cells(path, rng, width=50)
    (section,) = read_past_layout(root)
    np.testing.assert_array_equal(section.tokens[:, :50], arrays["X"])
    assert (section.tokens[:, 50:] == 1).all()


def test_folders_given_apart(layout, rng):
    root, path = layout
    write_cells(path, rng)
    (section,) = read_past_layout(root / "cells", images=root / "images", mpp=0.4)
    assert section.mpp == 0.4
    with pytest.raises(BadSource, match=r"has no file Donor1/s1_a/\*he\*\.tif below"):
        list(read_past_layout(root / "cells"))


def test_two_images_of_a_sample(layout, rng):
    root, path = layout
    write_cells(path, rng)
    (root / "images" / "Xenium" / "Donor1" / "s1_a" / "other_he.tif").write_bytes(b"")
    with pytest.raises(BadSource, match="has 2 files"):
        list(read_past_layout(root))


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("human_breast_Donor1_s1", ("human", "breast", "Donor1", "s1")),
        ("mouse_brain_cortex_B2_left_3", ("mouse", "brain cortex", "B2", "left_3")),
    ],
)
def test_names(stem, expected):
    name = LayoutName.parsed(stem)
    assert (name.species, name.tissue, name.donor, name.sample) == expected


@pytest.mark.parametrize("stem", ["breast", "human_breast_donor_s1", "human_Donor_s1", "human_b_D"])
def test_names_of_another_kind(stem):
    with pytest.raises(BadSource, match=r"is not named <species>_<tissue>_<Donor>_<sample>\.h5"):
        LayoutName.parsed(stem)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"image_x": None}, BadSource, "has no image_x; the published layout"),
        ({"specie": np.full(CELLS, 6)}, BadPairing, "named human, but its tokens say mouse"),
        (
            {"assay": np.arange(CELLS)},
            BadPairing,
            r"technology tokens \[0, 1, 2, 3\], but one of 7",
        ),
        ({"X": np.zeros(CELLS, int)}, BadSource, r"X must be \(rows, tokens\)"),
        ({"modality": np.full(3, 4)}, BadSource, "cannot be read as data laid out for PAST"),
    ],
    ids=["array", "species", "assay", "flat", "length"],
)
def test_files_of_another_kind(layout, rng, changes, error, said):
    root, path = layout
    write_cells(path, rng, **changes)
    with pytest.raises(error, match=said):
        list(read_past_layout(root))


def test_neighbours_that_do_not_exist(layout, rng):
    root, path = layout
    write_cells(path, rng, ragged=False)
    with h5py.File(path, "r+") as file:
        file["neighbor_indices"][0, 0] = CELLS
    with pytest.raises(BadPairing, match=f"neighbour {CELLS}, but has {CELLS} cells"):
        list(read_past_layout(root))


def test_empty_folder(tmp_path):
    with pytest.raises(BadSource, match=r"holds no \.h5 file"):
        list(read_past_layout(tmp_path))
