"""What the benchmarks run on and in: a city's worth of the bundled recording, and a process of its own for every run."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from dataflows import heap
from dataflows.formats import FORMATS
from dataflows.recorded import messages
from dataflows.rehearsal import rehearse
from dataflows.settings import Settings
from dataflows.settings_reader import load

RECORDING = Path(__file__).parents[1] / "dataflows" / "demo" / "recording" / "observations.jsonl.zst"
APART = 0.011  # degrees of latitude between two copies: 1.2 km, so a city of parallel motorways

Measure = dict[str, float]
Run = Callable[[list[bytes], Settings], Measure]


def city(minutes: float, copies: int, apart: float = APART, begin: float = 0.0) -> list[bytes]:
    """The recording's minutes from `begin` on, `copies` times side by side, `apart` degrees, with other ids, as they came."""
    first, made = None, []
    for line in messages(RECORDING, FORMATS["observation"]):
        row = json.loads(line)
        first = first or row["rx"]
        if row["rx"] - first > minutes * 60_000:
            break
        if row["rx"] - first < begin * 60_000:
            continue
        made.append(line)
        name = row["id"][2:]
        for copy in range(1, copies):
            row["lat"] = round(row["lat"] + apart, 6)
            row["id"] = f"{copy:02x}{name}"
            made.append(json.dumps(row, separators=(",", ":")).encode())
    return made


def measured(run: Run, given: list[bytes], **flags: dict[str, object]) -> Measure:
    """Run in a forked process, so that nothing is left over from the run before; adds seconds and CPU seconds."""
    fork = multiprocessing.get_context("fork")
    hear, say = fork.Pipe(duplex=False)
    process = fork.Process(target=_alone, args=(run, given, flags, say))
    process.start()
    say.close()
    result: Measure = hear.recv()
    process.join()
    return result


def _alone(run: Run, given: list[bytes], flags: dict[str, object], say: Connection) -> None:
    settings = load(None, {"privacy": {"key": "bench"}} | flags)
    rehearse(settings.window)  # as a worker does before its first message, and
    heap.settle()
    for _ in given:
        pass  # a forked process copies a page when it first writes to it, if only to count a reference: 6 us a long message
    started, spent = time.perf_counter(), time.process_time()
    measure = run(given, settings)
    whole = {"messages": len(given), "seconds": time.perf_counter() - started, "cpu": time.process_time() - spent}
    say.send(whole | measure)
