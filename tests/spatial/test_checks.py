"""Every mistake of a pairing is found and told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past.errors import PastError
from napari_past.sample import draw_phantom
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.spatial.anndata_slide import read_anndata
from napari_past.spatial.checks import check, check_together
from napari_past.spatial.errors import BadPairing
from napari_past.spatial.picture import open_picture
from napari_past.spatial.st import read_st
from napari_past.spatial.visium import read_visium
from napari_past.spatial.xenium import read_xenium


@pytest.fixture(scope="module")
def sound(write_xenium, tmp_path_factory):
    """A section in order: 480 x 320 µm with a cell on each nucleus."""
    folder = tmp_path_factory.mktemp("run") / "drawn"
    write_xenium(folder)
    return read_xenium(folder)


def moved(section, points_um, **changes):
    return replace(section, centers_um=points_um, nuclei_um=None, **changes)


def with_counts(section, change):
    counts = section.counts.toarray().astype(np.float64)
    change(counts)
    return replace(section, counts=csr_array(counts.astype(np.float32)))


def test_sound(sound):
    assert check(sound) == [f"drawn: {note}" for note in sound.notes]
    named = replace(sound, patient="P")
    assert check_together([named, replace(named, name="other")]) == []
    assert check_together([sound, replace(sound, name="other")]) == [
        "No patient is known of drawn, other: such sections count as one patient, so that none is "
        "tested as unseen; give patient= or --patient."
    ]


def test_sound_with_centroids_beside_the_nuclei(sound):
    assert not [w for w in check(replace(sound, nuclei_um=None)) if "haematoxylin" in w]


@pytest.mark.parametrize("mpp", [float("nan"), 0.0, -0.5, 250.0])
def test_no_pixel_size(sound, mpp):
    with pytest.raises(BadPairing, match=r"drawn has no usable µm/px .*mpp="):
        check(replace(sound, mpp=mpp))


def test_doubled_ids(sound):
    ids = (*sound.ids[:-2], sound.ids[0], sound.ids[0])
    with pytest.raises(BadPairing, match=rf"2 of {len(sound)} ids of cells .*\({ids[0]}, …\)"):
        check(replace(sound, ids=ids))


def test_negative_counts(sound):
    def change(counts):
        counts[3, 1] = -2

    with pytest.raises(BadPairing, match=r"1 negative counts \(the least is -2\)"):
        check(with_counts(sound, change))


def test_counts_that_are_not_whole(sound):
    def change(counts):
        counts[:] = np.log1p(counts)

    with pytest.raises(BadPairing, match=r"not whole numbers \(such as .*give raw counts"):
        check(with_counts(sound, change))


def test_counts_that_are_no_numbers(sound):
    def change(counts):
        counts[0, 0] = np.nan

    with pytest.raises(BadPairing, match="counts that are no numbers"):
        check(with_counts(sound, change))


def test_rows_without_position(sound):
    points = sound.centers_um.copy()
    points[:3, 0] = np.nan
    with pytest.raises(BadPairing, match=f"3 of {len(sound)} cells have no position"):
        check(moved(sound, points))


def test_nothing_measured(sound):
    none = np.zeros(0, np.int64)
    empty = replace(
        moved(sound, np.zeros((0, 2)), ids=(), counts=sound.counts[none]),
    )
    with pytest.raises(BadPairing, match="drawn has no cells"):
        check(empty)
    no_genes = replace(sound, genes=(), counts=csr_array((len(sound), 0), dtype=np.float32))
    with pytest.raises(BadPairing, match="drawn has no gene"):
        check(no_genes)
    tokens = np.full((len(sound), 300), 31)
    assert check(replace(no_genes, tokens=tokens))  # tokens stand for the genes


def test_empty_rows_are_told(sound):
    def change(counts):
        counts[4] = 0

    assert f"drawn: 1 of {len(sound)} cells have no counts at all." in check(
        with_counts(sound, change)
    )


def test_cells_of_another_picture(sound):
    far = moved(sound, sound.centers_um + (3000.0, 0.0))
    said = rf"drawn: 0 of {len(sound)} cells lie on .* \(960 x 640 px at 0.5 µm/px\): positions are"
    with pytest.raises(BadPairing, match=said):
        check(far)


def test_some_cells_beside_the_picture_are_told(sound):
    points = sound.centers_um.copy()
    beside = len(points) // 10
    points[:beside] += (3000.0, 0.0)
    assert any(
        f"{beside} of {len(points)} cells lie beside" in w for w in check(moved(sound, points))
    )


def test_run_that_reaches_beyond_the_picture(sound, phantom, tmp_path):
    # The H&E shows 350 x 320 µm of it: all cells would fit if their µm were pixels.
    path = tmp_path / "part.tif"
    write_pyramid(path, np.ascontiguousarray(phantom.rgb[:, :700]), 0.5, "part", jpeg=False)
    beside = int((sound.centers_um[:, 0] >= 350).sum())
    said = check(replace(sound, image=path))
    assert f"drawn: {beside} of {len(sound)} cells lie beside part.tif." in said


def test_shift_that_leaves_the_picture_is_no_other_unit(sound, phantom, tmp_path):
    # Read as pixels, all would lie on the picture, as a copy of half the size lies anywhere.
    path = tmp_path / "part.tif"
    write_pyramid(path, np.ascontiguousarray(phantom.rgb[:, :700]), 0.5, "part", jpeg=False)
    kept = np.flatnonzero(sound.centers_um[:, 0] < 345)
    part = replace(
        sound,
        ids=tuple(sound.ids[i] for i in kept),
        counts=sound.counts[kept],
        centers_um=sound.centers_um[kept] + (20.0, 0.0),
        nuclei_um=None,
        image=path,
    )
    beside = int((part.centers_um[:, 0] >= 350).sum())
    assert beside > 0.01 * len(part)
    said = check(part)[-2:]
    assert f"{beside} of {len(part)} cells lie beside" in said[0]
    assert "the cells lie about 20 µm right of the nuclei" in said[1]


def test_swapped_where_they_leave_the_picture(sound):
    # 480 x 320 µm: with x and y swapped, what lies beyond 320 µm falls off the lower edge.
    off = int((sound.centers_um[:, 0] >= 320).sum())
    said = rf"{len(sound) - off} of {len(sound)} cells lie .*, but all do when x and y are swapped"
    with pytest.raises(BadPairing, match=said):
        check(moved(sound, sound.centers_um[:, ::-1]))


def test_swapped_where_all_stay_on_the_picture(sound):
    # Of the cells in the common square nothing leaves the picture: haematoxylin tells.
    kept = np.flatnonzero((sound.centers_um < 315).all(axis=1))
    square = replace(
        sound,
        ids=tuple(sound.ids[i] for i in kept),
        centers_um=sound.centers_um[kept],
        counts=sound.counts[kept],
        nuclei_um=sound.nuclei_um[kept],
    )
    assert not [w for w in check(square) if "haematoxylin" in w]
    turned = replace(
        square, centers_um=square.centers_um[:, ::-1], nuclei_um=square.nuclei_um[:, ::-1]
    )
    with pytest.raises(BadPairing, match=r"no more haematoxylin under the cells .* when x and y"):
        check(turned)


def test_pixels_read_as_um_and_the_reverse(sound):
    with pytest.raises(BadPairing, match=r"all do when they are read as pixels .*\(unit=px\)"):
        check(moved(sound, sound.centers_um / sound.mpp))
    # A quarter of the picture holds all cells then: nothing is outside, but nothing is under them.
    small = check(moved(sound, sound.centers_um * sound.mpp))
    assert any("haematoxylin is hardly denser under the cells" in w for w in small)


def test_alignment_off_by_more_than_a_nucleus(sound):
    rng = np.random.default_rng(0)
    inside = sound.nuclei_um + rng.choice([-1, 1], (len(sound), 2)) * 9.0
    shifted = check(moved(sound, np.clip(inside, 1, (479, 319))))
    assert any("the alignment may be off by more than a nucleus" in w for w in shifted)


def test_missing_picture(sound):
    with pytest.raises(PastError, match=r"gone\.tif does not exist"):
        check(replace(sound, image=sound.image.with_name("gone.tif")))


@pytest.fixture
def spots(visium, he_png):
    folder, _ = visium
    return read_visium(folder, image=he_png)


def test_sound_spots(spots):
    assert check(spots) == [f"sample7: {note}" for note in spots.notes]


def test_swapped_spots_that_leave_the_picture(spots):
    with pytest.raises(BadPairing, match=r"of 19 spots lie on .* when x and y are swapped"):
        check(moved(spots, spots.centers_um[:, ::-1]))


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A piece of tissue in the upper right of a large glass."""
    phantom = draw_phantom(800, 500, 1.0, seed=2)
    rgb = np.full((1600, 1600, 3), 243, np.uint8)
    rgb[60:560, 740:1540] = phantom.rgb
    path = tmp_path_factory.mktemp("wide") / "wide.tif"
    write_pyramid(path, rgb, 1.0, "wide", jpeg=False)
    return path, phantom.centers_um + (740, 60)


