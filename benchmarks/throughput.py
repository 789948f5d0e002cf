"""Messages a second of the real graph with every detector on, beside the floor and beside stock Bytewax, in one run.

    python -m benchmarks.throughput [--minutes 5] [--copies 20] [--rounds 3] [--no-broker]

The messages are the bundled recording, copied side by side over the map until it is as dense as a city. All runs are
whole processes of their own on the same bytes, one after the other; a round runs each once, and medians are printed.
Results go to benchmarks/results/throughput.md with the commit.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import commit, versions
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.grid import Grid
from dataflows.intake import Intake
from dataflows.metrics import METRICS
from dataflows.settings import Settings, load
from detectors import CATALOGUE

RESULTS = Path(__file__).parent / "results" / "throughput.md"
RECORDING = Path(__file__).parents[1] / "dataflows" / "demo" / "recording"
APART = 0.3  # degrees of latitude between two copies: 33 km, so that no cell is shared

Measure = dict[str, float]


def city(minutes: float, copies: int) -> list[bytes]:
    """The recording's first minutes, `copies` times over the map with other ids, in the order of arrival."""
    from dataflows.demo.recording import observations

    first, made = None, []
    for line in observations():
        row = json.loads(line)
        first = first or row["rx"]
        if row["rx"] - first > minutes * 60_000:
            break
        made.append(line)
        for copy in range(1, copies):
            row["lat"] = round(row["lat"] + APART, 6)
            row["id"] = f"{copy:02x}{row['id'][2:]}"
            made.append(json.dumps(row, separators=(",", ":")).encode())
    return made


# -- what is measured: each takes the messages and answers with what it counted ------------------------------------------


def floor(messages: list[bytes], settings: Settings) -> Measure:
    """Only decode, and give each its cell: nobody can do with less."""
    decode, grid = FORMATS["observation"].decode, Grid(settings.window)
    context = Context(Pseudonym(b"key"), settings.window.max_ahead)
    for start in range(0, len(messages), 5000):
        batch = messages[start : start + 5000]
        rows = decode(batch, np.full(len(batch), -1, np.int64), context).observations
        grid.cells(rows["lat"], rows["lon"])
    return {}


def graph(messages: list[bytes], settings: Settings) -> Measure:
    """The real graph, every detector on, from memory; alerts go to a file."""
    from bytewax.testing import run_main

    from dataflows.incidents import flow

    started = time.process_time()
    run_main(flow(settings, _memory(messages, settings)))
    spent = {name: METRICS.value("detector_seconds_total", detector=name) for name in (d.__name__ for d in CATALOGUE)}
    decoding = METRICS.value("decode_seconds_sum", format="observation")
    return {"cpu": time.process_time() - started, "decode and shard": decoding} | spent


def stock(messages: list[bytes], settings: Settings) -> Measure:
    """The windowing alone, as the documentation of Bytewax shows it: one item a message, fold_window by cell.

    At its best: typed decoding, tumbling windows of 30 s (one window an item), and a system clock that stands still.
    """
    import bytewax.operators as op
    import bytewax.operators.windowing as win
    import h3.api.basic_int as h3
    from bytewax.dataflow import Dataflow
    from bytewax.testing import TestingSink, TestingSource, run_main

    from dataflows.formats.observation import Observation

    read, start = msgspec.json.Decoder(Observation).decode, datetime(2025, 1, 1, tzinfo=UTC)
    clock = win.EventClock(
        lambda o: datetime.fromtimestamp(o.ts / 1000, UTC),
        wait_for_system_duration=timedelta(seconds=2),
        now_getter=lambda: start,
    )
    windower = win.TumblingWindower(length=timedelta(seconds=30), align_to=start)

    def fold(sums: list[float], o: Any) -> list[float]:
        sums[0] += 1
        sums[1] += o.v
        sums[2] += o.ev
        return sums

    def merge(a: list[float], b: list[float]) -> list[float]:
        return [x + y for x, y in zip(a, b, strict=True)]

    out: list[Any] = []
    dataflow = Dataflow("stock")
    items = op.map("read", op.input("in", dataflow, TestingSource(messages, batch_size=5000)), read)
    keyed = op.key_on("cell", items, lambda o: str(h3.latlng_to_cell(o.lat, o.lon, 9)))
    folded = win.fold_window("fold", keyed, clock, windower, lambda: [0.0, 0.0, 0.0], fold, merge)
    op.output("out", folded.down, TestingSink(out))
    run_main(dataflow)
    return {"windows": len(out)}


