"""Weights from a web address, a file or a mirror of the hub, all on this machine."""

from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import torch

from napari_past.errors import BadModel, CannotWrite, PastError, UnknownModel
from napari_past.model import load_model
from napari_past.model.download import ATTEMPTS, download
from napari_past.model.fetch import PUBLISHED, fetch_model

CONTENT = bytes(range(251)) * 30_000
BREAK_AT = 3_000_000


class Server(http.server.ThreadingHTTPServer):
    """Serves one content with ranges; the first `breaks` answers end early."""

    def __init__(self, content: bytes = CONTENT) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.tag = '"first"'
        self.breaks, self.break_at = 0, BREAK_AT
        self.ranges: list[str | None] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is part of these tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        server, asked = self.server, self.headers.get("Range")
        # The hub's client asks more than for the file.
        if self.path.endswith("/missing") or self.path.startswith("/api/"):
            self.send_error(404)
            return
        if body:
            server.ranges.append(asked)
        start = 0
        if asked is not None and self.headers.get("If-Range", server.tag) == server.tag:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        if start > len(server.content):
            self.send_error(416)
            return
        content = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", server.tag)
        self.send_header("X-Repo-Commit", "0" * 40)
        if start:
            size = len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        if body and server.breaks:
            server.breaks -= 1
            self.wfile.write(content[: server.break_at])
            self.close_connection = True
        elif body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], Server]]:
    servers = []

    def start(content: bytes = CONTENT) -> Server:
        server = Server(content)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("NAPARI_PAST_MODELS", str(folder))
    return folder


def silent(have: int, total: int | None) -> None:
    pass


def test_download_goes_on_where_it_broke_off(serve, tmp_path):
    server, told = serve(), []
    server.breaks = 2
    part = download(
        f"{server.url}/c.pth", tmp_path, lambda *sizes: told.append(sizes), pause_s=0.01
    )
    assert part.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={BREAK_AT}-", f"bytes={2 * BREAK_AT}-"]
    assert [have for have, _ in told] == sorted(have for have, _ in told)
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_download_goes_on_in_a_later_call(serve, tmp_path):
    server = serve()
    server.breaks = 1
    address = f"{server.url}/c.pth"

    def stop(have: int, total: int | None) -> None:
        if have >= BREAK_AT:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(address, tmp_path, stop)
    assert download(address, tmp_path, silent).read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={BREAK_AT}-"


def test_another_file_at_the_address_is_not_mixed_with_the_first(serve, tmp_path):
    server = serve()
    address = f"{server.url}/c.pth"
    first = download(address, tmp_path, silent)
    first.write_bytes(CONTENT[:1000])
    server.content, server.tag = CONTENT[::-1], '"second"'
    assert download(address, tmp_path, silent).read_bytes() == CONTENT[::-1]
    server.content = b"short"
    server.tag = '"second"'
    assert download(address, tmp_path, silent).read_bytes() == b"short"


def test_address_without_the_file(serve, tmp_path):
    server = serve()
    with pytest.raises(PastError, match=r"was not given \(404"):
        download(f"{server.url}/missing", tmp_path, silent)


def test_server_that_is_not_there(tmp_path):
    # Nothing listens on the discard port.
    with pytest.raises(PastError, match=r"cannot be had from here.*--from") as told:
        download("http://127.0.0.1:9/c.pth", tmp_path, silent, pause_s=0)
    assert "\n" not in str(told.value)


def test_server_that_breaks_off_again_and_again(serve, tmp_path):
    server = serve()
    server.breaks, server.break_at = 1000, 0
    with pytest.raises(PastError, match=r"cannot be had from here.*goes on where it broke off"):
        download(f"{server.url}/c.pth", tmp_path, silent, pause_s=0)
    assert len(server.ranges) == ATTEMPTS


def test_folder_that_is_gone(serve, tmp_path):
    server = serve()
    with pytest.raises(CannotWrite, match="NAPARI_PAST_MODELS"):
        download(f"{server.url}/c.pth", tmp_path / "none", silent)


