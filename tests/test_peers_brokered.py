"""The table of the peers is right about who came to the end, who gave out what, and why somebody did not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import peers_brokered
from benchmarks.peers_brokered import SCRIPTS, expected, last_words, row, run, verdict
from benchmarks.peers_chosen import PEERS, Peer

RIGHT = {"windows": 3.0, "observations": 4.0, "brakes": 1.0}
DONE = {"seconds": 0.002, "cpu": 0.001, "messages": 4.0}


def message(ts: int, lat: float, ev: int = 0) -> bytes:
    return json.dumps({"id": "a", "ts": ts, "lat": lat, "lon": 114.0, "v": 20.0, "ev": ev}).encode()


def test_expected_counts_cells_and_seconds() -> None:
    messages = [message(1000, 22.5), message(1999, 22.5, ev=1), message(2000, 22.5), message(1000, 22.6)]
    assert expected(messages) == RIGHT


@pytest.mark.parametrize(
    ("gave", "said"),
    [
        (RIGHT, "all"),
        (RIGHT | {"windows": 2.0, "observations": 3.0}, "75%"),
        (RIGHT | {"observations": 5.0}, "WRONG"),
        (RIGHT | {"windows": 2.0, "brakes": 2.0}, "WRONG"),
        (RIGHT | {"windows": 2.0}, "WRONG"),
        (RIGHT | {"brakes": 0.0}, "WRONG"),
        ({}, "-"),
    ],
)
def test_verdict(gave: dict[str, float], said: str) -> None:
    assert verdict(gave, RIGHT) == said


def test_row_is_the_median_of_the_rounds_that_came_to_the_end() -> None:
    slow, slower = DONE | {"seconds": 0.004}, DONE | {"seconds": 0.008}
    assert row("peer", [slower | RIGHT, DONE | RIGHT, slow | RIGHT], RIGHT) == ["peer", "1.0", "0.5 to 2.0", "250.0", "all"]
    assert row("peer", [DONE | RIGHT, "it fell"], RIGHT)[-1] == "all, 1 of 2 rounds failed"


def test_row_says_why_there_is_nothing() -> None:
    assert row("peer", ["does not install here: no wheel"], RIGHT) == ["peer", "-", "-", "-", "does not install here: no wheel"]


def test_last_words_are_no_stack_frames() -> None:
    assert last_words("Caused by: no module\n\tat org.apache.Task.run(Task.java)\n\t... 5 more\n") == "Caused by: no module"
    assert last_words("") == "it said nothing"


def test_a_peer_that_cannot_be_installed_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peers_brokered, "ENVIRONMENTS", tmp_path / "var" / "peers")
    monkeypatch.setattr(peers_brokered, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    outcome = run(Peer("none", "by_hand", "", "", ("none==0",)), "127.0.0.1:1", 1, 0)
    assert isinstance(outcome, str)
    assert outcome.startswith("does not install here: its environment cannot be made: ")


def test_a_peer_that_falls_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "falls.py").write_text("raise SystemExit('the group was never joined')")
    monkeypatch.setattr(peers_brokered, "SCRIPTS", tmp_path)
    outcome = run(Peer("falls", "falls", "", ""), "127.0.0.1:1", 1, 0)
    assert outcome == "does not run on this broker: the group was never joined"


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.script)
def test_every_peer_has_a_script_and_pins(peer: Peer) -> None:
    assert (SCRIPTS / f"{peer.script}.py").is_file()
    assert all("==" in pin for pin in peer.pins)
