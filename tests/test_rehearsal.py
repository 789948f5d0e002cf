"""After a rehearsal no compiled loop is left to be made, and nobody has heard of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dataflows.kafka_admin import create_missing
from dataflows.settings_reader import load
from tests import worker_settings
from tests.living import PATIENCE, broker_or_skip

COUNT = """
import sys, numba
from dataclasses import replace
from dataflows.metrics import METRICS
from dataflows.rehearsal import rehearse
from dataflows.settings import Window
from tests.road import drive, frames
from tests.simulation import calm, inputs
from detectors import CATALOGUE
counts = lambda: [line for line in METRICS.page().splitlines() if line.startswith(b"roadwatch_") and b"_total" in line]
before = counts()
rehearse(Window())
assert counts() == before
loops = {id(each): each for name in list(sys.modules) if name.startswith(("detectors", "dataflows"))
         for each in vars(sys.modules[name]).values() if isinstance(each, numba.core.dispatcher.Dispatcher)}.values()
compiled = {f"{each.__module__}.{each.__name__}": len(each.signatures) for each in loops}
rehearse(Window(), (0, 10**9), 10**9)
assert calm(inputs())
(first,) = frames(drive(1, 0.0, 1, 0.0, 0.0, 0.0, 20.0))  # a row alone is of another type than a view of several
for detector in [kind() for kind in CATALOGUE]:
    detector.update(first)
    for later in range(1000, 130_000, 1000):
        detector.update(replace(first, start=first.start + later, end=first.end + later, observations=first.observations[:0]))
errors = [line for line in METRICS.page().splitlines() if line.startswith(b"roadwatch_detector_errors_total{")]
assert all(line.endswith(b" 0.0") for line in errors), errors
print(*(f"{name}:{count}" for name, count in compiled.items()))
print(*(f"{each.__module__}.{each.__name__}" for each in loops
        if len(each.signatures) > compiled[f"{each.__module__}.{each.__name__}"]))
"""

STOPPED = """
import os, signal, threading
from dataflows import cli, worker

def rehearse(_):
    print(*(thread.name for thread in threading.enumerate()), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

worker.rehearse = rehearse
cli.main()
"""


def test_a_signal_that_comes_while_it_rehearses_is_heard(tmp_path: Path) -> None:
    """As process 1 of a container it would be ignored otherwise, and elsewhere the worker would die of it."""
    with broker_or_skip() as broker:
        config = worker_settings.write(tmp_path / "roadwatch.toml", broker)
        create_missing(load(config), 1, 1)
        order = [sys.executable, "-c", STOPPED, "run", "--config", str(config), "--set=metrics.enabled=false"]
        ended = subprocess.run(order, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "stopping: draining" in ended.stderr + ended.stdout
    assert "roadwatch-clock" in ended.stdout, "nobody looks whether the clock is set back"


def test_a_rehearsal_compiles_all_that_a_whole_recording_needs() -> None:
    """And the flow's. What is called later, or with other types of arguments, would be compiled in the middle of a pane."""
    child = subprocess.run(
        [sys.executable, "-c", COUNT], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    compiled, later = child.stdout.splitlines()[-2:]
    times = dict(each.split(":") for each in compiled.split())
    assert len(times) > 5
    assert "failed in its rehearsal" not in child.stdout + child.stderr
    assert not later