def test_swapped_spots_that_fall_on_glass(spots, wide):
    path, nuclei_um = wide
    points = nuclei_um[np.linspace(0, len(nuclei_um) - 1, len(spots)).astype(int)]
    right = moved(spots, points, image=path, mpp=1.0, technology="other")
    assert not [w for w in check(right) if "tissue" in w]
    with pytest.raises(BadPairing, match="0 % of the spots lie on tissue, but 100 % do when x and"):
        check(replace(right, centers_um=points[:, ::-1]))
    on_glass = replace(right, centers_um=points + (0, 700))
    assert any("only 0 % of the spots lie on tissue" in w for w in check(on_glass))


def test_shifted_spots_are_no_other_unit(spots):
    # One column of them falls off; their pitch says that the unit is right.
    rightmost = np.sort(spots.centers_um[:, 0])[-1]
    off = moved(spots, spots.centers_um + (480.5 - rightmost, 0.0))
    assert any("spots lie beside drawn.png" in w for w in check(off))


def test_pitch_tells_a_wrong_pixel_size(spots):
    said = [w for w in check(replace(spots, centers_um=spots.centers_um * 0.8)) if "apart" in w]
    assert said == [
        "sample7: spots of Visium are 100 µm apart, but these are 80 µm; check the µm/px, 0.5."
    ]


