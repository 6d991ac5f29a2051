"""A small sample of what benchmarks/fuzz.py does with thousands of files."""

from __future__ import annotations

import sys

import numpy as np
import pytest

SAMPLE = {
    "slide (TIFF)": 14,
    "slide (OME-Zarr)": 6,
    "cells (GeoJSON)": 9,
    "regions (GeoJSON)": 6,
    "cells (CSV)": 6,
    "cells (h5ad)": 6,
    "labels (TIFF, PNG)": 4,
    "mask": 4,
    "validation file": 3,
    "calibration file": 3,
    "landmarks": 3,
    "markers": 3,
}
"""Kinds that need no torch, and how many files of each."""


@pytest.fixture
def quiet_models(tmp_path, monkeypatch) -> None:
    for name in ("CACHE", "DATA_HOME", "MODELS"):
        monkeypatch.setenv(f"NAPARI_PAST_{name}", str(tmp_path / name))


@pytest.mark.parametrize("kind", SAMPLE)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_or_told(kind, tmp_path, on_benchmarks_path, quiet_models) -> None:
    from fuzz_readers import READERS
    from fuzz_seeds import write_seeds
    from mutations import copied, mutate

    from napari_past.errors import PastError

    sound = write_seeds(kind, tmp_path / "sound")
    for path in sound:
        READERS[kind](path)  # else every damaged one would be told
    for k in range(SAMPLE[kind]):
        rng = np.random.default_rng([4, k])
        path = copied(sound[k % len(sound)], tmp_path / sound[k % len(sound)].name)
        what = mutate(path, rng)
        told = ""
        try:
            READERS[kind](path)
        except PastError as exc:
            told = str(exc).strip()
        except Exception as exc:
            exc.add_note(what)
            raise
        assert "\n" not in told, what


CODE = (
    "checkpoint, os.mkdir in an entry",
    "checkpoint, legacy, tensor",
    "checkpoint calls builtins.eval",
    "Cellpose's .npy with code",
    "zarr, texts packed by pickle",
    "zarr, texts filtered by pickle",
    "Parquet, pickled type",
    "card names hf-hub:…",
)


@pytest.mark.parametrize("name", CODE)
@pytest.mark.filterwarnings("ignore")
def test_no_code_of_a_file_is_run(name, tmp_path, on_benchmarks_path, quiet_models) -> None:
    import hostile_files
    from fuzz_readers import READERS

    from napari_past.errors import PastError

    kind, file, write = hostile_files.CODE[name]
    write(tmp_path / file, tmp_path / "ran")
    told = ""
    try:
        READERS[kind](tmp_path / file)
    except PastError as exc:
        told = str(exc)
    assert not (tmp_path / "ran").exists()
    assert told or name == "Parquet, pickled type"


BOMBS = (
    "5·10^6 open brackets, regions",
    "TIFF of 4·10^12 px without tiles",
    "zarr of 10^18 px",
    "bank, vectors of 51 GB",
    "AnnData, 10^9 positions",
    "safetensors, tensor of 2^62",
)
"""Those that are written in no time."""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by /proc")
@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.filterwarnings("ignore")
def test_small_files_take_no_gigabytes(name, tmp_path, on_benchmarks_path, quiet_models) -> None:
    import hostile_files
    from fuzz_readers import TOLD, Watch, outcome_of

    kind, file, write = hostile_files.BOMBS[name]
    write(tmp_path / file, tmp_path / "ran")
    outcome = outcome_of(kind, tmp_path / file, Watch())
    assert outcome.outcome == TOLD, outcome
