"""What stands on the stage: the topics and the real worker as a child process, with a store, a key and a page of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from dataflows.broker import free_port
from dataflows.children import end, with_its_parent
from dataflows.demo.page import Page, get, scrape
from dataflows.demo.recording import Wire
from dataflows.interrupt import Interrupt
from dataflows.kafka_admin import create_missing
from dataflows.settings import Settings
from dataflows.settings_reader import load

PARTITIONS = 2  # of each input topic
IDLE = 2.0  # s: at 30 times real time a loop reports each second, so no partition counts as silent while the recording plays
READY = 300.0  # s that the worker may take to be ready: 2 on an idle machine, 50 where it compiles, more where others work
SOON = 6.0  # s after which somebody who waits is told what for
DRAINS = 30.0  # s that the worker may take to end when asked
TAIL = 12  # lines of the worker's log that are shown when it fails


class DemoError(Exception):
    """One sentence on why the demonstration cannot go on."""


@dataclass(frozen=True)
class Stage:
    settings: Settings
    topics: dict[Wire, str]
    url: str  # of the worker's pages
    log: Path
    worker: subprocess.Popen[bytes]
    interrupt: Interrupt

    def check(self) -> None:
        """Raises DemoError if the worker is gone."""
        if (code := self.worker.poll()) is not None:
            last = "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-TAIL:])
            raise DemoError(f"the worker ended with code {code}; the last it said:\n{last}")

    def page(self) -> Page:
        self.check()
        return scrape(self.url) or Page()

    def caught_up(self, page: Page, sent: int) -> bool:
        """Has the worker everything, and did it notice that no more comes?"""
        idle = page.values("partition_idle")
        return page.total("received_messages_total") >= sent and len(idle) == len(self.topics) * PARTITIONS and all(idle)

    def stop(self) -> int:
        """Let the worker drain; returns its exit code."""
        return end(self.worker, DRAINS)


@contextmanager
def stage(broker: str, directory: Path, interrupt: Interrupt) -> Iterator[Stage]:
    """Topics and a worker that is ready, on the broker at `broker`. Raises DemoError, BrokerError, SettingsError, and
    KeyboardInterrupt if asked to end before it is ready."""
    port, key = free_port(), directory / "pseudonym.key"
    key.touch(mode=0o600)
    key.write_text("the key of the demonstration")  # the order of reporters follows from it: the same alerts each time
    given: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap_servers": broker},
        "recovery": {"directory": directory / "recovery"},
        "privacy": {"key_file": key},
        "metrics": {"port": port, "host": "127.0.0.1"},
        "logs": {"format": "json"},
    }
    config = directory / "roadwatch.toml"
    standard = load().inputs.topics
    config.write_text(
        "".join(
            f'[[inputs.topics]]\ntopic = "{each.topic}"\nformat = "{each.format}"\nidle_after = {IDLE}\n' for each in standard
        )
    )
    settings = load(config, given)
    create_missing(settings, PARTITIONS, replication=1)
    flags = [f"--set={section}.{key}={value}" for section, keys in given.items() for key, value in keys.items()]
    log = directory / "worker.log"
    with log.open("wb") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "dataflows.cli", "run", "--config", str(config), *flags],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # Ctrl-C is for us; the worker is asked to drain
            preexec_fn=with_its_parent,
        )
    topics: dict[Wire, str] = {wire: each.topic for each in standard for wire in get_args(Wire) if wire == each.format}
    built = Stage(settings, topics, f"http://127.0.0.1:{port}", log, worker, interrupt)
    try:
        _wait_until_ready(built)
        yield built
    finally:
        built.stop()


def _wait_until_ready(built: Stage) -> None:
    started, said = time.monotonic(), False
    while get(f"{built.url}/readyz") is None:
        built.interrupt.check()
        built.check()
        waited = time.monotonic() - started
        if waited > SOON and not said:
            print("the worker starts; the first time on a machine it compiles its loops, which takes a minute", flush=True)
            said = True
        if waited > READY:
            raise DemoError(f"the worker was not ready within {READY:.0f} s; is the machine overloaded?")
        time.sleep(0.05)
