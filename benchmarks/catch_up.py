"""A backlog that lies unevenly on a topic, drained at full speed: the same alerts as unhurried, and in how much memory?

    python -m benchmarks.catch_up [--minutes 20] [--copies 20] [--share 0.5]

The bundled recording copied side by side lies on a topic of 8 partitions, of which the fullest has some 15 times as many
messages as the emptiest: read equally fast, each is soon at another time. The worker reads them from the beginning; its memory
is the process's highest. The unhurried run has the same messages from memory, a fifth of a second of traffic after the other
from all partitions, as if they were sent just now. A smaller backlog and one without `window.lead`, where everything that is
read too early is kept, show what the memory depends on. Results go to benchmarks/results/catch_up.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bytewax.inputs import StatefulSourcePartition
from bytewax.testing import run_main
from rich.console import Console

from benchmarks.live import stage
from benchmarks.live_traffic import VEHICLES
from benchmarks.load import city
from benchmarks.machine import commit, versions
from benchmarks.processes import PARTITIONS, fill
from benchmarks.table import Table
from dataflows.demo.page import scrape
from dataflows.ends import Ends, PollSource
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.grid import Grid
from dataflows.incidents import flow
from dataflows.intake import Intake, Poll
from dataflows.pace import Pace
from dataflows.replay import FileSink, Nowhere
from dataflows.secret_files import pseudonym_key
from dataflows.settings import Settings
from dataflows.settings_reader import load
from dataflows.tap import Reader
from tests.living import FreshWorker, wait_for

RESULTS = Path(__file__).parent / "results" / "catch_up.md"
SHARES = (0.30, 0.20, 0.16, 0.12, 0.09, 0.07, 0.04, 0.02)  # of the vehicles, by partition
STEP = 200  # ms of traffic between two looks of the unhurried run
LOOK = 0.05  # s between two looks at the metrics page
FOREVER = 10**9  # ms of lead: nobody ever waits

console = Console()


class Drained(NamedTuple):
    seconds: float
    peak: float  # MB
    ahead: float  # most partitions that waited for the slowest at once
    alerts: list[bytes]


def deal(messages: Sequence[bytes]) -> list[list[bytes]]:
    """By vehicle, as a producer with the id for a key would, if ids were that uneven."""
    ends, dealt = np.cumsum(SHARES), list[list[bytes]]([] for _ in SHARES)
    for message in messages:
        name = json.loads(message)["id"].encode()
        dealt[min(int(np.searchsorted(ends, zlib.crc32(name) / 2**32, "right")), PARTITIONS - 1)].append(message)
    return [sorted(part, key=lambda message: (json.loads(message)["rx"], message)) for part in dealt]  # as `fill` sends them


class _Partition(StatefulSourcePartition[Poll, bytes]):
    """What has arrived by the common clock, which goes on when everybody has taken it."""

    def __init__(self, source: Unhurried, number: int, intake: Intake) -> None:
        self._source, self._number, self._intake = source, number, intake
        self._arrivals = source.arrivals[number]
        self._offset = 0

    def next_batch(self) -> list[Poll]:
        now = self._source.clock(self._number)
        start, self._offset = self._offset, int(np.searchsorted(self._arrivals, now, "right"))
        if start == self._offset:
            if start < len(self._arrivals):
                return []
            if self._number in self._source.ended:
                raise StopIteration
            self._source.ended.add(self._number)
            return [self._intake.rest(ended=True)]
        batch = self._source.dealt[self._number][start : self._offset]
        return [self._intake.take(batch, self._arrivals[start : self._offset], range(start, self._offset))]

    def snapshot(self) -> bytes:
        return b""


class Unhurried(PollSource):
    partitions = tuple(f"{VEHICLES}/{number}" for number in range(PARTITIONS))

    def __init__(self, dealt: list[list[bytes]], settings: Settings, grid: Grid) -> None:
        self.dealt, self._settings, self._grid = dealt, settings, grid
        self.pace = Pace(self.partitions, settings.window)
        self.arrivals = [np.array([json.loads(message)["rx"] for message in part]) for part in dealt]
        self.ended: set[int] = set()
        self._now, self._asked = min(int(part[0]) for part in self.arrivals), set[int]()

    def clock(self, number: int) -> int:
        if number in self._asked or len(self._asked | self.ended) == PARTITIONS:
            self._asked.clear()
            self._now += STEP
        self._asked.add(number)
        return self._now

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _Partition:
        number = self.partitions.index(for_part)
        context = Context(Pseudonym(pseudonym_key(self._settings)), self._settings.window.max_ahead)
        intake = Intake(VEHICLES, number, FORMATS["observation"], context, self._grid, self._settings.window)
        return _Partition(self, number, intake)


def unhurried(dealt: list[list[bytes]], settings: Settings) -> list[bytes]:
    grid = Grid(settings.window)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "alerts.jsonl"
        out.write_bytes(b"")  # the graph makes no file where it has nothing to say
        alerts = FileSink(out, settings.outputs.alerts)
        run_main(flow(settings, Ends(grid, Unhurried(dealt, settings, grid), alerts, Nowhere(), Nowhere())))
        return sorted(out.read_bytes().splitlines())


def drained(config: Path, log: Path, settings: Settings, count: int) -> Drained:
    with FreshWorker(config, log) as worker:
        began = ended = ahead = 0.0

        def idle() -> bool:
            nonlocal began, ended, ahead
            worker.check()
            page = scrape(worker.url)
            if page is None:
                return False
            read, now = page.total("received_messages_total"), time.perf_counter()
            began = began or (now if read else 0.0)
            ended = ended or (now if read >= count else 0.0)
            ahead = max(ahead, page.total("partition_ahead"))
            return page.values("partition_idle") == [1.0] * PARTITIONS

        wait_for(idle, "the backlog is read", 900.0)
        status = Path(f"/proc/{worker.child.pid}/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) / 1000
        worker.stop()
    with Reader(settings, settings.outputs.alerts) as reader:
        alerts: list[bytes] = []
        while got := reader.read(1.0):
            alerts += [message.value or b"" for message in got]
    return Drained(ended - began, peak, ahead, sorted(alerts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.5, help="of the minutes, for the smaller backlog")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    made = Table("A backlog on 8 partitions", (
        "messages", "window.lead, ms", "s", "k messages/s", "peak MB", "most that waited at once", "alerts", "as unhurried"
    ))  # fmt: skip
    lead = load().window.lead
    for minutes, wait in ((asked.minutes * asked.share, lead), (asked.minutes, lead), (asked.minutes, FOREVER)):
        dealt = deal(city(minutes, asked.copies))
        count = sum(map(len, dealt))
        console.print(f"{count:,} messages, {min(map(len, dealt)):,} to {max(map(len, dealt)):,} a partition, lead {wait} ms")
        with stage() as scene:
            config, _ = scene.settings("backlog", {VEHICLES: "observation"}, PARTITIONS)
            config.write_text(f"{config.read_text()}\n[window]\nlead = {wait}\n")
            settings = load(config)
            fill(scene.broker, dealt)
            found = drained(config, scene.folder / "worker.log", settings, count)
        same = found.alerts == unhurried(dealt, settings)
        made.rows.append((
            f"{count:,}", f"{wait:,}", f"{found.seconds:.1f}", f"{count / found.seconds / 1000:.1f}", f"{found.peak:.0f}",
            f"{found.ahead:.0f}", str(len(found.alerts)), "byte for byte" if same else "NO",
        ))  # fmt: skip
        console.print(made.rich())
    asked.out.write_text(
        f"# Catching up\n\n`python -m benchmarks.catch_up {' '.join(sys.argv[1:])}` at commit {commit()}; {versions()}.\n\n"
        + made.markdown()
    )


if __name__ == "__main__":
    main()
