"""The promises about kills, stops, faults and long lives in full length; `make test` runs a few seeded moments of each.

    python -m tests.torture [--seed N] [--only WORD ...] [--write]

A row that fails says why, and its seed brings the same history again. `--write` puts the table under benchmarks/results.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import KafkaException
from rich.console import Console

from benchmarks.machine import commit, versions
from benchmarks.table import Table
from dataflows.broker import embedded_broker
from dataflows.kafka_admin import BrokerError
from tests import broker_faults, kills, soak, unwritable
from tests.history import Outcome

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "reliability.md"
HEAD = ("what", "count", "seed", "passed", "seconds", "alerts", "said again", "figures")
SOON = 10.0  # s that a worker may take to end after SIGTERM
GROWTH = 64.0  # MiB that a worker which stands still may grow by: what its clients fetch ahead is bounded


class Told(NamedTuple):
    outcome: Outcome
    figures: str = ""


class Trial(NamedTuple):
    name: str
    count: str
    run: Callable[[Path, int], Told]


def _kill_one(folder: Path, seed: int) -> Told:
    with embedded_broker() as broker:
        outcome, delivered = kills.kill_one(folder, broker, seed, 50, 25, say)
    return Told(outcome, f"{delivered} of 50 had delivered something since their start")


def _kill_cluster(folder: Path, seed: int) -> Told:
    with embedded_broker() as broker:
        outcome, delivered = kills.kill_cluster(folder, broker, seed, 50, 30, 2, say)
    return Told(outcome, f"{delivered} of 50 had delivered something since their start")


def _stop(folder: Path, seed: int) -> Told:
    with embedded_broker() as broker:
        outcome, took = kills.stop_often(folder, broker, seed, 20, 10, say)
    assert max(took) < SOON, f"one end took {max(took):.1f} s"
    return Told(outcome, f"ends took {max(took):.1f} s at most, {sorted(took)[len(took) // 2]:.1f} s in the median")


def _unwritable(folder: Path, seed: int) -> Told:
    return _stood(unwritable.stand_still(folder, seed, 300.0, say=say))


def _stop_unwritable(folder: Path, seed: int) -> Told:
    outcome, took = unwritable.stop(folder, seed)
    assert took < SOON, f"the end took {took:.1f} s"
    return Told(outcome, f"the end took {took:.1f} s, exit code 1")


def _produce_errors(folder: Path, seed: int) -> Told:
    return _stood(unwritable.stand_still(folder, seed, 1.0, unwritable.RETRIABLE, say))


def _stood(told: unwritable.Standstill) -> Told:
    assert told.most - told.before < GROWTH, f"memory went from {told.before:.0f} to {told.most:.0f} MiB"
    assert told.taken == 0, f"{told.taken:.0f} messages were read while nothing could be written"
    return Told(
        told.outcome,
        f"{told.taken:.0f} read and {told.waiting:.0f} left waiting meanwhile; "
        f"{told.before:.0f} MiB before, {told.most:.0f} MiB at most",
    )


def _soak(folder: Path, seed: int) -> Told:
    with embedded_broker() as broker:
        soaked = soak.Soak(folder, broker, seed, say).run()
    console.print("\n".join(soak.table(soaked)), highlight=False)
    return Told(soaked.outcome, soak.judge(soaked))


def _by_broker(name: str, seconds: float) -> Callable[[Path, int], Told]:
    return lambda folder, seed: Told(broker_faults.suffer_broker(folder, name, seed, seconds, say))


def _by_network(name: str, seconds: float) -> Callable[[Path, int], Told]:
    def run(folder: Path, seed: int) -> Told:
        with embedded_broker() as broker:
            return Told(broker_faults.suffer_network(folder, broker, name, seed, seconds, say))

    return run


TRIALS = (
    Trial("SIGKILL, 1 process", "50", _kill_one),
    Trial("SIGKILL, 2 processes", "50", _kill_cluster),
    Trial("SIGTERM", "20", _stop),
    Trial("outputs unwritable (NOT_ENOUGH_REPLICAS)", "300 s", _unwritable),
    Trial("produce errors, retriable", f"{len(unwritable.RETRIABLE)} kinds", _produce_errors),
    Trial(
        "produce error for good", "1", lambda folder, seed: Told(unwritable.refuse(folder, seed), "one sentence, exit code 1")
    ),
    Trial("SIGTERM while outputs are unwritable", "1", _stop_unwritable),
    Trial("SIGKILL while a snapshot waits, and again", "2", lambda folder, seed: Told(unwritable.kill_between(folder, seed))),
    Trial("fetch errors", f"{len(broker_faults.FETCH_ERRORS)} kinds", _by_broker("fetch errors", 40.0)),
    Trial("errors of rare requests", "24 s", _by_broker("other errors", 24.0)),
    Trial("leader moves", "60 s", _by_broker("leader moves", 60.0)),
    Trial("one broker of three down", "30 s", _by_broker("one broker down", 30.0)),
    Trial("all brokers down", "30 s", _by_broker("all brokers down", 30.0)),
    Trial("replies of 0.3 to 1.5 s", "30 s", _by_broker("slow replies", 30.0)),
    Trial("connections reset", "60 s", _by_network("resets", 60.0)),
    Trial("connections stall", "30 s and one until it is noticed", _by_network("stalls", 30.0)),
    Trial("connections half open", "all", _by_network("half open", 1.0)),
    Trial("soak, nothing may grow", f"{soak.HOURS} h and {soak.AFTER} h", _soak),
)
console = Console(stderr=True)


def say(what: str) -> None:
    console.print(f"  {what}", end="\r", highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description="Kills, stops and faults in full length.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[""], help="rows whose name contains one of these")
    parser.add_argument("--write", action="store_true", help=f"put the table into {RESULTS.name}")
    asked = parser.parse_args()
    table = Table("Kills, stops and faults", HEAD)
    failed = 0
    for trial in TRIALS:
        if not any(word in trial.name for word in asked.only):
            continue
        console.print(f"{trial.name}: {trial.count}", highlight=False)
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="roadwatch-torture-") as folder:
            try:
                told: Told | None = trial.run(Path(folder), asked.seed)
            except (AssertionError, BrokerError, KafkaException, OSError):  # a row that fails is a result
                told = None
                traceback.print_exc()
        failed += told is None
        table.rows.append(_row(trial, asked.seed, told, time.monotonic() - started))
    Console(width=200).print(table.rich())
    if asked.write:
        RESULTS.write_text(_page(table, asked.seed), "utf-8")
    sys.exit(1 if failed else 0)


def _row(trial: Trial, seed: int, told: Told | None, seconds: float) -> tuple[str, ...]:
    head = (trial.name, trial.count, str(seed), "no" if told is None else "yes", f"{seconds:.0f}")
    if told is None:
        return (*head, "", "", "")
    return (*head, str(told.outcome.alerts), str(told.outcome.duplicates), told.figures)


def _page(table: Table, seed: int) -> str:
    return f"""# Reliability

`python -m tests.torture --seed {seed} --write` at commit {commit()}; {versions()}.

Traffic is played into a broker while the worker suffers. Passed means: the alerts are those that a replay of the same traffic
gives, none missing, none different, each incident's in order; what was said again is the same bytes; no dead letter is missing;
and meanwhile the metrics, /readyz and the log said what was so. The load is 900 messages a second under kills and stops, and
540 a second under faults of fetching and of the network; where nothing can be written, the inputs lie there beforehand.
The soak suffers nothing: it passes when nothing grows and the silent are forgotten, as `tests/soak.py` says.

{table.markdown()}"""


if __name__ == "__main__":
    main()
