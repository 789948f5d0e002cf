"""The recovery store: never a start from nothing unasked, and one sentence for whatever does not fit."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from dataflows.settings import Settings, load
from dataflows.store import NOTE, RecoveryError, open_store


def settings(folder: Path, **window: Any) -> Settings:
    return load(None, {"recovery": {"directory": str(folder / "recovery")}, "window": window})


def test_it_is_made_once_and_opened_again(tmp_path: Path) -> None:
    open_store(settings(tmp_path))
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "recovery").iterdir()}
    open_store(settings(tmp_path))
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "recovery").iterdir()} == before
    assert stat.S_IMODE((tmp_path / "recovery").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "changed", [{"shards": 32}, {"pane": 2000}, {"cell_resolution": 8}, {"shard_resolution": 6}, {"reading_shards": 2}]
)
def test_changed_settings_are_refused(changed: dict[str, int], tmp_path: Path) -> None:
    open_store(settings(tmp_path))
    (name, value), *_ = changed.items()
    with pytest.raises(RecoveryError, match=rf"made with {name} = \d+, not {value}; set it back"):
        open_store(settings(tmp_path, **changed))


def test_another_version_is_refused(tmp_path: Path) -> None:
    open_store(settings(tmp_path))
    note = tmp_path / "recovery" / NOTE
    note.write_text(json.dumps(json.loads(note.read_text()) | {"version": 0}))
    with pytest.raises(RecoveryError, match=r"another version of roadwatch \(layout 0, not 3\); run that one"):
        open_store(settings(tmp_path))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "recovery").mkdir()
    (tmp_path / "recovery" / "thesis.txt").write_text("years of work")
    with pytest.raises(RecoveryError, match="holds something else"):
        open_store(settings(tmp_path))
    assert [path.name for path in (tmp_path / "recovery").iterdir()] == ["thesis.txt"]


def test_a_damaged_note_is_refused(tmp_path: Path) -> None:
    open_store(settings(tmp_path))
    (tmp_path / "recovery" / NOTE).write_text("{")
    with pytest.raises(RecoveryError, match="cannot use the recovery store"):
        open_store(settings(tmp_path))


def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(RecoveryError, match="/proc/nowhere"):
        open_store(load(None, {"recovery": {"directory": "/proc/nowhere"}}))
