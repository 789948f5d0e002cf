"""A stage for benchmarks of the real worker: an embedded broker, topics, a settings file, and what CPU each side of it took."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from dataflows.broker import embedded_broker
from dataflows.kafka_admin import create_missing
from dataflows.settings import Settings
from dataflows.settings_reader import load
from tests import real_kafka

TICKS = os.sysconf("SC_CLK_TCK")  # of the kernel, a second


@dataclass(frozen=True)
class Stage:
    folder: Path
    broker: str  # host:port
    broker_pid: int

    def settings(
        self, name: str, topics: Mapping[str, str], partitions: int, outputs: str = "", reads: Sequence[int] = ()
    ) -> tuple[Path, Settings]:
        """A settings file called `name` with a store of its own, and its topics (topic -> format) made.

        `outputs` goes in front of the names of the output topics, so that runs do not mix; `reads` are the partitions that are
        read, if not all.
        """
        some = f"partitions = {list(reads)}\n" if reads else ""
        config = self.folder / f"{name}.toml"
        names = ("alerts", "incidents", "cells", "dead_letters")
        lines = [
            f'kafka = {{bootstrap_servers = "{self.broker}"}}',
            'privacy = {key = "the key of the benchmarks"}',
            f'recovery = {{directory = "{self.folder / name}"}}',
            'logs = {format = "json"}',
            *(["[outputs]", *(f'{each} = "{outputs}{each}"' for each in names)] if outputs else []),
            *(
                f'[[inputs.topics]]\ntopic = "{topic}"\nformat = "{form}"\n{_idle(form)}{some}'
                for topic, form in topics.items()
            ),
        ]
        config.write_text("\n".join(lines))
        settings = load(config)
        create_missing(settings, partitions, replication=1)
        return config, settings


def _idle(form: str) -> str:
    """Its `idle_after` as it is by default."""
    return next(f"idle_after = {each.idle_after}\n" for each in load().inputs.topics if each.format == form)


@contextmanager
def stage() -> Iterator[Stage]:
    """With the embedded broker, or with a real Kafka where KAFKA_JARS says where its jars are."""
    with TemporaryDirectory() as folder:
        before = set(children(os.getpid()))
        with _broker(Path(folder)) as address:
            (pid,) = set(children(os.getpid())) - before
            yield Stage(Path(folder), address, pid)


@contextmanager
def _broker(folder: Path) -> Iterator[str]:
    if real_kafka.wanted() is None:
        with embedded_broker() as address:
            yield address
    else:
        with real_kafka.real_kafka(folder) as kafka:
            yield kafka.address


def name_of_broker() -> str:
    return "the embedded broker" if real_kafka.wanted() is None else "Apache Kafka"


def children(pid: int) -> list[int]:
    return [int(each) for task in Path(f"/proc/{pid}/task").iterdir() for each in (task / "children").read_text().split()]


def cpu(pids: Sequence[int]) -> float:
    """Seconds of CPU that these processes have taken so far. Linux only."""
    return sum(sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])) for pid in pids) / TICKS


def everybody() -> float:
    """Seconds of CPU that all processes of the machine have taken so far, ours or not."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / TICKS
