"""Hostile input in bulk: coverage-guided fuzzing of every decoder, the dearest messages by name, and Hypothesis for long.

    python -m tests.fuzz [--runs 1000000] [--seed 1] [--format NAME] [--message FILE]

Every message goes through a partition's way in, as from Kafka. It fails on a crash, on a message that is neither accepted nor
refused, and on one that takes more than 50 ms of this thread's time and does so again alone. Runs of the same seed are the
same. Atheris is no dependency of roadwatch: `make fuzz` puts it into an environment of its own.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Decoded, Pseudonym
from dataflows.grid import Grid
from dataflows.intake import Intake
from dataflows.settings import Window
from tests import hostile
from tests.cases import CASES

LIMIT = 0.050  # s of thread time for one message
TRIES = 5  # of a message that seemed slow: a collection of garbage, or a neighbour on the machine, is not its fault
ROOT = Path(__file__).parents[1]
EXAMPLES = re.compile(r"- (\d+) passing, ")


class WrongError(Exception):
    """What is wrong with one message."""


class Entrance:
    """One partition's way in, one message at a time, with what it made of them."""

    def __init__(self, name: str) -> None:
        form, self.decoded = FORMATS[name], Decoded()

        def decode(*given: Any) -> Decoded:
            self.decoded = form.decode(*given)
            return self.decoded

        context = Context(Pseudonym(b"a key for the tests"))
        self.intake = Intake(name, 0, replace(form, decode=decode), context, Grid(Window()), Window())
        self.single = name not in ("gbt32960", "sensor", "ydt3709")  # one record a message
        self.accepted = self.refused = 0
        self.slowest = 0.0

    def take(self, message: bytes, arrival: int) -> float:
        """Seconds of thread time; WrongError if it did not do what it must."""
        started = time.thread_time()
        poll = self.intake.take([message], np.array([arrival]), [7])
        spent = time.thread_time() - started
        decoded = self.decoded
        rows = len(decoded.observations) + len(decoded.sensors) + len(decoded.readings) + len(decoded.notices)
        if bool(decoded.refusals) != (len(poll.dead) == 1):
            raise WrongError(f"{len(decoded.refusals)} refusals made {len(poll.dead)} dead letters")
        if decoded.records < 1 or (self.single and decoded.records != 1):
            raise WrongError(f"{rows} rows, {len(decoded.refusals)} refusals, {decoded.recognised.total()} recognised")
        return spent

    def judge(self, message: bytes, arrival: int) -> None:
        spent = self.take(message, arrival)
        if spent > LIMIT:
            spent = min(self.take(message, arrival) for _ in range(TRIES))
            if spent > LIMIT:
                raise WrongError(f"it took {1000 * spent:.0f} ms, more than {1000 * LIMIT:.0f}")
        self.slowest = max(self.slowest, spent)
        self.accepted += not self.decoded.refusals
        self.refused += bool(self.decoded.refusals)


def arrival_of(message: bytes) -> int:
    """Told by the message alone, so that it can be tried again."""
    return hostile.ARRIVALS[zlib.crc32(message) % len(hostile.ARRIVALS)]


def by_name() -> None:
    """The cases of tests/malformed and the dearest messages, alone."""
    named = [(case.format, case.name, case.message, case.arrival) for case in CASES]
    named += [(*each, -1) for each in hostile.dearest()]
    slowest: dict[str, tuple[float, str]] = {}
    for name, what, message, arrival in named:
        entrance = Entrance(name)
        try:
            entrance.judge(message, arrival)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the finding
            sys.exit(f"{name}: {what}: {error!r}")
        slowest[name] = max(slowest.get(name, (0.0, "")), (entrance.slowest, what))
    print(f"{len(named)} messages by name; the slowest of each format:")
    for name, (spent, what) in slowest.items():
        print(f"  {name:12} {1000 * spent:5.1f} ms  {what}")


def all_formats(names: list[str], runs: int, seed: int) -> None:
    each = runs // len(names)
    print(f"coverage-guided, seed {seed}: {'inputs':>10} {'accepted':>10} {'refused':>10} {'slowest':>10} {'edges':>7}")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            tally, log = Path(folder) / "tally", Path(folder) / "log"
            order = [sys.executable, "-m", "tests.fuzzer", name, str(each), str(seed), str(tally)]
            with log.open("wb") as out:
                subprocess.run(order, cwd=ROOT, stdout=out, stderr=out, env=os.environ | {"PYTHONHASHSEED": "0"}, check=False)
            said = log.read_text("utf-8", "replace")
            if not tally.exists():
                sys.exit(f"{name}: the fuzzer ended by itself (seed {seed}):\n{said[-3000:]}")
            found = json.loads(tally.read_text())
        if "error" in found:
            sys.exit(f"{name}: {found['error']}")
        accepted, refused = found["accepted"], found["refused"]
        edges = re.findall(r"cov: (\d+)", said)
        counts = f"{each:12} {accepted:10} {refused:10} {1000 * found['slowest']:7.1f} ms {edges[-1] if edges else 0:>7}"
        print(f"  {name:22} {counts}", flush=True)
        if accepted + refused != each:
            sys.exit(f"{name}: {accepted} accepted and {refused} refused are not the {each} sent")


def long_properties(seed: int) -> None:
    """Hypothesis' long profile of tests/test_formats_fuzz.py."""
    how = ["--hypothesis-profile=long", f"--hypothesis-seed={seed}", "--hypothesis-show-statistics", "-p", "no:cacheprovider"]
    order = [sys.executable, "-m", "pytest", "tests/test_formats_fuzz.py", *how]
    ran = subprocess.run(order, cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"a property fails (seed {seed}):\n{ran.stdout[-5000:]}{ran.stderr[-2000:]}")
    print(f"hypothesis, seed {seed}: {sum(map(int, EXAMPLES.findall(ran.stdout)))} examples, every property holds")


def main() -> None:
    read = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0] if __doc__ else None)
    read.add_argument("--runs", type=int, default=1_000_000, help="inputs, of all formats together")
    read.add_argument("--seed", type=int, default=1)
    read.add_argument("--format", choices=sorted(FORMATS), help="only this one")
    read.add_argument("--message", type=Path, help="try one message of --format again, without atheris")
    given = read.parse_args()
    if given.message:
        message = given.message.read_bytes()
        Entrance(given.format).judge(message, arrival_of(message))
        sys.exit("nothing is wrong with it")
    if importlib.util.find_spec("atheris") is None:
        sys.exit("the fuzzer needs atheris, which is not installed here: run `make fuzz`, on Linux with Python 3.11 or 3.12")
    by_name()
    all_formats([given.format] if given.format else sorted(FORMATS), given.runs, given.seed)
    long_properties(given.seed)


if __name__ == "__main__":
    main()
