"""The promise of determinism: one input, one set of alert bytes, however it is batched, stalled, killed, resumed or spread."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import traffic
from tests.faulty import Order, alerts, child, stranger
from tests.living import Process

KILLED = -9


class Stage:
    """One recording and the runs over it, each in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = traffic.files(folder)
        self.out = folder / "alerts.jsonl"
        self.recovery = str(folder / "recovery")

    def run(self, processes: int = 1, start: Callable[[Order], Process] = child, **more: object) -> list[int]:
        """Run to its end, orderly or not; the exit codes."""
        addresses = _free_addresses(processes) if processes > 1 else None
        orders = [
            Order(
                self.files,
                str(self.out),
                process_id=number if addresses else None,
                addresses=addresses,
                **more,  # type: ignore[arg-type]
            )
            for number in range(processes)
        ]
        children = [start(order) for order in orders]
        outputs = [each.communicate()[0] for each in children]
        codes = [each.returncode for each in children]
        assert KILLED in codes or set(codes) == {0}, outputs  # when one is killed, the other dies of it
        return codes

    def recovering(self, processes: int = 1, **more: object) -> list[int]:
        return self.run(processes, recovery=self.recovery, batch=500, **more)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    stage = Stage(tmp_path_factory.mktemp("calm"))
    assert stage.run(start=stranger) == [0]  # what depended on the order of hashes would differ from all that follows
    return alerts(stage.out)


def test_the_calm_run_finds_something_of_every_path(calm: list[bytes]) -> None:
    found = b"".join(calm)
    for kind in (b"accident", b"battery_anomaly", b"visibility"):
        assert b'"kind":"' + kind in found
    assert len(set(calm)) == len(calm)


@pytest.mark.parametrize("batch", [137, 5000])
def test_batch_size(batch: int, stage: Stage, calm: list[bytes]) -> None:
    stage.run(batch=batch)
    assert alerts(stage.out) == calm


def test_stalls(stage: Stage, calm: list[bytes]) -> None:
    stage.run(batch=300, stalls=0.4, seed=7)
    assert alerts(stage.out) == calm


def test_two_processes(stage: Stage, calm: list[bytes]) -> None:
    assert stage.run(processes=2) == [0, 0]
    assert alerts(stage.out) == calm


def test_drained_and_resumed(stage: Stage, calm: list[bytes]) -> None:
    assert stage.recovering(drain_at=9, stalls=0.2) == [0]
    before = alerts(stage.out)
    assert set(before) < set(calm)  # a drain invents nothing
    stage.recovering()
    assert alerts(stage.out) == calm


@pytest.mark.parametrize("poll", [2, 9, 17])
def test_killed_and_resumed(poll: int, stage: Stage, calm: list[bytes]) -> None:
    assert stage.recovering(kill_at=poll) == [KILLED]
    stage.recovering()
    assert alerts(stage.out) == calm


def test_one_process_then_two_then_one(stage: Stage, calm: list[bytes]) -> None:
    assert stage.recovering(drain_at=6) == [0]
    assert KILLED in stage.recovering(processes=2, kill_at=8)
    stage.recovering()
    assert alerts(stage.out) == calm


def _free_addresses(count: int) -> list[str]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in held]
    for each in held:
        each.close()
    return addresses