@pytest.fixture
def lacking(tmp_path, hollow, save_checkpoint):
    """A checkpoint of 16 MB that lacks one tensor: the hub's client goes on by 10 MB."""
    tensors = hollow(False)
    del tensors["temperature"]
    step = {"step": torch.zeros(4_000_000)}
    return save_checkpoint(tmp_path / "hollow.pth", tensors, optimizer=step)


def test_what_was_fetched_is_checked_before_it_is_used(serve, folder, lacking):
    server = serve(lacking.read_bytes())
    address = f"{server.url}/{PUBLISHED['past'].file}"
    with pytest.raises(BadModel, match=f"{'0' * 64} was expected"):
        fetch_model("past", address, sha256="0" * 64)
    assert list(folder.iterdir()) == []
    with pytest.raises(BadModel, match=r"1 missing \(temperature\)"):
        fetch_model("past", address, sha256=sha256_of(lacking))
    with pytest.raises(PastError, match="Nothing is fetched unchecked"):
        fetch_model("past", address)
    assert list(folder.iterdir()) == []
    with pytest.raises(BadModel, match=f"{'0' * 64} was expected"):
        fetch_model("past", str(lacking), sha256="0" * 64)
    with pytest.raises(BadModel, match="1 missing"):
        fetch_model("past", str(lacking), sha256=sha256_of(lacking).upper())


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_from_a_file(folder, tmp_path, hollow, save_checkpoint):
    file = save_checkpoint(tmp_path / "c.pth", hollow(True))
    fetched = fetch_model("past", str(file))
    assert fetched.checkpoint == file
    assert fetched.sha256 == sha256_of(file)
    assert fetched.model == folder / f"past-{fetched.sha256[:12]}.safetensors"
    assert load_model("past").path == str(fetched.model.resolve())


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("past-mini", {}, UnknownModel, "comes with the package"),
        ("past-maxi", {}, UnknownModel, "fetch one of past"),
        ("past", {"source": "/none.pth"}, PastError, "There is no file /none.pth"),
        ("past", {"sha256": "abc"}, PastError, "64 hex digits, but got 'abc'"),
    ],
)
def test_what_cannot_be_fetched(folder, name, options, error, message):
    with pytest.raises(error, match=message):
        fetch_model(name, **options)


def from_hub(tmp_path, endpoint):
    """What a process says that fetches from a hub, with a cache of its own."""
    code = (
        # The hub's client waits longer and longer between its attempts.
        "import time\ntime.sleep = lambda s: None\n"
        "from napari_past.errors import PastError\n"
        "from napari_past.model.fetch import fetch_model\n"
        "try:\n"
        "    fetch_model('past')\n"
        "except PastError as exc:\n"
        "    print(exc)\n"
    )
    env = os.environ | {
        "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "0",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env
    )
    assert done.stdout, done.stderr
    return done.stdout


def test_mirror_of_the_hub(serve, folder, tmp_path, lacking, monkeypatch):
    server = serve(lacking.read_bytes())
    server.tag = f'"{sha256_of(lacking)}"'
    server.breaks, server.break_at = 1, 12_000_000
    # As `from_hub`, but in this process, which has torch already.
    template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    hub = {
        "ENDPOINT": server.url, "HUGGINGFACE_CO_URL_TEMPLATE": template,
        "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": False,
    }  # fmt: skip
    for name, value in hub.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    monkeypatch.setattr("time.sleep", lambda s: None)
    with pytest.raises(BadModel, match=r"1 missing \(temperature\)"):
        fetch_model("past")
    assert any(asked not in (None, "bytes=0-") for asked in server.ranges)


def test_mirror_of_the_hub_with_another_file(serve, folder, tmp_path, lacking):
    server = serve(lacking.read_bytes())
    server.tag = f'"{"0" * 64}"'
    assert f"{'0' * 64} was expected" in from_hub(tmp_path, server.url)


def test_no_network(folder, tmp_path):
    told = from_hub(tmp_path, "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 cannot be reached from here" in told
    assert "--from FILE" in told
    assert told.count("\n") == 1
