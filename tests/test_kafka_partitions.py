"""Partitions that are added later are told of once, and `latest` skips nothing that a partition got after the first start."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dataflows import cli, disk, worker
from dataflows.cluster import START_AGAIN
from dataflows.kafka_admin import BrokerError
from dataflows.kafka_partitions import MEANT, Lookout, PartitionsAddedError, Starts
from dataflows.settings_reader import load
from dataflows.store import RecoveryError


def test_what_is_added_is_told_of_and_what_is_not_is_not() -> None:
    answers = iter([{"v2x": 2, "ev": 1}, BrokerError("away"), {"ev": 1}, {"v2x": 4, "ev": 1, "other": 9}])
    told: list[str] = []

    def ask() -> dict[str, int]:
        answer = next(answers)
        if isinstance(answer, BrokerError):
            raise answer
        return answer

    lookout = Lookout({"v2x": 2, "ev": 1}, ask, 1.0, told.append)
    assert [lookout.look() for _ in range(4)] == [False, False, False, True]
    (sentence,) = told
    assert "(v2x/2, v2x/3)" in sentence


def test_a_first_start_is_left_to_the_settings(tmp_path: Path) -> None:
    starts = Starts(tmp_path)
    assert starts.first("v2x", 0) is None
    starts.note("v2x", 0, 700)
    assert starts.first("v2x", 1) is None, "this start is still the first one, in whichever process"


def test_a_partition_that_never_got_into_a_snapshot_begins_where_it_began(tmp_path: Path) -> None:
    Starts(tmp_path).note("v2x", 0, 700)
    again = Starts(tmp_path)
    again.note("v2x", 0, 900)
    assert again.first("v2x", 0) == Starts(tmp_path).first("v2x", 0) == 700


def test_why_there_is_no_room_for_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine wraps what a partition raises, so the worker's last sentence is made of what is kept."""

    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(disk.FAILURE, "error", None)
    monkeypatch.setattr(Path, "write_text", fails)
    with pytest.raises(OSError, match="No space left"):
        Starts(tmp_path).note("v2x", 0, 700)
    assert disk.FAILURE.error is not None
    assert "disk is full" in disk.complaint(disk.FAILURE.error)


def test_no_room_for_what_the_graph_notes_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        with disk.kept():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(disk.FAILURE, "error", None)
    monkeypatch.setattr(worker, "flow", full)
    with pytest.raises(RecoveryError, match="disk is full; make room"):
        worker._graph(load(None, {"recovery": {"directory": str(tmp_path)}}), kept=True)


def test_a_partition_that_was_added_begins_at_its_beginning(tmp_path: Path) -> None:
    Starts(tmp_path).note("v2x.a", 11, 700)
    starts = Starts(tmp_path)
    assert starts.first("v2x.a", 12) == 0
    assert starts.first("v2x", 0) is None, "another topic, which only looks alike"


def test_a_first_start_that_was_cut_short_is_no_reason_to_read_the_others_from_their_beginning(tmp_path: Path) -> None:
    first = Starts(tmp_path)
    first.begin([("v2x", 0), ("v2x", 1), ("ev", 0)])
    first.note("v2x", 0, 700)  # and then it was killed
    again = Starts(tmp_path)
    again.begin([("v2x", number) for number in range(3)])
    assert [again.first("v2x", number) for number in range(3)] == [700, None, 0], "the last was added meanwhile"
    assert again.first("ev", 0) is None


def test_a_partition_that_is_not_read_any_more_is_named(tmp_path: Path) -> None:
    for number in range(3):
        Starts(tmp_path).note("v2x", number, 7)
    assert Starts(tmp_path).others({"v2x/0", "v2x/1", "ev/0"}) == {"v2x/2": ("v2x", 2, 7)}


def test_without_a_recovery_store_nothing_is_noted() -> None:
    starts = Starts(None)
    starts.note("v2x", 0, 700)
    assert starts.first("v2x", 0) is None


def test_a_half_written_note_is_none(tmp_path: Path) -> None:
    (tmp_path / "starts").mkdir()
    (tmp_path / "starts" / "v2x.0.new").write_text("7")
    (tmp_path / "starts" / "v2x.1").write_text("")
    assert Starts(tmp_path).first("v2x", 0) is None


def test_the_worker_ends_with_a_code_that_asks_for_a_new_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app() -> None:
        raise PartitionsAddedError("partitions that were added are not read yet (v2x/2)")

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == START_AGAIN
    assert capsys.readouterr().err == "roadwatch: partitions that were added are not read yet (v2x/2)\n"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"7x", b"0 \xc3"])
def test_a_note_that_is_damaged_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "starts").mkdir()
    for name in ("v2x.0", f"v2x.{MEANT}"):
        (tmp_path / "starts" / name).write_bytes(content)
    assert Starts(tmp_path).first("v2x", 0) is None
