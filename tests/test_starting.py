"""A process of a cluster that is alone so far is starting: it is not ready, and sends nobody after a fault that is none."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from urllib.error import URLError

from dataflows.broker import free_port
from dataflows.kafka_admin import create_missing
from dataflows.settings_reader import load
from tests import worker_settings
from tests.living import LivingWorker, broker_or_skip, kill, wait_for

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
