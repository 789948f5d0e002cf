"""Files that are written over in turn: what a row's slips are of comes back whole, and nothing else passes for it."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections import Counter
from concurrent.futures import Future
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows import disk as disks
from dataflows.disk import Disk, Writing
from dataflows.grid import Grid
from dataflows.intake import Chunk
from dataflows.journal import HELD, Journal, read
from dataflows.metrics import METRICS
from dataflows.pace import Pace
from dataflows.packing import load, pack, unpack
from dataflows.seal import Seal
from dataflows.settings import Settings
from dataflows.shard_shelf import TURNS, ShardShelf
from dataflows.shelf import SPARE, Shelf, ShelfError, Slip, from_row, to_row
from dataflows.steps import WindowStep
from dataflows.window import Panes, ShardWindow
from detectors import CATALOGUE
from detectors.battery_vehicles import FORGET, Changes, Vehicles
from tests import road
from tests.living import PATIENCE
from tests.test_contract import batteries

PANES = Panes(1000, ("ev/0",), Grid(Settings().window), CATALOGUE)
READINGS = batteries(vehicles=40, seconds=400)  # one grows hot in the last hundred


def test_what_is_packed_comes_back() -> None:
    """Large arrays, small ones, and none; what was loaded can be written."""
    parts = {"large": {"a": np.arange(5000), "b": np.arange(3)}, "plain": [1, "two"], "void": np.zeros(0)}
    pieces, sizes = pack(parts)
    found = {name: load(each) for name, each in unpack(b"".join(pieces)).items()}
    assert found.keys() == sizes.keys() == parts.keys()
    assert sizes["large"] > 40_000
    assert found["plain"] == [1, "two"]
    found["large"]["a"][0] = 7
    assert found["large"]["a"].tolist() == [7, *range(1, 5000)]
    assert found["large"]["b"].tolist() == [0, 1, 2]


def test_so_many_older_rows_can_still_be_resumed_from(tmp_path: Path) -> None:
    one = Shelf(Disk(tmp_path), "shard-7", parts=3)
    put = [list(one.put([f"state {number}".encode()])) for number in range(10)]
    for slips in put[-1 - SPARE :]:
        last = slips[-1].number
        assert [bytes(file) for file in one.read(slips)] == [f"state {n}".encode() for n in range(last - 2, last + 1)]
    with pytest.raises(ShelfError, match="is not as roadwatch left it"):
        list(one.read(put[-2 - SPARE]))


def test_a_resumed_shelf_writes_over_nothing_that_is_needed(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    one = Shelf(disk, "shard-7", parts=3)
    *_, before, _lost = [list(one.put([bytes([number])])) for number in range(10)]
    disk.settle()
    again = Shelf(Disk(tmp_path), "shard-7", parts=3)
    again.take(before)
    slips = again.put([b"another"])
    assert [bytes(file) for file in again.read(slips)] == [b"\7", b"\10", b"another"]
    assert len(list(again.read(before))) == 3


def test_a_shorter_state_is_not_read_with_the_rest_of_a_longer_one(tmp_path: Path) -> None:
    one = Shelf(Disk(tmp_path), "shard-7")
    for number in range(2 * SPARE):
        slips = one.put([b"long" * (10 - number)])
        assert [len(file) for file in one.read(slips)] == [4 * (10 - number)]
        assert one.path(slips[-1].number).stat().st_size == 4 * (10 - number), "what is longer is given back"


def test_a_journal_gives_back_what_a_longer_one_had_before(tmp_path: Path) -> None:
    window, files = ShardWindow(3, PANES), ShardShelf(Disk(tmp_path), 3)
    counts = [0, 10, 1, 1, 1, 1, 1, 1]
    for number, count in enumerate(counts):  # as many files are written over in turn as may be needed
        feed(window, 40 * number, 40 * number + 20, files)  # its turn
        for _ in range(count):
            files.feed([Chunk("ev/0", 0, 0, True, -1, readings=READINGS[:40])])
        files.put(window)
    longest = max(path.stat().st_size for path in tmp_path.glob("since-*"))
    assert longest < 2 * 40 * READINGS.dtype.itemsize


def test_what_a_journal_says_again_was_counted_before(tmp_path: Path) -> None:
    window, files = ShardWindow(3, PANES), ShardShelf(Disk(tmp_path), 3)
    feed(window, 0, 20, files)
    files.put(window)
    rows = READINGS[40:60]
    chunks = [Chunk("ev/0", int(rows["time"].max()), 2**60, False, -1, readings=np.concatenate([rows, rows]))]
    files.feed(chunks)
    assert window.feed(chunks) is not None
    row, _ = files.put(window)
    before = METRICS.value("panes_total"), METRICS.value("duplicate_records_total")
    again = ShardShelf(Disk(tmp_path), 3).take(row, PANES)
    assert (METRICS.value("panes_total"), METRICS.value("duplicate_records_total")) == before
    assert again.metrics is METRICS


def test_pieces_beyond_what_one_call_takes(tmp_path: Path) -> None:
    one = Shelf(Disk(tmp_path), "shard-7")
    pieces = [bytes([number % 256]) * (number % 7) for number in range(3000)]
    (file,) = one.read(one.put(pieces))
    assert bytes(file) == b"".join(pieces)


def test_a_row_is_slips_or_packed_state() -> None:
    slips = {"state": [Slip(3, 10, "ab")], "cars": []}
    assert from_row(to_row(slips)) == slips
    assert from_row(b"".join(pack({"State": 1})[0])) is None


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EFBIG, "I/O error"), (errno.EIO, "I/O error")]
)
def test_why_a_snapshot_failed_is_kept(number: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(disks.FAILURE, "error", None)
    monkeypatch.setattr(os, "writev", fails)
    disk = Disk(tmp_path)
    Shelf(disk, "shard-7").put([b"state"])
    with pytest.raises(OSError, match=os.strerror(number)):
        disk.written()
    assert disks.FAILURE.error is not None
    assert words in disks.complaint(disks.FAILURE.error)


def test_a_disk_that_fails_later_is_noticed_at_the_end_of_the_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(disks.FAILURE, "error", None)
    monkeypatch.setattr(os, "fdatasync", fails)
    disk = Disk(tmp_path)
    Shelf(disk, "shard-7").put([b"state"])
    with pytest.raises(OSError, match="the disk is gone"):
        disk.settle()
    assert disks.FAILURE.error is not None


def test_what_is_on_the_disk_is_let_go_of_where_nobody_settles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of a cluster that does not hold the incidents; and there, too, a failing disk is noticed."""
    monkeypatch.setattr(disks.FAILURE, "error", None)
    disk = Disk(tmp_path)
    shelf = Shelf(disk, "shard-7")
    for number in range(20):
        shelf.put([bytes([number])])
    _settled(disk)
    assert not disk._syncing

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(os, "fdatasync", fails)
    disk = Disk(tmp_path)
    Shelf(disk, "shard-7").put([b"state"])
    with pytest.raises(OSError, match="the disk is gone"):
        _settled(disk)


