"""`roadwatch run --processes N`: one cluster of N workers, which live and die together.

The state is spread over all of them, so when one dies the others cannot go on (they end by themselves within a second).
All are started again from the last snapshot, with growing pauses; after too many deaths in a row it gives up, loudly.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from dataflows.children import with_its_parent
from dataflows.told import ToldError

log = structlog.get_logger(__name__)

PATIENCE = 15.0  # s for the others to end after one has died,
LONGER = 110.0  # and since all were asked to: a last snapshot may take so long, and supervisors wait for 120 s
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # s before a restart: doubled each time, for what is broken seldom mends at once
SLICE = 0.1  # s between looks: a signal does not end a sleep
CALM = 600.0  # s: a cluster that lived so long has recovered, and the count of deaths starts again
START_AGAIN = 75  # exit code of a worker that ended in order and needs a new start: EX_TEMPFAIL of sysexits.h
IN_ORDER = {0, START_AGAIN, -signal.SIGTERM}  # exit codes after SIGTERM; the last of one that had not begun to listen
DEATHS = 8  # in a row: over two minutes of trying


class ClusterError(ToldError):
    """One sentence: why the cluster does not stay up."""


@dataclass
class Restarts:
    """How long to wait before the next start; pure, so that it can be tested without waiting."""

    deaths: int = 0

    def pause(self, lived: float) -> float | None:
        """Seconds to wait after a cluster that lived for `lived` seconds; None: give up."""
        self.deaths = 1 if lived >= CALM else self.deaths + 1
        if self.deaths > DEATHS:
            return None
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (self.deaths - 1))


def supervise(
    processes: int, arguments: Sequence[str], sleep: Callable[[float], None] = time.sleep, restarts: Restarts | None = None
) -> None:
    """Run `roadwatch run` in `processes` processes with `arguments` until SIGTERM. Raises ClusterError when it gives up."""
    restarts = restarts or Restarts()
    stopping: list[float] = []  # s: when a signal came
    members: list[subprocess.Popen[bytes]] = []

    def stop(*_: object) -> None:
        stopping.append(time.monotonic())
        _ask_to_end(members)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopping:
        started = time.monotonic()
        addresses = ";".join(_free_addresses(processes))
        command = [sys.executable, "-m", "dataflows.cli", "run", *arguments, "--addresses", addresses]
        members[:] = [  # a member that outlived its supervisor would write into the same store as the next cluster
            subprocess.Popen([*command, "--process-id", str(number)], preexec_fn=with_its_parent) for number in range(processes)
        ]
        if stopping:  # which these have not heard
            _ask_to_end(members)
        codes = _until_the_end(members, stopping)
        if stopping and set(codes) <= IN_ORDER:
            return
        if stopping:
            raise ClusterError(
                f"the cluster did not drain cleanly (exit codes {codes}); the log above says why, "
                "and the next start resumes from its last snapshot"
            )
        if START_AGAIN in codes and set(codes) <= {0, START_AGAIN}:  # all ended in order, so this is no death
            log.info("all start again from the last snapshot, with the partitions that were added")
            continue
        pause = restarts.pause(time.monotonic() - started)
        if pause is None:
            raise ClusterError(f"the cluster died {DEATHS} times in a row, last with exit codes {codes}; see the log above")
        log.error("a worker died: all restart from the last snapshot", exit_codes=codes, pause_seconds=pause)
        until = time.monotonic() + pause
        while not stopping and time.monotonic() < until:
            sleep(SLICE)


def _ask_to_end(members: Sequence[subprocess.Popen[bytes]]) -> None:
    for member in members:
        if member.poll() is None:
            member.send_signal(signal.SIGTERM)


def _until_the_end(members: Sequence[subprocess.Popen[bytes]], stopping: Sequence[float]) -> list[int]:
    """Wait for the first to end, then for all: those that do not follow are killed. `stopping` is empty until all are asked."""
    while all(member.poll() is None for member in members):
        time.sleep(SLICE)
    deadline = stopping[0] + LONGER if stopping else time.monotonic() + PATIENCE
    for member in members:
        try:
            member.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            member.kill()
    return [member.wait() for member in members]


def _free_addresses(count: int) -> list[str]:
    """Loopback addresses for the members to find each other: chosen anew at every start, so none is still taken."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in held]
    for each in held:
        each.close()
    return addresses
