"""Towers that give one vector for a whole crop, in a model file."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_past.cells import read_block
from napari_past.errors import BadModel, Cancelled, PastError, UnknownGene
from napari_past.model import CellTowerCard, PooledTowerCard, load_model
from napari_past.model.encoding import Batches, fresh_tower
from napari_past.model.past_network import CellEncoder, ProjectionHead
from napari_past.slide import slide_of_array
from napari_past.types import Rect

SIDE, E = 32, 12
TOWER = {"backbone": "test_vit", "options": {"img_size": SIDE}, "pool": "token", "embed_dim": 64}
CROP = {"mode": "crop", "stride_px": 1, "halo_px": 16, "crop_px": SIDE}
CELLS = CellTowerCard(
    vocabulary=40, positions=9, dim=8, heads=2, layers=1, feed_forward=16, graph=True
)
NO_READOUT = {
    "genes": (), "cutoffs": {}, "unlike_training_limit": None, "slide_unlike_limit": None,
    "encoder": CROP | {"tower": TOWER},
    "evidence": {"r": {}, "detected": {}, "sections": ()},
}  # fmt: skip


def cell_ids(n, seed=0):
    ids = np.random.default_rng(seed).integers(30, 40, (n, 9))
    ids[:, 7:] = 1
    return ids


def state(prefix, network):
    return {f"{prefix}{k}": v.numpy() for k, v in network.state_dict().items()}


def crop_tensors(cells=CELLS):
    torch.manual_seed(1)
    tensors = state("tower.", fresh_tower(PooledTowerCard.model_validate(TOWER)))
    tensors |= state("image_projection.", ProjectionHead(64, E))
    tensors |= state("cell.", CellEncoder(cells, E))
    return tensors | {"temperature": np.array(0.05, np.float32)}


@pytest.fixture(scope="module")
def write_past_like(write_tiny_card):
    def write(path, tensors=None, cells=CELLS, **changes):
        merged = crop_tensors(cells) | (tensors or {})
        kept = {k: v for k, v in merged.items() if v is not None}
        fields = NO_READOUT | {"projection_dim": E, "cell_tower": cells} | changes
        return write_tiny_card(path, kept, name="past-like", **fields)

    return write


@pytest.fixture(scope="module")
def write_tiny_card(tiny_card):
    """A model file of these tensors alone, its card with changed fields."""
    from napari_past.model import Card, write_model_file

    def write(path, tensors, evidence, encoder, **fields):
        card = tiny_card().model_dump()
        card |= fields
        card["encoder"] |= encoder
        card["evidence"] |= evidence
        return write_model_file(path, Card.model_validate(card), tensors)

    return write


@pytest.fixture(scope="module")
def model(tmp_path_factory, write_past_like):
    path = write_past_like(tmp_path_factory.mktemp("past") / "past-like.safetensors")
    return load_model(path, "cpu")


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)


def test_images_are_projected(model, crops):
    embedded = model.encode_image(crops)
    assert embedded.shape == (5, E)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, atol=1e-6)
    x = torch.from_numpy(crops).permute(0, 3, 1, 2) / 255
    x = (x - torch.tensor((0.7, 0.55, 0.7)).view(3, 1, 1)) / 0.2
    with torch.inference_mode():
        raw = model._tower.backbone(x).numpy()
    np.testing.assert_allclose(embedded, model.project(raw), atol=1e-5)


def test_images_and_cells_have_one_space_and_any_batch(model, crops):
    ids, neighbours = cell_ids(150), cell_ids(1200, seed=1).reshape(150, 8, 9)
    for seen in (None, neighbours):
        many = model.encode_tokens(ids, seen)
        assert many.shape == (150, model.encode_image(crops).shape[1])
        some = model.encode_tokens(ids[97:99], None if seen is None else seen[97:99])
        np.testing.assert_allclose(many[97:99], some, atol=1e-5)
    assert model.encode_tokens(ids[:0]).shape == (0, E)


def test_cell_at_the_border_of_a_slide_stays_in_the_centre(model):
    """Beyond the slide its background is read: the cell does not slip to the side."""
    rgb = np.full((90, 120, 3), 231, np.uint8)
    rgb[:12, :14] = np.random.default_rng(0).integers(0, 200, (12, 14, 3))
    slide = slide_of_array(rgb, 0.5)
    where_px = np.array([[5.0, 7.0]])
    block, grid = read_block(slide, Rect(0, 0, 20, 20), 0.5, 16)
    from_slide = model.tile_features(block, grid, where_px * 0.5)
    crop = np.empty((1, SIDE, SIDE, 3), np.uint8)
    crop[:] = slide.background
    crop[0, 9:, 11:] = rgb[: SIDE - 9, : SIDE - 11]
    np.testing.assert_allclose(model.project(from_slide), model.encode_image(crop), atol=1e-5)


def test_model_without_a_read_out_says_so(model):
    for ask in (
        lambda: model.expression(np.zeros((2, 64)), ["ERBB2"]),
        lambda: model.reliability("ERBB2"),
    ):
        with pytest.raises(UnknownGene, match=r"past-like has no read-out.*past-train finetune"):
            ask()
    assert model.expression(np.zeros((2, 64)), []).shape == (2, 0)


def test_nothing_is_known_of_the_training_cells(model):
    assert np.isnan(model.unlike_training(np.zeros((3, 64)))).all()
    distance = model.slide_unlike_training(np.zeros((400, 64)))
    assert np.isnan(distance)
    assert model.slide_unlike_sentence(distance) == ""


def test_temperature(model, tiny_model_file):
    assert model.temperature == pytest.approx(0.05)
    assert load_model(tiny_model_file).temperature is None


def test_crops_of_another_size(model):
    with pytest.raises(PastError, match=r"32 x 32 px at 0\.5 µm/px, but got 64 x 48"):
        model.encode_image(np.zeros((1, 64, 48, 3), np.uint8))


def test_model_without_a_cell_side(tiny_model_file):
    model = load_model(tiny_model_file, "cpu")
    with pytest.raises(PastError, match="tiny has no cell tower"):
        model.encode_tokens(cell_ids(2))
    with pytest.raises(PastError, match="tiny has no projection"):
        model.project(np.zeros((2, 16)))


def test_model_without_a_graph_branch(tmp_path, write_past_like):
    flat = CELLS.model_copy(update={"graph": False})
    model = load_model(write_past_like(tmp_path / "m.safetensors", cells=flat), "cpu")
    assert model.encode_tokens(cell_ids(2)).shape == (2, E)
    with pytest.raises(PastError, match="have no graph branch"):
        model.encode_tokens(cell_ids(2), cell_ids(16).reshape(2, 8, 9))


@pytest.mark.parametrize(
    ("ids", "neighbours", "message"),
    [
        (cell_ids(2).astype(float), None, r"ids of integers \(n, 9\), but got float64 \(2, 9\)"),
        (cell_ids(2)[0], None, r"but got int64 \(9,\)"),
        (cell_ids(2)[:, :8], None, r"but got int64 \(2, 8\)"),
        (cell_ids(2) + 9, None, "ids from 0 to 39, but got 10 to 48"),
        (cell_ids(2) - 9, None, "but got -8 to 30"),
        (np.ones((2, 9), int), None, "Cell 0 of the token ids is padding alone"),
        (cell_ids(2), cell_ids(2), r"neighbours of integers \(n, 8, 9\)"),
        (cell_ids(2), cell_ids(8).reshape(1, 8, 9), "ids of 2 cells but neighbours of 1"),
    ],
)
def test_ids_that_no_cell_can_have(model, ids, neighbours, message):
    with pytest.raises(PastError, match=message):
        model.encode_tokens(ids, neighbours)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"image_projection.norm.bias": None}, r"lacks the tensor image_projection\.norm\.bias"),
        ({"temperature": np.zeros(2, np.float32)}, r"temperature .* asks for a single number"),
        ({"image_projection.enter.weight": np.zeros((E, 3), np.float32)}, r"12 x 64"),
        ({"readout.bias": np.zeros(3, np.float32)}, r"unexpected tensor readout\.bias"),
        ({"cell.tower.tokens.weight": None}, r"lacks the tensor cell\.tower\.tokens\.weight"),
        ({"cell.tower.x": np.zeros(3, np.float32)}, r"unexpected tensor cell\.tower\.x"),
        (
            {"cell.tower.tokens.weight": np.zeros((2, 8), np.float32)},
            r"The cell of model past-like does not fit .*tokens\.weight",
        ),
        ({"tower.backbone.norm.bias": None}, r"lacks the tensor tower\.backbone\.norm\.bias"),
    ],
)
def test_tensors_that_do_not_fit(tmp_path, write_past_like, crops, tensors, message):
    path = write_past_like(tmp_path / "m.safetensors", tensors)

    def use():
        model = load_model(path, "cpu")
        model.encode_tokens(cell_ids(2))
        model.encode_image(crops)

    with pytest.raises(BadModel, match=message) as told:
        use()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("tower", "message"),
    [
        ({"embed_dim": 65}, "gives 64 numbers where the card says 65"),
        ({"options": {"img_size": SIDE, "colour": "red"}}, "colour"),
        ({"options": {"mlp_layer": "exec"}}, "mlp_layer 'exec' is none of SwiGLUPacked"),
        ({"backbone": "nonet"}, "nonet"),
    ],
)
def test_tower_that_timm_does_not_have(tmp_path, write_past_like, crops, tower, message):
    encoder = CROP | {"tower": TOWER | tower}
    tensors = {}
    if "embed_dim" in tower:
        tensors["image_projection.enter.weight"] = np.zeros((E, 65), np.float32)
    path = write_past_like(tmp_path / "m.safetensors", tensors, encoder=encoder)
    with pytest.raises(BadModel, match=message):
        load_model(path, "cpu").encode_image(crops)


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "hf-hub:someone/else"},
        {"options": {"checkpoint_path": "/tmp/x"}},
        {"options": {"pretrained_cfg": "x"}},
        {"options": {"num_classes": 4}},
    ],
)
def test_card_cannot_name_other_weights(change):
    with pytest.raises(ValueError, match=r"backbone|options"):
        PooledTowerCard.model_validate(TOWER | change)


def test_class_token_beside_the_mean_of_the_patches():
    options = {"img_size": SIDE, "reg_tokens": 2}
    card = PooledTowerCard(backbone="test_vit", options=options, pool="token+mean", embed_dim=128)
    tower = fresh_tower(card).eval()
    image = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        embedded = tower(image, torch.zeros(3, 3))
        tokens = tower.backbone.forward_features(image)[0]
    expected = torch.cat([tokens[0], tokens[3:].mean(0)])
    np.testing.assert_allclose(embedded, expected.expand(3, -1), atol=1e-6)


def test_swiglu_layers_by_name():
    card = PooledTowerCard.model_validate(
        TOWER | {"options": {"img_size": SIDE, "mlp_layer": "SwiGLUPacked", "act_layer": "silu"}}
    )
    assert "SiLU" in str(fresh_tower(card))


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError, MemoryError])
def test_batches_are_halved_where_memory_runs_out(error):
    from napari_past.errors import WorkerFailed

    def encode(part):
        if part.stop - part.start > 5:
            raise error("too much")
        return torch.arange(part.start, part.stop)

    batches = Batches(64, 64)
    parts = batches.run(23, encode)
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(23))
    assert batches.size == 5
    assert [len(part) for part in batches.run(8, encode)] == [5, 3]

    def hopeless(part):
        raise error("too much")

    with pytest.raises(WorkerFailed, match="not enough memory"):
        batches.run(3, hopeless)
    with pytest.raises(ZeroDivisionError):
        batches.run(3, lambda part: 1 / 0)


@pytest.mark.parametrize(
    ("gains_until", "fits", "found"), [(256, 4096, 256), (4096, 300, 256), (4096, 4096, 1024)]
)
def test_batches_grow_while_it_is_worth_it(gains_until, fits, found, monkeypatch):
    now_s = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now_s[0])
    monkeypatch.setattr("napari_past.model.encoding.time", clock)

    def encode(n):
        if n > fits:
            raise torch.cuda.OutOfMemoryError("too much")
        # As a device that takes as long for a few as for `gains_until`.
        now_s[0] += 0.05 * max(1, n / gains_until)
        return torch.zeros(n)

    batches = Batches(64, 1024)
    batches.find(encode)
    assert batches.size == found


def test_a_cpu_has_the_same_batches_every_time():
    batches = Batches.on(torch.nn.Linear(1, 1))
    size = batches.size
    batches.find(lambda n: 1 / 0)  # nothing is tried
    assert batches.size == size


def test_batches_tell_how_far_they_are_and_end_with_what_that_raises():
    told = []
    seen = []

    def between(done):
        told.append(done)
        if done == 4:
            raise Cancelled("enough")

    def encode(part):
        seen.append(part.start)
        return torch.zeros(1)

    with pytest.raises(Cancelled, match="enough"):
        Batches(2, 2).run(10, encode, between)
    assert told == [0, 2, 4]
    assert seen == [0, 2]