def _settled(disk: Disk) -> None:
    disk.written()
    disk._syncs.shutdown(wait=True)
    disk.written()


steps = st.lists(
    st.tuples(st.sets(st.integers(1, 60), max_size=8), st.booleans(), st.booleans()), min_size=1, max_size=4 * TURNS
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_the_last_changes_are_the_whole_table(steps: list[tuple[set[int], bool, bool]]) -> None:
    """Vehicles come, are written to and are forgotten; whenever it is resumed, the table is as it was, to the byte."""
    vehicles, changes = Vehicles(), list[Changes]()
    for turn, (reporters, forget, resume) in enumerate(steps):
        now = turn * FORGET // 5
        if reporters:
            places = vehicles.admit(np.array(sorted(reporters), np.uint64))
            rows = vehicles.table[places]
            rows["time"], rows["soc"] = now + 1, turn
            vehicles.put(places, rows)
        if forget:
            vehicles.forget(now)
        made = vehicles.changes(turn, TURNS)
        changes = [*changes, made][-TURNS:]
        again = Vehicles.of(changes)
        assert again.table[: len(again)].tobytes() == vehicles.table[: len(vehicles)].tobytes()
        vehicles = again if resume else vehicles
    held = vehicles.table["reporter"][: len(vehicles)]
    assert vehicles.find(held.copy()).tolist() == list(range(len(vehicles)))


def test_whoever_is_silent_is_written_in_his_turn() -> None:
    vehicles = Vehicles()
    vehicles.admit(np.arange(1, 101, dtype=np.uint64))
    changes = [vehicles.changes(turn, TURNS) for turn in range(3 * TURNS)]
    for last in range(1, len(changes) + 1):
        again = Vehicles.of(changes[:last][-TURNS:])
        assert again.table[:100].tobytes() == vehicles.table[:100].tobytes()


def test_few_rows_are_written_of_a_large_table() -> None:
    vehicles = Vehicles()
    vehicles.admit(np.arange(1, 16_001, dtype=np.uint64))
    assert len(vehicles.changes(0, TURNS).rows) == 16_000
    places = vehicles.admit(np.array([5, 16_001], np.uint64))
    vehicles.put(places, vehicles.table[places])
    assert 1000 <= len(vehicles.changes(1, TURNS).rows) <= 1002
    assert len(vehicles.changes(2, TURNS).rows) == 1000


def feed(window: ShardWindow, start: int, end: int, files: ShardShelf | None = None) -> str:
    """What is found; `files` hear of it as from the window step."""
    said = []
    for at in range(start, end, 20):
        rows = READINGS[at : at + 20]
        newest = int(rows["time"].max())
        chunks = [Chunk("ev/0", newest - 2000, newest, True, -1, readings=rows)]
        if files is not None:
            files.feed(chunks)
        said.append(repr(window.feed(chunks)))
        if files is not None:
            files.turn(window)
    return "".join(said)


def test_an_epoch_ends_when_all_that_changed_in_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whichever process of a cluster: the power may fail as soon as the engine has said that it is complete."""
    asked, synced, sync, settle = threading.Event(), list[str](), os.fdatasync, Disk.settle

    def slowly(descriptor: int) -> None:
        asked.wait()
        sync(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    def settled(disk: Disk) -> None:
        asked.set()
        settle(disk)

    monkeypatch.setattr(os, "fdatasync", slowly)
    monkeypatch.setattr(Disk, "settle", settled)
    disk, windows = Disk(tmp_path), {shard: ShardWindow(shard, PANES) for shard in (3, 4)}
    files = {shard: ShardShelf(disk, shard) for shard in windows}
    for shard, window in windows.items():
        feed(window, 0, 100, files[shard])
    files[3].put(windows[3])
    assert not asked.is_set()
    files[4].put(windows[4])
    found = sorted(synced)
    asked.set()
    assert found == ["shard-3.0", "shard-4.0", "since-3.0", "since-4.0"]


def test_an_epoch_ends_when_all_that_changed_in_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the disk is, the files are as their slips say before anything changes or the process may be killed."""
    asked, write, wait_for_all = threading.Event(), os.writev, Disk.written

    def slowly(*arguments: Any) -> int:
        asked.wait()
        return write(*arguments)

    def written(disk: Disk) -> None:
        asked.set()
        wait_for_all(disk)

    disk, seal, rows = Disk(tmp_path), Seal(b"key"), road.motorway()
    rows["cell"] = PANES.grid.cells(rows["lat"], rows["lon"])
    steps = {shard: WindowStep(PANES, Pace(PANES.partitions, Settings().window), seal, disk, None) for shard in (3, 4)}
    for shard in (3, 4):
        for some in np.array_split(rows, 30):
            steps[shard].on_batch([(shard, Chunk("ev/0", int(some["time"].max()), 0, True, -1, observations=some))])
    monkeypatch.setattr(os, "writev", slowly)
    monkeypatch.setattr(Disk, "written", written)
    taken = {3: steps[3].snapshot()}
    assert not asked.is_set()
    taken[4] = steps[4].snapshot()
    held = asked.is_set()
    asked.set()
    assert held
    for shard, row in taken.items():
        ShardShelf(disk, shard).check(seal.open(f"windows/{shard}", row))


def test_what_a_file_shows_is_kept_until_it_is_summed_and_written(tmp_path: Path) -> None:
    """Were the sum taken later, no start would believe the file."""
    asked = list[object]()

    class Asked(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            asked.append(self)

    writing = Writing(0, Asked(), Asked())
    Disk(tmp_path).let_go(writing)
    assert set(asked) == {writing.digest, writing.written}


def test_nothing_changes_that_is_still_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state that was written whole between two snapshots is that of its moment, and what came later is not in it."""
    waits, write, wait_for = [False], os.writev, Disk.let_go
    free = threading.Event()

    def slowly(*arguments: Any) -> int:
        if waits[0] and threading.current_thread() is not threading.main_thread():
            free.wait(PATIENCE)
        return write(*arguments)

    def let_go(disk: Disk, writing: Writing) -> None:
        if writing is not disk.lent:  # that of the cars before
            free.set()
        wait_for(disk, writing)

    monkeypatch.setattr(os, "writev", slowly)
    disk, seal = Disk(tmp_path, interval=1e9), Seal(b"key")
    step = WindowStep(PANES, Pace(PANES.partitions, Settings().window), seal, disk, None)
    fed = [(3, Chunk("ev/0", int(some["time"].max()), 0, True, -1, readings=some)) for some in np.array_split(READINGS, 60)]
    step.on_batch(fed[:20])
    first = step.snapshot()
    step.on_batch(fed[20:21])
    assert step._shelf is not None
    step._shelf._due = 0.0
    waits[0] = True
    monkeypatch.setattr(Disk, "let_go", let_go)
    step.on_batch(fed[21:22])  # and it is its turn
    assert not free.is_set()
    step.on_batch(fed[22:])
    assert free.is_set()
    then = step.snapshot()
    rows = [from_row(seal.open("windows/3", row)) for row in (first, then)]
    assert [row["state"][-1].number for row in rows if row] == [0, 1]
    assert held(ShardShelf(disk, 3).take(seal.open("windows/3", then), PANES)) == held(step._window)  # type: ignore[arg-type]


def test_nobody_waits_for_the_cars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are copies: the next batch is taken in while they are written, and they are copied into the same memory again
    only when that is done."""
    write, held_up = os.writev, [True]
    cars = threading.Event()

    def slowly(descriptor: int, pieces: Any) -> int:
        mine = os.fstat(descriptor)
        if held_up[0] and any(os.path.samestat(mine, path.stat()) for path in tmp_path.glob("cars-*")):
            cars.wait()
        return write(descriptor, pieces)

    monkeypatch.setattr(os, "writev", slowly)
    disk = Disk(tmp_path, interval=1e9)
    window, files = ShardWindow(3, PANES), ShardShelf(disk, 3)
    feed(window, 0, 380, files)
    files._due = 0.0
    feed(window, 380, 400, files)  # its turn
    feed(window, 400, 800, files)
    assert disk.lent is not None
    assert not disk.lent.written.done()

    def let_go(disk: Disk, writing: Writing) -> None:
        raise LookupError("is waited for")

    with monkeypatch.context() as patched:
        patched.setattr(Disk, "let_go", let_go)
        with pytest.raises(LookupError):
            disk.room(1)
    held_up[0] = False
    cars.set()
    row, _ = files.put(window)
    assert held(ShardShelf(disk, 3).take(row, PANES)) == held(window)


def test_what_a_slip_says_of_a_journal_is_in_its_file(tmp_path: Path) -> None:
    """And what came later may be in memory, until there is much of it."""
    disk, path = Disk(tmp_path), tmp_path / "since-3.0"
    journal = Journal(disk, path, 0, PANES.partitions)
    fed = [[Chunk("ev/0", number, 0, True, -1, readings=READINGS[:400])] for number in range(60)]
    sizes = list[int]()
    for number, chunks in enumerate(fed):
        journal.add(chunks)
        if number % 20 == 19:
            slip = journal.slip()
            whole = path.read_bytes()
            assert len(whole) == slip.size == journal.size
            assert sha256(whole).hexdigest() == slip.digest
            assert [batch[0].watermark for batch in read(whole)[1]] == list(range(number + 1))
        disk.appended()
        sizes.append(path.stat().st_size if path.exists() else 0)
    assert sizes[0] == 0
    assert max(size - before for before, size in pairwise(sizes)) < 2 * HELD


def test_a_disk_that_was_full_for_a_moment_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal with a hole in it must get no slip, though all that is written after it succeeds."""
    written, fails = os.pwrite, [True]

    def once(*arguments: Any) -> int:
        if fails.pop() if fails else False:
            raise OSError(errno.ENOSPC, "full")
        return written(*arguments)

    monkeypatch.setattr(disks.FAILURE, "error", None)
    monkeypatch.setattr(os, "pwrite", once)
    journal = Journal(Disk(tmp_path), tmp_path / "since-3.0", 0, PANES.partitions)
    for number in range(60):
        journal.add([Chunk("ev/0", number, 0, True, -1, readings=READINGS[:400])])
    for _ in range(2):  # however often it is asked
        with pytest.raises(OSError, match="full"):
            journal.slip()
    assert not fails


def test_a_journal_that_is_cut_late_does_not_cut_the_one_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take turns in few files, and what is to be done with one waits in line."""
    free, cut = threading.Event(), os.ftruncate

    def late(*arguments: Any) -> None:
        free.wait(PATIENCE)
        cut(*arguments)

    disk, path = Disk(tmp_path), tmp_path / "since-3.0"
    path.write_bytes(bytes(10 * HELD))  # of an interval that was busier
    monkeypatch.setattr(os, "ftruncate", late)
    before, after = (Journal(disk, path, number, PANES.partitions) for number in (0, 4))
    before.add([Chunk("ev/0", 0, 0, True, -1, readings=READINGS[:10])])
    before.slip()
    before.end()
    while after.size < 3 * HELD:
        after.add([Chunk("ev/0", 0, 0, True, -1, readings=READINGS[:400])])
    free.set()
    slip = after.slip()
    whole = path.read_bytes()[: slip.size]
    assert (len(whole), sha256(whole).hexdigest()) == (slip.size, slip.digest)


def test_what_is_settled_is_on_the_disk_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's bytes after the last was written, and its name in the directory once in this process: the name may not be
    there even if the file is, for whoever made it may have been killed."""
    told = list[tuple[str, int]]()

    def tell(name: str) -> None:
        call = getattr(os, name)

        def telling(descriptor: int, *arguments: Any) -> Any:
            done = call(descriptor, *arguments)
            told.append((name, os.fstat(descriptor).st_ino))
            return done

        monkeypatch.setattr(os, name, telling)

    for name in ("writev", "pwrite", "fdatasync", "fsync"):
        tell(name)
    (tmp_path / "since-3.0").touch()
    disk, window = Disk(tmp_path), ShardWindow(3, PANES)
    files = ShardShelf(disk, 3)
    for at in range(0, 200, 40):
        feed(window, at, at + 40, files)
        files.put(window)
        disk.settle()
    last = {number: call for call, number in told}  # threads of other tests may have told something, too
    for path in tmp_path.iterdir():
        assert last[path.stat().st_ino] == "fdatasync"
    assert told.count(("fsync", tmp_path.stat().st_ino)) == len(list(tmp_path.iterdir()))


def test_rows_that_come_back_can_be_written(tmp_path: Path) -> None:
    """As those that came first could: a compiled loop would be compiled anew for others."""
    journal = Journal(Disk(tmp_path), tmp_path / "since-3.0", 0, PANES.partitions)
    journal.add([Chunk("ev/0", 0, 0, True, -1, readings=READINGS[:7]), Chunk("ev/0", 0, 0, True, -1)])
    journal.slip()
    _, ((chunk, tick),) = read((tmp_path / "since-3.0").read_bytes())
    assert chunk.readings is not None
    assert chunk.readings.tobytes() == READINGS[:7].tobytes()
    assert chunk.readings.flags.writeable
    assert (tick.readings, chunk.observations, tick.sensors) == (None, None, None)


@pytest.mark.parametrize("interval", [0.0, 1e9])
def test_a_shard_that_is_resumed_from_its_shelf_goes_on_as_if_nothing_had_been(interval: float, tmp_path: Path) -> None:
    """Whether its turn to be written whole comes in every epoch or never again."""
    whole = ShardWindow(3, PANES)
    calm = feed(whole, 0, len(READINGS))
    disk = Disk(tmp_path, interval)
    window, files = ShardWindow(3, PANES), ShardShelf(disk, 3)
    said = ""
    for at in range(0, len(READINGS), 40):
        said += feed(window, at, at + 40, files)
        row, size = files.put(window)
        assert size > 0
        if at // 40 % 3 == 2:
            files = ShardShelf(disk, 3)
            window = files.take(row, PANES)
    assert said == calm
    assert "battery_anomaly" in said
    battery, twin = window.state.detectors["BatteryHealth"], whole.state.detectors["BatteryHealth"]
    assert battery.vehicles.table[:40].tobytes() == twin.vehicles.table[:40].tobytes()  # type: ignore[attr-defined]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=12), st.sampled_from([0.0, 1e9]))
def test_the_engine_may_go_on_from_any_of_the_last_snapshots(epochs: list[tuple[int, bool]], interval: float) -> None:
    """A cluster goes on one before the last, and what came after a snapshot stands behind it in the same file."""
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(Path(folder), interval)
        window, files, fed = ShardWindow(3, PANES), ShardShelf(disk, 3), 0
        taken = list[tuple[bytes, str]]()
        for count, restart in epochs:
            feed(window, fed, fed + 20 * count, files)
            fed += 20 * count
            taken.append((files.put(window)[0], held(window)))
            feed(window, fed, fed + 20, files)  # of the next epoch
            fed += 20
            for row, state in taken[-SPARE:]:
                ShardShelf(disk, 3).check(row)
                assert held(ShardShelf(disk, 3).take(row, PANES)) == state
            if restart:
                fed -= 20
                files = ShardShelf(disk, 3)
                window = files.take(taken[-1][0], PANES)
        disk.settle()  # or its threads would write while the folder is removed


def held(window: ShardWindow) -> str:
    """What it knows of time and of vehicles."""
    battery = window.state.detectors["BatteryHealth"]
    table = battery.vehicles.table[: len(battery.vehicles)].tobytes()  # type: ignore[attr-defined]
    waiting = {name: [each.rows.tobytes() for each in some] for name, some in window.state.waiting.items()}
    return repr((window.state.closed, window.state.awake_until, window.state.partitions, waiting, sha256(table).hexdigest()))


def test_partitions_that_were_added_since_open_no_closed_pane_again(tmp_path: Path) -> None:
    """What the journal's batches closed was told, though a start that knows more partitions would have waited for them."""
    disk = Disk(tmp_path, 1e9)
    window, files = ShardWindow(3, PANES), ShardShelf(disk, 3)
    feed(window, 0, 40, files)
    files.put(window)
    feed(window, 40, 400, files)
    row, _ = files.put(window)
    more = replace(PANES, partitions=("ev/0", "ev/1"))
    again = ShardShelf(disk, 3).take(row, more)
    assert held(again) == held(window)
    assert again.panes == more


def test_a_journal_that_was_changed_is_refused(tmp_path: Path) -> None:
    window, files = ShardWindow(3, PANES), ShardShelf(Disk(tmp_path, 1e9), 3)
    feed(window, 0, 40, files)
    files.put(window)
    feed(window, 40, 80, files)
    row, _ = files.put(window)
    (path,) = tmp_path.glob("since-*")
    assert path in files.files(row)
    whole = path.read_bytes()
    path.write_bytes(whole + b"what came after the snapshot")
    files.check(row)
    path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(ShelfError, match=r"since-3\.0 is not as roadwatch left it"):
        files.check(row)
    path.write_bytes(whole[:-1])
    with pytest.raises(ShelfError, match=r"since-3\.0 is not as roadwatch left it"):
        files.take(row, PANES)


def test_a_snapshot_writes_no_more_than_what_came(tmp_path: Path) -> None:
    window, files = ShardWindow(3, PANES), ShardShelf(Disk(tmp_path, 1e9), 3)
    feed(window, 0, 1000, files)
    _, first = files.put(window)
    feed(window, 1000, 1040, files)
    _, then = files.put(window)
    assert then < 40 * READINGS.dtype.itemsize + 1000 < first
    assert files.put(window)[1] == 0


@pytest.mark.parametrize("first", [0, 99])
def test_shards_are_written_whole_one_after_the_other(first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once in ten seconds, and no three of 64 in the same tenth of a second; those of a start, too, unless the first
    snapshot comes before their turn. `first`: when that is, in tenths of a second."""
    now, whole = [0.0], list[tuple[float, int]]()
    monkeypatch.setattr("dataflows.shard_shelf.time.monotonic", lambda: now[0])
    write = ShardShelf._write

    def noted(files: ShardShelf, window: ShardWindow) -> None:
        whole.append((now[0], files._shard))
        write(files, window)

    monkeypatch.setattr(ShardShelf, "_write", noted)
    disk = Disk(tmp_path, interval=10.0)
    shards = {shard: (ShardWindow(shard, PANES), ShardShelf(disk, shard)) for shard in range(64)}
    for tenth in range(400):
        now[0] = tenth / 10
        for window, files in shards.values():
            files.feed([Chunk("ev/0", 100 * tenth, 100 * tenth, True, -1)])
            files.turn(window)
            if tenth % 100 == first:
                files.put(window)
    assert sorted(shard for at, shard in whole if at < 10.0) == list(range(64))
    by_moment = Counter(at for at, _ in whole if first or at > 0.0)
    assert max(by_moment.values()) <= 2
    assert set(Counter(shard for at, shard in whole if 20.0 < at <= 30.0).values()) == {1}
    assert len({shard for at, shard in whole if 20.0 < at <= 30.0}) == 64


def test_a_detector_that_starts_afresh_is_not_given_its_old_vehicles_back(tmp_path: Path) -> None:
    window, files = ShardWindow(3, PANES), ShardShelf(Disk(tmp_path), 3)
    feed(window, 0, 200, files)
    files.put(window)
    window.state.detectors["BatteryHealth"] = type(window.state.detectors["BatteryHealth"])()
    feed(window, 200, 220, files)  # its turn
    row, _ = files.put(window)
    assert held(files.take(row, PANES)) == held(window)
