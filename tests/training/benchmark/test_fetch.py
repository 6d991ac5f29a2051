"""Tasks from a hub, which is a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_past.errors import PastError
from past_training.benchmark.fetch import fetch_tasks

COMMIT = "c0ffee" + "0" * 34
REPOSITORY = "lab/bench"
FILES = {
    "A/var_50genes.json": b'{"genes": ["EPCAM"]}',
    "A/splits/test_0.csv": b"sample_id\n",
    "B/var_50genes.json": b'{"genes": ["VIM"]}',
    "fm_v1/weights.bin": b"large",
}


class Hub(http.server.BaseHTTPRequestHandler):
    """One dataset, as the hub's client asks for it."""

    status = 200

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = self.path.partition("?")[0]
        info = f"/api/datasets/{REPOSITORY}"
        resolve = f"/datasets/{REPOSITORY}/resolve/{COMMIT}/"
        if self.server.refusal is not None:
            status, code = self.server.refusal
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == info or path.startswith(f"{info}/revision/"):
            siblings = [{"rfilename": name} for name in FILES]
            self.body({"id": REPOSITORY, "sha": COMMIT, "siblings": siblings})
        elif path.startswith(f"{info}/tree/"):
            self.body([self.entry(name) for name in FILES])
        elif path.startswith(resolve) and path.removeprefix(resolve) in FILES:
            name = path.removeprefix(resolve)
            self.server.given.add(name)
            self.body(
                FILES[name], {"ETag": f'"{self.entry(name)["oid"]}"', "X-Repo-Commit": COMMIT}
            )
        else:
            self.send_error(404)

    def entry(self, name: str) -> dict[str, object]:
        digest = hashlib.sha1(FILES[name]).hexdigest()
        return {"type": "file", "path": name, "size": len(FILES[name]), "oid": digest}

    def body(self, content: object, headers: dict[str, str] | None = None) -> None:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.refusal, server.given = None, set()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def address(hub) -> str:
    return f"http://127.0.0.1:{hub.server_port}"


def files_in(folder: Path) -> dict[str, bytes]:
    found = (p for p in folder.rglob("*") if p.is_file() and ".cache" not in p.parts)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


def test_only_the_tasks_that_were_asked_for_are_fetched(hub, tmp_path):
    assert fetch_tasks(tmp_path / "data", ["A"], REPOSITORY, address(hub)) == COMMIT
    assert files_in(tmp_path / "data") == {n: c for n, c in FILES.items() if n.startswith("A/")}
    assert hub.given == set(files_in(tmp_path / "data"))


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (403, "GatedRepo", "accepted its terms: do so on http://.*/datasets/lab/bench"),
        (404, "RepoNotFound", "shows no dataset lab/bench"),
        (418, "", "did not give lab/bench"),
    ],
)
def test_what_the_hub_refuses_is_told_in_one_sentence(hub, tmp_path, status, code, told):
    hub.refusal = status, code
    with pytest.raises(PastError, match=told) as caught:
        fetch_tasks(tmp_path, ["A"], REPOSITORY, address(hub))
    assert "\n" not in str(caught.value)


def test_a_hub_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda s: None)
    (tmp_path / "A").mkdir()
    with pytest.raises(PastError, match=r"http://127\.0\.0\.1:9 cannot be reached from here"):
        fetch_tasks(tmp_path, ["A"], REPOSITORY, "http://127.0.0.1:9")
