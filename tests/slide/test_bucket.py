"""Slides in S3 buckets, from moto's server, with credentials from the environment alone."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.errors import NotASlide, SlideChanged, SlideError
from napari_past.slide import open_slide
from napari_past.slide.access.patience import Patience

boto3 = pytest.importorskip("boto3")
fsspec = pytest.importorskip("fsspec")
moto_server = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def endpoint():
    server = moto_server.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def keys(endpoint):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="reader",
        aws_secret_access_key="SECRET",
        region_name="us-east-1",
    )


@pytest.fixture(scope="module")
def bucket(keys, tmp_path_factory, draw, write_tiff, write_omezarr):
    """``slides`` holds a TIFF and an OME-Zarr slide; the same lie in the folder returned."""
    folder = tmp_path_factory.mktemp("stored")
    levels = [draw(500, 700), draw(250, 350)]
    write_tiff(folder / "a#1.ome.tif", levels)
    write_omezarr(folder / "a.zarr", levels, "0.5")
    write_tiff(folder / "plain.tif", levels[:1])
    keys.create_bucket(Bucket="slides")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            keys.upload_file(str(path), "slides", f"case 7/{path.relative_to(folder).as_posix()}")
    return folder


@pytest.fixture(autouse=True)
def environment(endpoint, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr("napari_past.slide.access.remote.READING", Patience(0.3, 0.02))
    monkeypatch.setattr("napari_past.slide.access.remote.OPENING", Patience(0.2, 0.02))


@pytest.mark.parametrize("name", ["a#1.ome.tif", "a.zarr"])
def test_same_slide_as_on_disk(bucket, name):
    with open_slide(f"s3://slides/case 7/{name}") as far, open_slide(bucket / name) as near:
        assert (far.name, far.mpp, far.levels) == (name, near.mpp, near.levels)
        # object stores list what they hold, so that OME-Zarr, too, is known wherever it lies
        assert far.fingerprint == near.fingerprint
        window = (301, 122, 300, 300, 0.5)
        np.testing.assert_array_equal(far.read_grid(*window), near.read_grid(*window))
        far.check_unchanged()


def test_replaced_object(keys, bucket):
    """Of the same size and layout, so that its bytes would pass for those of the old one."""
    content = bytearray((bucket / "plain.tif").read_bytes())
    keys.put_object(Bucket="slides", Key="r.tif", Body=bytes(content))
    with open_slide("s3://slides/r.tif", mpp=0.5) as slide:
        assert slide.fingerprint
        slide.check_unchanged()
        content[len(content) // 2] ^= 255
        keys.put_object(Bucket="slides", Key="r.tif", Body=bytes(content))
        with pytest.raises(SlideChanged, match=r"r\.tif was replaced"):
            slide.read_grid(0, 0, 128, 128, 0.5)
        with pytest.raises(SlideChanged):
            slide.check_unchanged()


def test_replaced_object_of_a_store_that_tells_no_facts_with_bytes(bucket):
    """Such as Google's and Azure's; here fsspec's memory."""
    memory = fsspec.filesystem("memory")
    content = bytearray((bucket / "plain.tif").read_bytes())
    memory.pipe_file("/r.tif", bytes(content))
    with open_slide("memory://r.tif", mpp=0.5) as slide:
        with open_slide(bucket / "plain.tif", mpp=0.5) as near:
            assert slide.fingerprint == near.fingerprint
            window = (0, 0, 128, 128, 0.5)
            np.testing.assert_array_equal(slide.read_grid(*window), near.read_grid(*window))
        memory.pipe_file("/r.tif", bytes(content))
        with pytest.raises(SlideChanged):
            slide.read_grid(200, 200, 128, 128, 0.5)


@pytest.mark.parametrize("address", ["s3://slides/none.tif", "s3://none/a.tif", "s3://slides"])
def test_what_is_not_there(bucket, address):
    with pytest.raises(NotASlide, match="There is no slide"):
        open_slide(address)


def test_no_credentials_and_public_access(keys, bucket, monkeypatch, tmp_path):
    keys.upload_file(
        str(bucket / "a#1.ome.tif"), "slides", "public.tif", ExtraArgs={"ACL": "public-read"}
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(SlideError, match="FSSPEC_S3_ANON"):
        open_slide("s3://slides/public.tif")
    monkeypatch.setitem(fsspec.config.conf, "s3", {})
    fsspec.config.set_conf_env(fsspec.config.conf, {"FSSPEC_S3_ANON": "true"})
    with open_slide("s3://slides/public.tif") as slide:
        assert slide.read_grid(0, 0, 10, 10, 0.5).shape == (10, 10, 3)
