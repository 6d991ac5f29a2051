"""Cards for the workers of a foreign scheduler: pure logic, no GPU is needed."""

from __future__ import annotations

from napari_past.engine.gpu_share import SeenGpus, shared_gpus

FOUR = ("0", "1", "2", "3")


def test_workers_of_one_machine_take_a_card_each():
    seen = {f"tcp://a:{port}": SeenGpus("a", FOUR, False) for port in (5, 6, 7, 8)}
    assert shared_gpus(seen) == {
        "tcp://a:5": "0",
        "tcp://a:6": "1",
        "tcp://a:7": "2",
        "tcp://a:8": "3",
    }


def test_more_workers_than_cards_are_spread_evenly():
    seen = {f"tcp://a:{port}": SeenGpus("a", ("x", "y"), False) for port in (1, 2, 3, 4)}
    assert sorted(shared_gpus(seen).values()) == ["x", "x", "y", "y"]


def test_machines_do_not_count_together():
    seen = {f"tcp://{host}:1": SeenGpus(host, FOUR, False) for host in "abc"}
    assert set(shared_gpus(seen).values()) == {"0"}


def test_what_was_chosen_stays_and_counts():
    seen = {
        "tcp://a:1": SeenGpus("a", ("0",), False),  # as SLURM or dask-cuda gives it
        "tcp://a:2": SeenGpus("a", ("1", "0"), True),  # began with its first
        "tcp://a:3": SeenGpus("a", ("0", "1", "2"), False),
        "tcp://a:4": SeenGpus("a", ("0", "1", "2"), False),
        "tcp://a:5": SeenGpus("a", (), False),  # none there
    }
    assert shared_gpus(seen) == {"tcp://a:3": "2", "tcp://a:4": "0"}


def test_a_worker_that_came_late_takes_the_emptiest():
    before = {f"tcp://a:{k}": SeenGpus("a", (card,), False) for k, card in enumerate("0012")}
    late = {**before, "tcp://a:9": SeenGpus("a", FOUR, False)}
    assert shared_gpus(late) == {"tcp://a:9": "3"}
