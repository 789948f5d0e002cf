"""The recovery store: never a start from nothing unasked, and one sentence for whatever does not fit."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dataflows.merge import IncidentMerge
from dataflows.seal import Seal
from dataflows.secret_files import about_the_key
from dataflows.settings import Settings, SettingsError
from dataflows.settings_reader import load
from dataflows.store import LOCK, NOTE, VERSION, RecoveryError, has_snapshot, open_store, sole_use, unusable
from dataflows.store_check import parts
from dataflows.worker import _sentence
from tests import golden

ROOT = Path(__file__).parents[1]
KEY = "the key of the tests"
PLACES = 300  # where a byte is changed, one at a time


def settings(folder: Path, key: str = KEY, partitions: int = 2, **window: Any) -> Settings:
    recovery = {"directory": str(folder / "recovery"), "partitions": partitions}
    return load(None, {"recovery": recovery, "privacy": {"key": key}, "window": window})


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A folder with the golden store in it: state of all 64 shards, of the incidents and of five sources."""
    golden.unpack(tmp_path)
    return tmp_path


def shelves(folder: Path) -> list[Path]:
    """The files beside the engine's; the golden store has none but those that its rows need."""
    return sorted(path for path in (folder / "recovery").iterdir() if path.name.startswith(("shard-", "cars-")))


def rows(folder: Path) -> list[Any]:
    """All that would be read of state."""
    found: list[Any] = [path.read_bytes() for path in shelves(folder)]
    for path in parts(folder / "recovery"):
        with closing(sqlite3.connect(path)) as part:
            found += part.execute("SELECT step_id, state_key, ser_change FROM snaps ORDER BY 1, 2, snap_epoch").fetchall()
    return found


def write(folder: Path, statement: str, *values: object, part: int = 0) -> None:
    with closing(sqlite3.connect(folder / "recovery" / f"part-{part}.sqlite3", isolation_level=None)) as store:
        store.execute(statement, values)


def refused(folder: Path, match: str, **more: Any) -> None:
    with pytest.raises(RecoveryError, match=match) as caught:
        open_store(settings(folder, **more))
    assert str(folder / "recovery") in str(caught.value)  # where
    assert "; " in str(caught.value)  # and what to do
    assert "\n" not in str(caught.value)


def test_it_is_made_once_and_opened_again(tmp_path: Path) -> None:
    open_store(settings(tmp_path))
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "recovery").iterdir()}
    open_store(settings(tmp_path))
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "recovery").iterdir()} == before


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_nobody_else_may_look_into_it(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        open_store(settings(tmp_path))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "recovery").iterdir()}
    assert modes == dict.fromkeys((NOTE, LOCK, "part-0.sqlite3", "part-1.sqlite3"), 0o600)
    assert stat.S_IMODE((tmp_path / "recovery").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", [".", "part-1.sqlite3"])
def test_a_store_that_everybody_may_write_is_refused(name: str, filled: Path) -> None:
    path = filled / "recovery" / name
    path.chmod(path.stat().st_mode | stat.S_IWOTH)
    refused(filled, "everybody may write (recovery|part-1.sqlite3)")


def test_a_whole_one_is_accepted(filled: Path) -> None:
    before = rows(filled)
    open_store(settings(filled))
    assert rows(filled) == before


@pytest.mark.parametrize(
    "changed", [{"shards": 32}, {"pane": 2000}, {"cell_resolution": 8}, {"shard_resolution": 6}, {"reading_shards": 2}]
)
def test_changed_settings_are_refused(changed: dict[str, int], tmp_path: Path) -> None:
    open_store(settings(tmp_path))
    (name, value), *_ = changed.items()
    refused(tmp_path, rf"made with {name} = \d+, not {value}; set it back", **changed)


def test_another_number_of_partitions_is_refused(tmp_path: Path) -> None:
    open_store(settings(tmp_path))
    refused(tmp_path, "made with partitions = 2, not 4; set it back", partitions=4)


def test_a_changed_lateness_is_taken_up() -> None:
    before = IncidentMerge(1, 2000)
    assert IncidentMerge(1, 5000, before.snapshot()).state.incidents.lateness == 5000


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1, None])
def test_another_version_is_refused(version: int | None, filled: Path) -> None:
    note = filled / "recovery" / NOTE
    note.write_text(json.dumps(json.loads(note.read_text()) | {"version": version}))
    refused(filled, rf"another version of roadwatch \(layout {version}, not {VERSION}\); run that one")


