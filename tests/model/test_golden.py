"""The published network, computed by its authors' code, against ours: file to embeddings."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_past.cells import read_block
from napari_past.model import load_model
from napari_past.model.checkpoint import IMAGE_TOWER, PROJECTION_DIM
from napari_past.model.state_dict_adapter import IGNORED, model_layout, published_name
from napari_past.slide import slide_of_array
from napari_past.types import Rect

WITHIN = 2e-4


@pytest.fixture(scope="module")
def inputs(golden):
    """Crops, token ids, and the ids of neighbours."""
    rng = np.random.default_rng(zlib.crc32(f"{golden['salt']}:input".encode()))
    images = rng.integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    ids = rng.integers(30, 20340, (2, 300))
    ids[:, :3] = [4, 9, 5]
    ids[1, 150:] = 1
    nodes = rng.integers(30, 20340, (2, 9, 300))
    nodes[:, 8] = ids
    parts = (images.tobytes(), ids.astype("<i8").tobytes(), nodes.astype("<i8").tobytes())
    assert hashlib.sha256(b"".join(parts)).hexdigest() == golden["input_sha256"]
    return images, ids, nodes[:, :8]


@pytest.fixture(scope="module")
def peak_bytes(golden_checkpoint, models_dir):
    """Memory of a process that makes the checkpoint a model file, which then is there for all."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from napari_past.model.checkpoint import convert_checkpoint\n"
        "made = convert_checkpoint(Path(sys.argv[1]))\n"
        "try:\n"
        "    status = dict(line.split(':') for line in open('/proc/self/status'))\n"
        "except OSError:\n"
        "    status = {'VmHWM': '0 kB'}\n"
        "print(status['VmHWM'].split()[0], made)\n"
    )
    paths = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", code, str(golden_checkpoint)],
        capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip
    peak_kb, made = done.stdout.split(maxsplit=1)
    assert Path(made.strip()).parent.samefile(models_dir)
    return int(peak_kb) * 1024


@pytest.fixture(scope="module")
def past(golden_checkpoint, peak_bytes):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield load_model(golden_checkpoint, "cpu")
    torch.set_num_threads(threads)


def test_layout_is_the_published_one(past, past_layout):
    ours = model_layout(IMAGE_TOWER, past.card.cell_tower, PROJECTION_DIM)
    published = {published_name(name): shape for name, shape in ours.items()}
    assert len(published) == len(ours)
    read = {k: shape for k, shape in past_layout.items() if not k.startswith(IGNORED)}
    assert published == read


def test_images(past, inputs, golden):
    np.testing.assert_allclose(
        past.encode_image(inputs[0]), golden["image_embedding"], atol=WITHIN, rtol=0
    )


def test_tokens(past, inputs, golden):
    embedded = past.encode_tokens(inputs[1])
    assert embedded.dtype == np.float32
    np.testing.assert_allclose(embedded, golden["cell_embedding"], atol=WITHIN, rtol=0)
    alone = past.encode_tokens(inputs[1][1:].astype(np.int32))
    np.testing.assert_allclose(alone, golden["cell_embedding"][1:], atol=WITHIN, rtol=0)


def test_tokens_with_neighbours(past, inputs, golden):
    _, ids, neighbours = inputs
    embedded = past.encode_tokens(ids, neighbours)
    np.testing.assert_allclose(embedded, golden["graph_cell_embedding"], atol=WITHIN, rtol=0)
    other_order = past.encode_tokens(ids[:1], neighbours[:1, ::-1])
    np.testing.assert_allclose(other_order, embedded[:1], atol=1e-5)


def test_what_the_store_keeps_of_a_cell_projects_to_its_embedding(past, inputs, golden):
    """From a slide: the crop is centred on the cell, the tower's output is kept in halves."""
    mpp = past.card.encoder.mpp
    rgb = np.zeros((400, 500, 3), np.uint8)
    rgb[37:261, 101:325] = inputs[0][0]
    centre_um = np.array([[101 + 112, 37 + 112]]) * mpp
    slide = slide_of_array(rgb, mpp)
    block, grid = read_block(slide, Rect(0, 0, 400 * mpp, 300 * mpp), mpp, 112)
    kept = past.encode_tile(block, grid, centre_um)
    assert kept.dtype == np.float16
    np.testing.assert_allclose(kept[0, :8], golden["image_features_head"][0], atol=2e-3)
    projected = past.project(kept)
    np.testing.assert_allclose(projected, golden["image_embedding"][:1], atol=2e-3)


def test_card_says_what_is_assumed(past):
    card = past.card
    assert (card.name, card.encoder.mode, card.encoder.crop_px) == ("past", "crop", 224)
    assert card.encoder.mpp == 0.2125
    assert "0.2125 is an assumption" in card.summary
    assert card.evidence.whose == "not measured"
    assert past.genes == ()
    assert past.temperature == pytest.approx(0.07)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_conversion_needs_less_memory_than_the_file(golden_checkpoint, peak_bytes):
    """Everything counts: interpreter, torch, and what is mapped of the file."""
    assert 0 < peak_bytes < golden_checkpoint.stat().st_size