RUNS: dict[str, Callable[[list[bytes], Settings], Measure]] = {
    "decode and cells only (the floor)": floor,
    "roadwatch, all detectors": graph,
    "stock Bytewax fold_window, windowing only": stock,
}


def _memory(messages: list[bytes], settings: Settings) -> Any:
    from dataflows.ends import Ends, PollSource
    from dataflows.replay import FilePartition, Nowhere

    grid = Grid(settings.window)

    class Memory(PollSource):
        partitions = ("memory/0",)

        def build_part(self, step_id: str, for_part: str, resume_state: Any) -> FilePartition:
            context = Context(Pseudonym(b"key"), settings.window.max_ahead)
            intake = Intake("memory", 0, FORMATS["observation"], context, grid, settings.window)
            return FilePartition(iter(messages), intake, settings.kafka.poll_messages)

    return Ends(grid, Memory(), Nowhere(), Nowhere(), Nowhere())


def _alone(run: Callable[[list[bytes], Settings], Measure], messages: list[bytes], say: Connection) -> None:
    settings = load(None, {"privacy": {"key": "bench"}})
    started = time.perf_counter()
    measure = run(messages, settings)
    say.send(measure | {"seconds": time.perf_counter() - started})


def measured(run: Callable[[list[bytes], Settings], Measure], messages: list[bytes]) -> Measure:
    """Run in a forked process of its own: nothing is left over from the run before."""
    fork = multiprocessing.get_context("fork")
    hear, say = fork.Pipe(duplex=False)
    process = fork.Process(target=_alone, args=(run, messages, say))
    process.start()
    say.close()
    result: Measure = hear.recv()
    process.join()
    return result


def table(title: str, messages: list[bytes], rounds: int) -> Iterator[tuple[str, list[Measure]]]:
    for name, run in RUNS.items():
        part = messages if run is not stock else messages[: len(messages) // 4]  # it is slow; its rate does not rise with more
        yield name, [measured(run, part) | {"messages": len(part)} for _ in range(rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    console = Console()
    lines = [f"# Throughput\n\n`make bench`, commit {commit()}, {versions()}, {platform.machine()}.\n"]
    for title, copies in (("One motorway (sparse)", 1), ("A city (dense)", asked.copies)):
        messages = city(asked.minutes * (4 if copies == 1 else 1), copies)
        density = len(messages) / (asked.minutes * (4 if copies == 1 else 1) * 60)
        shown = Table(title=f"{title}: {len(messages):,} messages, {density:,.0f} a second of event time")
        for column in ("", "k messages/s", "of the floor"):
            shown.add_column(column, justify="left" if not column else "right")
        lines.append(f"\n## {shown.title}\n\n| | k messages/s | of the floor |\n|---|---|---|")
        best = None
        for name, measures in table(title, messages, asked.rounds):
            rate = statistics.median(m["messages"] / m["seconds"] for m in measures)
            best = best or rate
            shown.add_row(name, f"{rate / 1000:.1f}", f"{rate / best:.0%}")
            lines.append(f"| {name} | {rate / 1000:.1f} | {rate / best:.0%} |")
            if "cpu" in measures[0]:
                middle = sorted(measures, key=lambda m: m["seconds"])[len(measures) // 2]
                where = {k: v for k, v in middle.items() if k not in ("seconds", "messages", "cpu")}
                where["engine, windows, the rest"] = middle["seconds"] - sum(where.values())
                parts = [f"{k} {v / middle['messages'] * 1e6:.2f}" for k, v in sorted(where.items(), key=lambda kv: -kv[1])]
        console.print(shown)
        console.print("microseconds a message:", ", ".join(parts), highlight=False)
        lines.append("\nMicroseconds a message: " + ", ".join(parts))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