def test_no_common_genes(sound):
    other = replace(sound, name="other", genes=("A1", "A2", "A3", "A4", "A5"))
    said = r"other has no gene in common with the other sections \(A1, … against C1QTNF12, …\)"
    with pytest.raises(BadPairing, match=said):
        check_together([sound, other])
    mouse = replace(other, species="mouse")
    with pytest.raises(BadPairing, match="prepare each species on its own"):
        check_together([sound, mouse])


def test_panels_that_overlap_in_pairs_only(sound):
    a, b = (f"A{i}" for i in range(5)), (f"B{i}" for i in range(4))
    first = replace(sound, name="first", patient="P", genes=tuple(a))
    second = replace(first, name="second", genes=(*b, "A0"))
    third = replace(first, name="third", genes=("B0", "C1", "C2", "C3", "C4"))
    assert check_together(iter([first, second, third])) == [
        "Only 0 of 13 genes are measured in all sections; the others are learned from some of them."
    ]


def test_names_and_pictures_of_sections(sound):
    with pytest.raises(BadPairing, match="Two sections are named drawn"):
        check_together([sound, sound])
    with pytest.raises(BadPairing, match="There is no section"):
        check_together([])
    leak = [replace(sound, name=p, patient=p) for p in ("P1", "P2")]
    (warning,) = check_together(leak)
    assert "belongs to two patients, P1 and P2" in warning


@pytest.fixture(scope="module")
def real_spots(data_dir):
    section = read_st(data_dir / "her2st", "C5", "C")
    return replace(section, image=data_dir / "slides" / "her2st_C5_pyramid.tif")


def test_real_spots(real_spots):
    assert check(real_spots) == [f"C5: {note}" for note in real_spots.notes]


def test_real_spots_swapped(real_spots):
    swapped = replace(real_spots, centers_um=real_spots.centers_um[:, ::-1])
    said = "7. % of the spots lie on tissue, but 100 % do when x and y are swapped"
    with pytest.raises(BadPairing, match=said):
        check(swapped)


def test_real_spots_swapped_on_tissue_without_edge(real_spots):
    # Only the spots that lie on tissue either way, as if the picture were cut out of the section.
    with open_picture(real_spots.image, real_spots.mpp) as slide:
        turned = real_spots.centers_um[:, ::-1]
        kept = np.flatnonzero(slide.tissue_mask().contains(turned))
    inner = replace(
        real_spots,
        ids=tuple(real_spots.ids[i] for i in kept),
        centers_um=turned[kept],
        counts=real_spots.counts[kept],
    )
    (warning,) = (w for w in check(inner) if "haematoxylin" in w)
    assert "totals follow the haematoxylin better when x and y are swapped" in warning


def test_real_cells_and_their_swap(data_dir):
    folder = data_dir / "xenium_lung"
    options = {"unit": "px", "technology": "Xenium", "tissue": "lung"}
    files = (folder / "NCBI858.h5ad", folder / "NCBI858.jpg", 2.0)
    right = read_anndata(*files, x="y_pixel", y="x_pixel", **options)
    assert not [w for w in check(right) if "beside" in w and "lie" in w]
    swapped = read_anndata(*files, x="x_pixel", y="y_pixel", **options)
    with pytest.raises(BadPairing, match="x and y are swapped"):
        check(swapped)
