"""Every fault that is made to happen, and how it ends: runs the tests and writes the table.

python benchmarks/faults.py --out faults.md
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from common import report, table, told

from napari_past.errors import PastError

REPOSITORY = Path(__file__).resolve().parents[1]
SAME = "complete, equal to the byte"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    how: str
    """It is made to happen."""
    outcome: str
    test: str
    """The file below ``tests/`` and the test in it."""


RUN, FAULTS_, STORE = "engine/test_run.py", "engine/test_faults.py", "engine/test_store.py"
WORKERS, KILLED = "engine/test_workers.py", "reliability/test_killed.py"
FAULTS = (
    Fault("run killed in mid-tile", "SIGKILL as the third tile gets its name",
          f"two tiles stay; the next run is {SAME}", f"{RUN}::test_kill_in_mid_write"),
    Fault("run killed at its end", "SIGKILL as the table gets its name, in another time zone",
          f"the earlier table stays; the next run is {SAME}",
          f"{KILLED}::test_run_that_is_killed_at_its_end"),
    Fault("worker killed", "SIGKILL in mid-run", f"another is started; {SAME}",
          f"{WORKERS}::test_lost_worker_is_replaced_and_its_tiles_tried_again"),
    Fault("worker killed again and again", "a tile that ends every worker", "a sentence",
          f"{WORKERS}::test_tile_that_ends_every_worker_is_given_up"),
    Fault("viewer killed", "SIGKILL while workers run or start", "no process is left",
          f"{WORKERS}::test_workers_end_with_a_killed_viewer"),
    Fault("viewer killed while it saves", "SIGKILL as the notes get their name",
          "notes and painted mask of the save before, whole",
          f"{KILLED}::test_viewer_that_is_killed_while_it_saves"),
    Fault("worker, then scheduler of a cluster killed", "SIGKILL in mid-run",
          f"the other worker goes on; {SAME}; then a sentence",
          "engine/test_address.py::test_lost_workers_and_a_lost_scheduler"),
    Fault("two runs on one store", "at the same time", SAME,
          f"{WORKERS}::test_two_runs_at_once_share_a_store"),
    Fault("two runs into one folder", "at the same time", "each slide is done once",
          "cli/test_archive.py::test_two_runs_share_a_folder"),
    Fault("disk full", "a file system of 200 kB", f"a sentence, tiles stay; then {SAME}",
          f"{FAULTS_}::test_full_disk_keeps_what_is_finished"),
    Fault("disk full in an archive", "the error of the system", "that slide fails, others go on",
          "cli/test_archive.py::test_a_full_disk_is_told_and_the_rest_goes_on"),
    Fault("quota used up", "a limit to the size of files (ulimit -f)", "a sentence, tiles stay",
          f"{FAULTS_}::test_quota_keeps_what_is_finished"),
    Fault("folder read-only", "a place where nobody may write", "a sentence; results are read",
          f"{FAULTS_}::test_read_only_folder_of_results_is_a_sentence"),
    Fault("cache read-only", "permissions", "results are read", f"{STORE}::"
          "test_read_only_cache_can_be_read"),
    Fault("network disk fails for a while", "EIO, ESTALE, ETIMEDOUT, three times each",
          f"tried again; {SAME}", f"{FAULTS_}::test_network_disk_that_fails_for_a_while"),
    Fault("network disk fails for good", "ESTALE and EIO for ever",
          "a sentence; nothing is removed", f"{FAULTS_}::test_network_disk_that_fails_for_good"),
    Fault("slide's disk fails for a while", "EIO, ESTALE from the mount", "tried again; the pixels",
          "slide/test_local_faults.py::test_errors_of_a_mount_that_pass"),
    Fault("slide's disk fails for good", "EIO from the mount", "a sentence",
          "slide/test_local_faults.py::test_errors_of_a_mount_that_stay"),
    Fault("file of results cut while it is read", "truncated under the reader", "no signal",
          f"{FAULTS_}::test_file_that_shrinks_while_it_is_read"),
    Fault("tile of results damaged", "empty, cut, zeros, other shapes", f"computed anew; {SAME}",
          f"{RUN}::test_damaged_tile_is_computed_anew"),
    Fault("slide replaced, overwritten, cut or removed under the run", "after two of six tiles",
          f"a sentence, two tiles stay; with the slide back {SAME}",
          f"{FAULTS_}::test_slide_replaced_under_the_run"),
    Fault("slide overwritten within a tile", "between two reads", "the tile is not kept",
          f"{FAULTS_}::test_slide_changed_while_a_tile_was_read"),
    Fault("OME-Zarr written anew within a tile", "between two reads", "the tile is not kept",
          f"{FAULTS_}::test_folder_written_anew_while_a_tile_was_read"),
    Fault("slide touched", "its time set to 1970 in mid-run", SAME,
          f"{FAULTS_}::test_slide_that_is_touched_goes_on"),
    Fault("slide with unreadable tiles", "JPEG data of a tile zeroed",
          "listed, marked, tried again by the next run",
          f"{RUN}::test_unreadable_tile_is_marked_and_tried_again"),
    Fault("slide truncated", "at 1 to 99 % of the file", "a sentence, or the tiles that are lost",
          "slide/test_damage.py::test_truncated_files"),
    Fault("clock set", "a day back, an hour forward", "folders in use stay",
          f"{FAULTS_}::test_clock_that_is_set_takes_nobodys_folder"),
    Fault("times of files wrong", "1970 and 2096", SAME,
          f"{FAULTS_}::test_times_of_files_change_nothing"),
    Fault("GPU out of memory", "a tower that never finds room",
          "batches halve to one; a sentence, tiles stay",
          f"{FAULTS_}::test_gpu_without_memory_is_told"),
    Fault("memory used up", "MemoryError in a tile", "a sentence",
          f"{RUN}::test_tile_without_memory_is_told"),
    Fault("driver fails", "a CUDA error that nobody foresaw", "a sentence, tiles stay",
          f"{FAULTS_}::test_unforeseen_failure_of_a_driver_is_a_sentence"),
    Fault("listener fails", "an exception in the viewer's callback", "told; the queue goes on",
          f"{FAULTS_}::test_queue_survives_whoever_listens"),
    Fault("model file changed under the run", "another version is written", "a sentence",
          f"{RUN}::test_model_file_that_changed_meanwhile"),
    Fault("Ctrl-C", "in mid-run", "finished tiles stay",
          "cli/test_run.py::test_ctrl_c_keeps_finished_tiles"),
)  # fmt: skip


def outcomes(faults: tuple[Fault, ...]) -> dict[str, str]:
    """Test → "passed", "failed", or "skipped" (with how many cases), from one run of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "outcomes.xml"
        tests = [str(REPOSITORY / "tests" / fault.test) for fault in faults]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", f"--junitxml={xml}"]
        subprocess.run([*command, *dict.fromkeys(tests)], cwd=REPOSITORY, check=False)
        if not xml.is_file():
            raise PastError("pytest could not run the tests; install the extra `test` and repeat.")
        cases = ElementTree.parse(xml).getroot().iter("testcase")
        counts: dict[str, Counter[str]] = {}
        for case in cases:
            file = case.get("classname", "").removeprefix("tests.").replace(".", "/") + ".py"
            name = re.sub(r"\[.*", "", case.get("name", ""))
            kinds = {child.tag for child in case}
            bad = kinds & {"failure", "error"}
            kind = "failed" if bad else "skipped" if "skipped" in kinds else "passed"
            counts.setdefault(f"{file}::{name}", Counter())[kind] += 1
    return {
        test: ", ".join(f"{n} {kind}" for kind, n in sorted(count.items()))
        for test, count in counts.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", help="those whose name holds this text")
    parser.add_argument("--list", action="store_true", help="the table alone, nothing is run")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    faults = tuple(fault for fault in FAULTS if (options.only or "") in fault.name)
    if not faults:
        raise PastError(f"No fault's name holds {options.only!r}; see FAULTS in this file.")
    head = ["fault", "how it is made", "outcome", "test"]
    rows = [[fault.name, fault.how, fault.outcome, f"`{fault.test}`"] for fault in faults]
    if not options.list:
        found = outcomes(faults)
        head.append("cases")
        for fault, row in zip(faults, rows, strict=True):
            row.append(found.get(fault.test, "not run"))
    numbers = {"faults": [dict(zip(head, row, strict=True)) for row in rows]}
    report(options, table(head, rows), numbers)


if __name__ == "__main__":
    told(main)