def test_what_counts_from_here_is_named_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere the same relative paths are another key and another store, and whoever reads of them should see which."""
    paths = {"recovery": {"directory": "var/recovery"}, "privacy": {"key_file": "var/key"}}
    monkeypatch.chdir(tmp_path)
    (made,) = about_the_key(load(None, paths))
    assert f"made in {tmp_path}/var/key: " in made
    open_store(load(None, paths))
    (tmp_path / "var" / "key").write_bytes(b"another")
    said = rf"store in {tmp_path}/var/recovery was made under another key than this privacy.key_file {tmp_path}/var/key, or"
    with pytest.raises(RecoveryError, match=said):
        open_store(load(None, paths))
    (tmp_path / "var" / "key").write_bytes(b"")
    with pytest.raises(SettingsError, match=f"privacy.key_file {tmp_path}/var/key is empty"):
        open_store(load(None, paths))
    assert str(unusable(Path("var"), "disk is full")).startswith(f"cannot use the recovery store in {tmp_path}/var: ")


@pytest.mark.parametrize("whole", [True, False])
def test_a_file_of_the_store_is_known_by_either_path(whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine opens it by one and we by the other."""
    monkeypatch.chdir(tmp_path)
    settings = load(None, {"recovery": {"directory": "recovery"}})
    full = OSError(28, "No space left on device", str(Path("recovery/starts").absolute() if whole else "recovery/starts"))
    said = str(_sentence(full, "", settings, alone=True))
    assert said.startswith(f"cannot use the recovery store in {tmp_path}/recovery: ")


def test_another_key_is_refused(filled: Path) -> None:
    refused(filled, "made under another key than this privacy.key, or written by somebody else; put back the key", key="other")


def test_a_lost_key_file_is_named(tmp_path: Path) -> None:
    for lost in (False, True):
        file = tmp_path / "key"
        made = load(None, {"recovery": {"directory": str(tmp_path / "recovery")}, "privacy": {"key_file": str(file)}})
        if lost:
            with pytest.raises(RecoveryError, match=f"made under another key than this privacy.key_file {file}, or"):
                open_store(made)
        else:
            open_store(made)
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            file.unlink()


def test_a_changed_note_is_refused(filled: Path) -> None:
    note = filled / "recovery" / NOTE
    note.write_text(json.dumps(json.loads(note.read_text()) | {"shards": 32}))
    refused(filled, "under another key than this privacy.key, or written by somebody else", shards=32)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\xff"])
def test_a_damaged_note_is_refused(text: str, filled: Path) -> None:
    (filled / "recovery" / NOTE).write_text(text)
    refused(filled, f"is damaged: {NOTE}: .*; put back a backup")


def test_a_lost_note_is_no_reason_to_start_from_nothing(filled: Path) -> None:
    (filled / "recovery" / NOTE).unlink()
    before = rows(filled)
    refused(filled, "or one without its roadwatch.json")
    assert rows(filled) == before


@pytest.mark.parametrize("left", [(), ("part-0.sqlite3",), ("part-0.sqlite3", "part-0.sqlite3-journal", "part-1.sqlite3")])
def test_a_worker_that_was_killed_while_it_made_its_store_makes_it_anew(left: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "recovery").mkdir()
    for name in (*left, f"{NOTE}.new"):
        (tmp_path / "recovery" / name).write_bytes(b"half of it")
    open_store(settings(tmp_path))
    assert {path.name for path in parts(tmp_path / "recovery")} == {"part-0.sqlite3", "part-1.sqlite3"}
    assert not (tmp_path / "recovery" / f"{NOTE}.new").exists()


