"""Before the first message what was made so far is kept out of the collector's way, in a worker and in a replay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflows import heap, replay_command, worker
from dataflows.recorded import RecordingError
from dataflows.replay_command import replay_files
from dataflows.settings_reader import load


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many objects were out of the way when the engine was asked to run."""
    counts: list[int] = []

    def asked(graph: object, **options: object) -> None:
        assert gc.isenabled(), "what messages leave would be kept for ever"
        counts.append(gc.get_freeze_count())

    for module in (worker, replay_command):
        monkeypatch.setattr(module, "cli_main", asked)
    before = gc.get_freeze_count()
    heap.build_up()
    assert not gc.isenabled()
    yield counts
    gc.enable()
    if not before:
        gc.unfreeze()


def test_in_a_worker(frozen: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rehearse", "_on_signals", "flow"):
        monkeypatch.setattr(worker, name, lambda *_, **__: None)
    settings = load(None, {"privacy": {"key": "a key"}, "recovery": {"enabled": False}, "metrics": {"enabled": False}})
    worker._work(settings, None, "", None, None, None)
    assert frozen[0] > 10_000


def test_in_a_replay(frozen: list[int], tmp_path: Path) -> None:
    recording = tmp_path / "recording.jsonl"
    recording.write_text("{}\n")
    with pytest.raises(RecordingError):  # nothing was read, for the engine did not run
        replay_files([(recording, "observation")], tmp_path / "alerts", None, None, load(None, {"privacy": {"key": "a key"}}))
    assert frozen[0] > 10_000
