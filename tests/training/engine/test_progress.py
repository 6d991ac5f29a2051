"""Tables that survive a kill, and a bar that stays silent in a file."""

from __future__ import annotations

from past_training.engine.progress import Progress, Table


def test_a_resumed_table_drops_what_will_be_written_again(tmp_path):
    path = tmp_path / "t.csv"
    table = Table(path, ["loss"], None)
    for step in (10, 20, 30):
        table.add(step, {"loss": step / 100})
    path.write_text(path.read_text() + "4", encoding="utf-8")
    again = Table(path, ["loss"], 20)
    again.add(30, {"loss": 0.5})
    assert path.read_text().splitlines() == ["step,loss", "10,0.1", "20,0.2", "30,0.5"]


def test_a_new_run_starts_its_table_anew(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("old")
    Table(path, ["loss"], None)
    assert path.read_text().splitlines() == ["step,loss"]


def test_other_processes_write_nothing(tmp_path, capsys):
    progress = Progress(tmp_path, ["expression"], 10, None, shown=False)
    progress.stepped()
    progress.log_steps(1, {"loss": 1.0, "cells_per_s": 2.0})
    progress.log_validation(1, {"loss": 1.0})
    progress.close()
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == ""


def test_no_bar_in_a_file(tmp_path, capsys):
    progress = Progress(tmp_path, [], 10, None, shown=True)
    progress.stepped()
    progress.close()
    assert capsys.readouterr().err == ""