def test_what_lies_beside_a_store_that_was_begun_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "recovery").mkdir()
    for name in ("thesis.txt", f"{NOTE}.new"):
        (tmp_path / "recovery" / name).write_text("years of work")
    refused(tmp_path, "holds something else")
    assert len(list((tmp_path / "recovery").iterdir())) == 2


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "recovery").mkdir()
    (tmp_path / "recovery" / "thesis.txt").write_text("years of work")
    refused(tmp_path, "holds something else")
    assert [path.name for path in (tmp_path / "recovery").iterdir()] == ["thesis.txt"]


def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(RecoveryError, match="/proc/nowhere"):
        open_store(load(None, {"recovery": {"directory": "/proc/nowhere"}, "privacy": {"key": KEY}}))


@pytest.mark.parametrize("name", ["part-0.sqlite3", "part-1.sqlite3"])
def test_a_missing_partition_is_named(name: str, filled: Path) -> None:
    (filled / "recovery" / name).unlink()
    refused(filled, f"is damaged: {name} is missing; put back a backup")


def test_one_partition_too_many_is_named(filled: Path) -> None:
    (filled / "recovery" / "part-2.sqlite3").write_bytes((filled / "recovery" / "part-1.sqlite3").read_bytes())
    refused(filled, "part-2.sqlite3 does not belong to it")


@pytest.mark.parametrize("number", [0, 1])
def test_an_empty_partition_of_another_store_is_refused(number: int, filled: Path, tmp_path: Path) -> None:
    """The engine would start from nothing if the one that knows the last run is empty, and say not a word."""
    other = tmp_path / "other"
    other.mkdir()
    open_store(settings(other))
    name = f"part-{number}.sqlite3"
    (filled / "recovery" / name).write_bytes((other / "recovery" / name).read_bytes())
    refused(filled, f"{name}: comes from another store")


def test_partitions_in_each_others_place_are_refused(filled: Path) -> None:
    one, two = (filled / "recovery" / f"part-{number}.sqlite3" for number in (0, 1))
    bytes_of_one = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(bytes_of_one)
    refused(filled, "part-0.sqlite3: comes from another store")


def test_a_partition_from_an_older_backup_is_refused(filled: Path) -> None:
    write(filled, "UPDATE commits SET commit_epoch = commit_epoch + 1000")
    refused(filled, "part-1.sqlite3 is 1000 snapshots older than the rest")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_partition_is_refused(share: float, filled: Path) -> None:
    path = filled / "recovery" / "part-0.sqlite3"
    os.truncate(path, int(path.stat().st_size * share))
    refused(filled, "recovery store in")


@pytest.mark.parametrize("number", [0, 1])
def test_a_partition_that_lacks_its_last_byte_is_refused(number: int, filled: Path) -> None:
    """Wherever its last page is one that holds nothing (as in the golden's first), SQLite does not mind."""
    path = filled / "recovery" / f"part-{number}.sqlite3"
    os.truncate(path, path.stat().st_size - 1)
    refused(filled, "recovery store in")


def test_a_last_page_half_copied_from_its_journal_is_no_damage(filled: Path) -> None:
    """What a power cut while SQLite copies its journal leaves: the journal says it all again."""
    path = filled / "recovery" / "part-0.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        store.execute("PRAGMA wal_autocheckpoint = 0")
        store.execute("CREATE TABLE much (bytes BLOB)")
        store.execute("INSERT INTO much VALUES (zeroblob(100000))")
        store.execute("DROP TABLE much")
        journal = path.with_name(f"{path.name}-wal").read_bytes()
        whole = path.read_bytes()
    path.write_bytes(whole + bytes(5000))
    path.with_name(f"{path.name}-wal").write_bytes(journal)
    open_store(settings(filled))


