"""A start: it sends nobody after a fault that is none, is ready when all is begun, and if it fails it leaves nothing behind."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from socket import create_server
from typing import Any
from urllib.error import URLError

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, run_main

from dataflows import cli, cluster
from dataflows.broker import free_port
from dataflows.kafka_admin import create_missing
from dataflows.settings_reader import load
from tests import worker_settings
from tests.forked import Forked
from tests.living import PATIENCE, LivingWorker, broker_or_skip, kill, wait_for

STARTING = "The worker is starting: it reads no input partition yet."


def test_it_starts_for_as_long_as_it_waits_for_the_others(tmp_path: Path) -> None:
    with broker_or_skip() as broker:
        config = worker_settings.write(tmp_path / "roadwatch.toml", broker)
        create_missing(load(config), 2, 1)
        addresses = ";".join(f"127.0.0.1:{free_port()}" for _ in range(2))
        worker = LivingWorker(config, tmp_path / "log", "--process-id", "0", "--addresses", addresses)
        said = set[str]()

        def waits() -> bool:
            worker.check()
            with suppress(URLError):
                said.add(worker.problems())
            return "running" in worker.log.read_text()

        try:
            wait_for(waits, "it waits for the other one")
            for _ in range(20):
                waits()
        finally:
            kill(worker.child.pid)
        assert said == {STARTING}


class Parts(FixedPartitionedSource[int, int]):
    """Five partitions of three numbers each; notes what the engine does with them."""

    def __init__(self, done: list[str]) -> None:
        self.done = done

    def list_parts(self) -> list[str]:
        return [str(number) for number in range(5)]

    def build_part(self, *_: Any) -> StatefulSourcePartition[int, int]:
        self.done.append("begun")
        return Part(self.done)


class Part(StatefulSourcePartition[int, int]):
    def __init__(self, done: list[str]) -> None:
        self.done, self.left = done, [1, 2, 3]

    def next_batch(self) -> list[int]:
        self.done.append("polled")
        if not self.left:
            raise StopIteration
        return [self.left.pop()]

    def snapshot(self) -> int:
        return len(self.left)


def test_the_engine_begins_all_partitions_before_it_polls_one(tmp_path: Path) -> None:
    """By which /readyz knows that all are begun: at a first start, and at one that resumes."""
    init_db_dir(tmp_path, 2)
    for _ in range(2):
        done: list[str] = []
        graph = Dataflow("parts")
        op.output("out", op.input("in", graph, Parts(done)), TestingSink(list[int]()))
        run_main(graph, recovery_config=RecoveryConfig(tmp_path))
        assert done[:6] == ["begun"] * 5 + ["polled"]
        assert "begun" not in done[5:]


@pytest.mark.parametrize("why", ["no broker", "no topics", "no page", "no key"])
def test_a_start_that_fails_leaves_nothing_behind(why: str, tmp_path: Path) -> None:
    with broker_or_skip() as broker, create_server(("127.0.0.1", 0)) as taken:
        config = worker_settings.write(tmp_path / "roadwatch.toml", broker if why != "no broker" else "127.0.0.1:1")
        if why in ("no page", "no key"):
            create_missing(load(config), 2, 1)
        if why == "no key":
            (tmp_path / "key").touch()
            key = f'key_file = "{tmp_path}/key"'
            config.write_text(config.read_text().replace('key = "the key of the tests"', key))
        before = sorted(tmp_path.iterdir())
        port = taken.getsockname()[1] if why == "no page" else 0
        start = Forked("dataflows.cli", "run", "--config", str(config), f"--set=metrics.port={port}")
        assert start.wait(PATIENCE) == 1
    assert sorted(tmp_path.iterdir()) == before, start.communicate()[1].decode()


@pytest.mark.parametrize("there", [True, False])
def test_a_supervisor_makes_no_store_while_no_broker_answers(
    there: bool, broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves it to its processes to say so, which it starts again until one does."""
    config = worker_settings.write(tmp_path / "roadwatch.toml", broker if there else "127.0.0.1:1")
    create_missing(load(None, {"kafka": {"bootstrap_servers": broker}, "inputs": load(config).inputs}), 2, 1)
    supervised: list[int] = []
    monkeypatch.setattr(cluster, "supervise", lambda processes, _: supervised.append(processes))
    cli.run(processes=2, config=config)
    assert (supervised, (tmp_path / "recovery").exists()) == ([2], there)
