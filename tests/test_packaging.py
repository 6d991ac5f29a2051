"""What a user gets from the source archive and the wheel."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the source archive and the wheel that is built from it."""
    if given := os.environ.get("NAPARI_PAST_DIST"):
        return REPOSITORY / given
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def site(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel."""
    folder = tmp_path_factory.mktemp("site")
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_source_archive_holds_each_file_once(dist: Path) -> None:
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    links = {member.name.partition("/")[2]: member.linkname for member in members if member.issym()}
    assert links == {"src/napari_past/napari.yaml": "../../napari.yaml"}
    names = [member.name.partition("/")[2] for member in members]
    assert len(names) == len(set(names))
    assert {"napari.yaml", "LICENSE", "Makefile", "src/napari_past/napari.yaml"} <= set(names)
    assert not [name for name in names if name.startswith("src/past_training")]


def test_wheel_holds_only_the_two_packages(site: Path) -> None:
    names = {path.name for path in site.iterdir() if path.suffix != ".dist-info"}
    assert names == {"napari_past", "past_training"}


def test_wheel_holds_no_links(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert not [name for name, mode in modes.items() if stat.S_ISLNK(mode)]


def test_wheel_manifest_is_the_one_at_the_top(site: Path) -> None:
    manifest = site / "napari_past" / "napari.yaml"
    assert manifest.read_bytes() == (REPOSITORY / "napari.yaml").read_bytes()


def test_wheel_holds_every_source_model_table_and_recipe(site: Path) -> None:
    expected = set()
    for folder, inside in (
        (REPOSITORY / "src" / "napari_past", "napari_past"),
        (REPOSITORY / "training" / "past_training", "past_training"),
        (REPOSITORY / "training" / "recipes", "past_training/recipes"),
    ):
        files = (path for path in folder.rglob("*") if path.is_file())
        expected |= {f"{inside}/{path.relative_to(folder).as_posix()}" for path in files}
    expected = {name for name in expected if "__pycache__" not in name}
    held = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert "napari_past/py.typed" in expected
    assert expected <= held


def test_manifest_of_the_wheel_is_valid(site: Path, tmp_path: Path) -> None:
    validate = [sys.executable, "-m", "npe2", "validate", "napari_past"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        validate, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_recipes_are_no_top_level_name(site: Path, tmp_path: Path) -> None:
    for environment in (os.environ, {**os.environ, "PYTHONPATH": str(site)}):
        done = subprocess.run(
            [sys.executable, "-c", "import recipes"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "ModuleNotFoundError: No module named 'recipes'" in done.stderr