def test_no_changed_byte_is_ever_handed_to_the_engine(filled: Path) -> None:
    """Wherever a byte is changed: the store is refused, or all the state in it is what it was."""
    seed = random.randrange(2**32)
    dice, before, refusals = random.Random(seed), rows(filled), 0
    for _ in range(PLACES):
        path = dice.choice(dice.choice((parts(filled / "recovery"), shelves(filled))))
        where, flip = dice.randrange(path.stat().st_size), dice.randrange(1, 256)
        whole = path.read_bytes()
        path.write_bytes(whole[:where] + bytes([whole[where] ^ flip]) + whole[where + 1 :])
        try:
            open_store(settings(filled))
            assert rows(filled) == before, f"seed {seed}: byte {where} of {path.name} was changed, and accepted"
        except RecoveryError:
            refusals += 1
        path.write_bytes(whole)
    assert refusals > PLACES / 4, f"seed {seed}"  # the rest fell on unused space


@pytest.mark.parametrize("kind", ["shard", "cars"])
def test_a_file_that_a_slip_names_is_missing_or_cut_or_open_to_everybody(kind: str, filled: Path) -> None:
    path = next(path for path in shelves(filled) if path.name.startswith(kind))
    whole, mode = path.read_bytes(), path.stat().st_mode
    path.write_bytes(whole[:-1])
    refused(filled, f"{path.name} is not as roadwatch left it")
    path.write_bytes(whole)
    path.chmod(mode | stat.S_IWOTH)
    refused(filled, f"everybody may write {path.name}")
    path.unlink()
    refused(filled, f"{path.name} is missing")


def test_files_in_each_others_place_are_refused(filled: Path) -> None:
    one, two, *_ = shelves(filled)
    bytes_of_one = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(bytes_of_one)
    refused(filled, "is not as roadwatch left it")


def test_rows_that_the_engine_will_not_read_need_no_files(filled: Path) -> None:
    """A kill leaves rows of the epoch after the last whole one, and their files half written over."""
    ahead = Seal(KEY.encode()).close("windows/0", b'{"state": [[99, 5, "of bytes that never came"]]}')
    statement = "INSERT INTO snaps VALUES ('', 'roadwatch.windows', '0', ?, ?)"
    write(filled, statement, 1000, pickle.dumps(ahead))
    open_store(settings(filled))
    write(filled, "UPDATE fronts SET worker_frontier = 1001", part=1)
    write(filled, "UPDATE commits SET commit_epoch = 1000")
    write(filled, "UPDATE commits SET commit_epoch = 1000", part=1)
    refused(filled, "shard-0.3 is missing")


def test_a_name_that_is_changed_in_the_index_alone_is_refused(filled: Path) -> None:
    """The engine finds its rows by the index, so a sound table is not enough; wherever the name of a step stands."""
    path, before, name = filled / "recovery" / "part-0.sqlite3", rows(filled), b"roadwatch.windows"
    whole = path.read_bytes()
    places = [match.start() for match in re.finditer(re.escape(name), whole)]
    assert len(places) > 64
    for where in places:
        path.write_bytes(whole[:where] + b"R" + whole[where + 1 :])
        try:
            open_store(settings(filled))
        except RecoveryError:
            continue
        assert rows(filled) == before, f"at byte {where}"  # it stood in unused space


