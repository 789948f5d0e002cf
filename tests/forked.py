"""Processes that are forks of one that has imported everything: such a start takes a fraction of a new interpreter's CPU.

A worker imports for a second and a half and loads the machine code of its loops for another one and more, and more than a
hundred tests start workers. So each process of pytest has one that has done both and waits, the mother. A child of it is a
process like any other, with its own id, signals, files and environment, and runs a module as `python -m` does; only the seed of
its hashes is its mother's. Tests of the start itself start an interpreter: test_cli.py and test_broker_end_to_end.py.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

from dataflows.children import with_its_parent

ROOT = Path(__file__).parents[1]
LONGEST = 1 << 20  # bytes of an order


class Forked:
    """`python -m module ...`, with as much of the interface of `subprocess.Popen` as tests need."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
        out: IO[Any] | None = None,
        err: IO[Any] | None = None,
    ) -> None:
        """Without `out` what it says is kept for `communicate`; without `err` that goes where `out` does, if it is given."""
        self._out = out or tempfile.TemporaryFile()  # noqa: SIM115
        self._err = err or out or tempfile.TemporaryFile()  # noqa: SIM115
        self.args = [module, *arguments]
        self.returncode: int | None = None
        self._told, tells = os.pipe()
        order = {"module": module, "arguments": arguments, "cwd": str(cwd), "env": dict(env or os.environ)}
        files = [self._out.fileno(), self._err.fileno(), tells]
        socket.send_fds(_mother(), [json.dumps(order).encode()], files)
        os.close(tells)
        self.pid = self._hear(None)

    def poll(self) -> int | None:
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """What it had said when it ended."""
        self.wait(timeout)
        said = []
        for file in (self._out, self._err):
            file.seek(0)
            said.append(file.read())
            file.close()
        return said[0], said[1]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
            self.returncode = self._hear(-signal.SIGKILL)
            os.close(self._told)
        return self.returncode

    def _hear(self, otherwise: int | None) -> int:
        """The next number that is told of the child: its id, then its exit code."""
        said = os.read(self._told, 12)  # all are written so wide
        if said:
            return int(said)
        assert otherwise is not None, "the process that forks has ended; see what it said above"
        return otherwise


@cache
def _mother() -> socket.socket:
    """A connection to it; it ends with this process."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        command = [sys.executable, "-m", "tests.forked", str(there.fileno())]
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[there.fileno()])
    return here


def _fork(orders: socket.socket) -> dict[str, Any] | None:
    """Fork for each order; comes back in each child with its order, and in the mother with None at the end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how nurses ended
    while True:
        said, files, *_ = socket.recv_fds(orders, LONGEST, 3)
        if not said:
            return None
        if os.fork() == 0:
            orders.close()
            _nurse(files)
            given: dict[str, Any] = json.loads(said)
            return given
        for file in files:
            os.close(file)


def _nurse(files: list[int]) -> None:
    """Fork once more, tell what becomes of that child, and end. Comes back in the child only."""
    with_its_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    out, err, tells = files
    child = os.fork()
    if child == 0:
        with_its_parent()
        os.dup2(out, 1)
        os.dup2(err, 2)
        for file in files:
            os.close(file)
        return
    os.close(out)
    os.close(err)
    os.write(tells, b"%12d" % child)
    _, status = os.waitpid(child, 0)
    os.write(tells, b"%12d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(order: dict[str, Any]) -> None:
    """Run the module as `python -m` does."""
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.path.insert(0, order["cwd"])
    sys.argv = [order["module"], *order["arguments"]]
    sys.modules.pop(order["module"], None)
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


def main() -> None:
    from dataflows import replay_command, worker  # noqa: F401  imported here and not by whoever starts this
    from dataflows.rehearsal import rehearse
    from dataflows.settings_reader import load

    rehearse(load().window)
    gc.collect()
    gc.freeze()  # or the children's collectors would copy every page
    if (order := _fork(socket.socket(fileno=int(sys.argv[1])))) is not None:
        gc.unfreeze()
        _become(order)


if __name__ == "__main__":
    main()
