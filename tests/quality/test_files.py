"""Masks come back as they were written, and those of others are understood or refused."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_past.errors import BadTable, CannotWrite
from napari_past.quality import UNSCORED_KINDS, QualityMask, kind_named, read_mask, write_mask

SIZE_UM = (796.0, 600.0)
OTHER = UNSCORED_KINDS.index("other") + 1


def some_mask(source="method 1"):
    labels = np.zeros((75, 100), np.uint8)
    for k in range(len(UNSCORED_KINDS)):
        labels[5 * k : 5 * k + 5, :20] = k + 1
    return QualityMask(labels, 8.0, source)


def test_a_written_mask_reads_back_equal(tmp_path):
    mask = some_mask("edited – µm")
    write_mask(tmp_path / "mask.tif", mask)
    back = read_mask(tmp_path / "mask.tif", SIZE_UM)
    assert (back.labels == mask.labels).all()
    assert (back.mpp, back.source) == (mask.mpp, mask.source)
    write_mask(tmp_path / "again.tif", mask)
    assert (tmp_path / "again.tif").read_bytes() == (tmp_path / "mask.tif").read_bytes()


def test_others_read_the_pixel_size(tmp_path):
    write_mask(tmp_path / "mask.tif", some_mask())
    with tifffile.TiffFile(tmp_path / "mask.tif") as tif:
        pixels, per = tif.pages[0].tags["XResolution"].value
        assert 1e4 * per / pixels == pytest.approx(8.0)
        assert tif.pages[0].tags["ResolutionUnit"].value == 3, "centimetre"


def test_our_own_mask_of_another_slide_is_refused(tmp_path):
    write_mask(tmp_path / "mask.tif", some_mask())
    with pytest.raises(BadTable, match="does not fit a slide of 1592 x 1200 µm"):
        read_mask(tmp_path / "mask.tif", (1592.0, 1200.0))


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("step", [1, 5])
def test_a_label_image_of_any_size_covers_the_slide(tmp_path, suffix, step):
    labels = some_mask().labels[::step, ::step]
    path = tmp_path / f"labels.{suffix}"
    if suffix == "png":
        Image.fromarray(labels).save(path)
    else:
        tifffile.imwrite(path, labels.astype(np.uint16))
    back = read_mask(path, (800.0, 600.0))
    assert (back.labels == labels).all()
    assert back.mpp == pytest.approx(8.0 * step)
    assert back.source == path.name


@pytest.mark.parametrize(
    ("values", "expected"),
    [((0, 255), OTHER), ((0, 1), OTHER), ((0, 3), 3), ((2, 9), OTHER), ((1, 2), 1)],
)
def test_values_are_kinds_where_they_can_be(tmp_path, values, expected):
    labels = np.full((75, 100), values[1], np.uint8)
    labels[:40] = values[0]
    Image.fromarray(labels).save(tmp_path / "m.png")
    back = read_mask(tmp_path / "m.png", (800.0, 600.0)).labels
    assert back[0, 0] == (0 if values[0] == 0 else expected)
    assert back[-1, -1] == (2 if values == (1, 2) else expected)


def test_black_and_white_and_grey_in_rgb_are_labels_too(tmp_path):
    yes = np.zeros((75, 100), bool)
    yes[10:20] = True
    Image.fromarray(yes).save(tmp_path / "bits.png")
    Image.fromarray(np.repeat(yes[..., None] * np.uint8(255), 3, axis=2)).save(tmp_path / "rgb.png")
    for name in ("bits.png", "rgb.png"):
        assert (read_mask(tmp_path / name, (800.0, 600.0)).labels == yes * OTHER).all()


def coloured(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (75, 100, 3), np.uint8)).save(path)


def floats(path):
    tifffile.imwrite(path, np.zeros((75, 100), np.float32))


def tall(path):
    Image.fromarray(np.zeros((100, 75), np.uint8)).save(path)


def cut(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 6, (75, 100), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (coloured, "m.png", "coloured picture"),
        (floats, "m.tif", "float32"),
        (tall, "m.png", "does not fit a slide of 800 x 600 µm"),
        (cut, "m.png", "cannot be read as an image"),
        (lambda path: path.write_text("no"), "m.tif", "cannot be read as an image"),
        (lambda path: path.write_text("no"), "m.jpg", "no mask that is read"),
        (lambda path: None, "m.png", "There is no file"),
    ],
    ids=["colours", "floats", "aspect", "cut off", "text", "suffix", "missing"],
)
def test_mistakes_are_told_in_one_sentence(tmp_path, make, name, message):
    make(tmp_path / name)
    with pytest.raises(BadTable, match=message) as told:
        read_mask(tmp_path / name, (800.0, 600.0))
    assert "\n" not in str(told.value)


def test_a_mask_is_not_written_where_it_cannot_be(tmp_path):
    with pytest.raises(CannotWrite):
        write_mask(tmp_path / "missing" / "mask.tif", some_mask())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Fold", "fold"),
        ("PenMarking", "pen"),
        ("Pen marks", "pen"),
        ("Edge & Air Bubble", "bubble"),
        ("OOF", "blur"),
        ("Out of focus", "blur"),
        ("Background", "glass"),
        ("Darkspot & Foreign Object", "other"),
        ("Ignore*", "other"),
        (None, "other"),
        ("Tumor", None),
        ("Normal tissue", None),
    ],
)
def test_names_of_others(name, kind):
    assert kind_named(name) == kind