class Trap:
    """What a stranger would write: unpickling it runs what he chose."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


SEALED = Seal(KEY.encode()).close("windows/0", b"state")
ROWS = {
    "a shard's state of his own": ("windows", pickle.dumps(b"state")),
    "a state under a seal of another key": ("windows", pickle.dumps(Seal(b"another").close("windows/0", b"state"))),
    "a state sealed for another place": ("windows", pickle.dumps(Seal(KEY.encode()).close("windows/1", b"state"))),
    "a state that is none": ("windows", pickle.dumps(None)),
    "no state at all": ("windows", None),
    "two values": ("windows", b"\x80\x04" + 2 * pickle.dumps(SEALED)[2:-1] + b"0."),
    "no pickle": ("windows", SEALED),
    "half a pickle": ("windows", pickle.dumps(SEALED)[:40]),
    "a list": ("windows", pickle.dumps([SEALED])),
    "bytes where an output keeps none": ("alerts", pickle.dumps(b"state")),
    "a step that there is not": ("archive", pickle.dumps(None)),
}


@pytest.mark.parametrize("what", ROWS)
def test_a_row_that_somebody_else_wrote_is_refused(what: str, filled: Path) -> None:
    step, row = ROWS[what]
    write(filled, "DELETE FROM snaps WHERE state_key = '0'")
    write(filled, "INSERT INTO snaps VALUES ('today', ?, '0', 1, ?)", f"roadwatch.{step}", row)
    refused(filled, rf"part-0.sqlite3: the state of roadwatch.{step} 0 (is no snapshot|was not written by this roadwatch)")


def test_a_row_of_ours_is_accepted(filled: Path) -> None:
    """So the refusals above are for what is in the rows, not for how the test writes them."""
    write(filled, "DELETE FROM snaps WHERE state_key = '0'")
    write(filled, "INSERT INTO snaps VALUES ('today', 'roadwatch.windows', '0', 1, ?)", pickle.dumps(SEALED))
    write(filled, "INSERT INTO snaps VALUES ('today', 'roadwatch.alerts', 'producer', 1, ?)", pickle.dumps(None))
    open_store(settings(filled))


@pytest.mark.parametrize("step", ["source", "windows", "alerts"])
def test_a_trap_does_not_spring(step: str, filled: Path) -> None:
    trap = pickle.dumps(Trap(filled / "sprung"))
    write(filled, "INSERT INTO snaps VALUES ('today', ?, 'x', 1, ?)", f"roadwatch.{step}", trap)
    refused(filled, "is none of its opcodes")
    assert not (filled / "sprung").exists()
    pickle.loads(trap)
    assert (filled / "sprung").exists()  # it would have


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER late AFTER INSERT ON exs BEGIN UPDATE snaps SET ser_change = x'00'; END",
        "CREATE VIEW other AS SELECT * FROM snaps",
        "CREATE TABLE more (x)",
        "ALTER TABLE snaps ADD COLUMN more BLOB AS (ser_change)",
    ],
)
def test_a_store_that_could_show_the_engine_other_rows_is_refused(statement: str, filled: Path) -> None:
    write(filled, statement)
    refused(filled, "part-0.sqlite3: holds other tables than the engine makes")


def test_only_these_unpickle() -> None:
    """Whoever unpickles must say here whose bytes they are: those below are behind a seal, or behind
    the digest of a sealed slip (dataflows/steps.py, dataflows/shelf.py)."""
    callers = {
        path.relative_to(ROOT).as_posix()
        for room in ("dataflows", "detectors", "benchmarks", "deploy")
        for path in (ROOT / room).rglob("*.py")
        if re.search(
            r"\b(pickle|dill|joblib|marshal|shelve|cloudpickle)\b.*\bloads?\b|\bUnpickler\b|allow_pickle=True",
            path.read_text("utf-8"),
        )
        or re.search(r"from pickle import|import (dill|joblib|marshal|shelve|cloudpickle)", path.read_text("utf-8"))
    }
    assert callers == {"dataflows/packing.py", "dataflows/journal.py", "dataflows/merge.py"}


def test_two_workers_do_not_share_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataflows.store.LEAVES", 0.1)
    made = settings(tmp_path)
    open_store(made)
    with sole_use(made):
        with pytest.raises(RecoveryError, match=r"another worker uses the recovery store in .*; end it, or"), sole_use(made):
            raise AssertionError("both write into it")
        with sole_use(made, process_id=1):
            pass  # a cluster's others come under the first one's lock
    with sole_use(made):
        pass  # it ended


def test_an_empty_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    with pytest.raises(SettingsError, match=r"key_file .* is empty"):
        open_store(load(None, {"recovery": {"directory": str(tmp_path / "r")}, "privacy": {"key_file": str(tmp_path / "key")}}))


def test_a_start_that_came_to_nothing_leaves_nothing_to_go_on_from(filled: Path, tmp_path: Path) -> None:
    """As one without a broker; the log must not say that state was resumed, for a volume that is not mounted shows by that."""
    open_store(new := settings(tmp_path / "new"))
    assert not has_snapshot(new.recovery.directory)
    assert has_snapshot(filled / "recovery")
