"""After a rehearsal no compiled loop is left to be made, and nobody has heard of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COUNT = """
import sys, numba
from dataflows.metrics import METRICS
from dataflows.rehearsal import rehearse
from dataflows.settings import Window
counts = lambda: [line for line in METRICS.page().splitlines() if line.startswith(b"roadwatch_") and b"_total" in line]
before = counts()
rehearse(Window())
assert counts() == before
loops = {id(each): each for name in list(sys.modules) if name.startswith(("detectors", "dataflows"))
         for each in vars(sys.modules[name]).values() if isinstance(each, numba.core.dispatcher.Dispatcher)}.values()
compiled = {f"{each.__module__}.{each.__name__}": len(each.signatures) for each in loops}
rehearse(Window(), (0, 10**9), 10**9)
print(*(f"{name}:{count}" for name, count in compiled.items()))
print(*(f"{each.__module__}.{each.__name__}" for each in loops
        if len(each.signatures) > compiled[f"{each.__module__}.{each.__name__}"]))
"""


def test_a_rehearsal_compiles_all_that_a_whole_recording_needs() -> None:
    """What is called later, or with other types of arguments, would be compiled in the middle of a pane."""
    child = subprocess.run(
        [sys.executable, "-c", COUNT], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    compiled, later = child.stdout.splitlines()[-2:]
    times = dict(each.split(":") for each in compiled.split())
    assert len(times) > 5
    assert not later
