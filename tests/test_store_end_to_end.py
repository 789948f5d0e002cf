"""A store that cannot be used, under a real `roadwatch run`: it ends with one sentence, and nothing starts from nothing."""

from __future__ import annotations

import ctypes
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from dataflows.kafka_admin import create_missing
from dataflows.settings_reader import load
from dataflows.store import LOCK, NOTE, VERSION
from tests import traffic, worker_settings
from tests.forked import Forked
from tests.living import PATIENCE, LivingWorker, broker_or_skip, roadwatch
from tests.test_broker_end_to_end import ROOT, Sent, _messages, _partition, send

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2  # linux/prctl.h, linux/capability.h
SEEDS = range(1, 5)  # of damage


@dataclass
class Half:
    """A worker has read the first half of the messages, was stopped, and left this store; the second half waits."""

    store: Path
    broker: str
    second: int  # messages


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Half]:
    folder = tmp_path_factory.mktemp("half")
    sent: Sent = {_partition(path): _messages(path, form) for path, form in traffic.files(folder, 100, seed=5, vehicles=27)}
    with broker_or_skip() as broker:
        config = worker_settings.write(folder / "roadwatch.toml", broker)
        settings = load(config)
        create_missing(settings, 3, 1)
        first = send(settings, {where: m[: len(m) // 2] for where, m in sent.items()})
        with LivingWorker(config, folder / "log") as worker:
            worker.page(lambda page: page.total("received_messages_total") == first, "the first half is read")
            assert worker.stop(signal.SIGTERM) == 0, (folder / "log").read_text()
        second = send(settings, {where: m[len(m) // 2 :] for where, m in sent.items()})
        yield Half(folder / "recovery", broker, second)


@pytest.fixture
def trial(half: Half, tmp_path: Path) -> Trial:
    return Trial(half, tmp_path)


class Trial:
    """A copy of the store, to be spoilt, and a worker that is started on it."""

    def __init__(self, half: Half, folder: Path) -> None:
        self.half, self.folder, self.store = half, folder, folder / "recovery"
        shutil.copytree(half.store, self.store)
        self.store.chmod(0o700)
        self.config = worker_settings.write(folder / "roadwatch.toml", half.broker)

    def part(self, number: int) -> Path:
        return self.store / f"part-{number}.sqlite3"

    def fails(self, *flags: str, within: Callable[[], None] | None = None, before: tuple[str, ...] = ()) -> str:
        """Run the worker to its end, which must be one of exit code 1 and one sentence. The sentence."""
        command = ("run", "--config", str(self.config), "--set=metrics.port=0", *flags)
        if before or within:
            ended = subprocess.run(
                [*before, *roadwatch(*command)], cwd=ROOT, capture_output=True, timeout=PATIENCE, preexec_fn=within
            )
            out, err, code = ended.stdout.decode(), ended.stderr.decode(), ended.returncode
        else:
            forked = Forked("dataflows.cli", *command)
            out, err = (text.decode() for text in forked.communicate(PATIENCE))
            code = forked.wait()
        print(f"it said: {err}")  # pytest -rP shows it
        assert (code, out) == (1, ""), err
        logged, said = [], []
        for line in err.splitlines():
            (logged if line.startswith("{") else said).append(line)
        assert len(said) == 1, err
        assert said[0].startswith("roadwatch: "), err
        assert str(self.store) in said[0]
        assert "; " in said[0]
        assert {json.loads(line)["level"] for line in logged} <= {"info"}, err
        return said[0]

    def prints(self) -> dict[str, str]:
        return {path.name: sha256(path.read_bytes()).hexdigest() for path in self.store.iterdir() if path.is_file()}

    def is_refused(self, *flags: str, **more: Callable[[], None]) -> str:
        """It fails, and nothing in the store was touched: what can still be saved, somebody may save."""
        before = self.prints()
        said = self.fails(*flags, **more)
        assert self.prints() == before
        return said

    def goes_on(self) -> None:
        """A worker resumes on the store, and reads none of the first half again."""
        with LivingWorker(self.config, self.folder / "log") as worker:
            page = worker.page(lambda page: set(page.values("partition_idle")) == {1.0}, "everything is read")
            assert worker.stop(signal.SIGTERM) == 0
        assert page.total("received_messages_total") <= self.half.second


def bound_by_modes() -> None:
    """root is not; without these two capabilities it is, like everybody."""
    if os.geteuid() == 0:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def bound_in_size(limit: int) -> Callable[[], None]:
    """No file may grow beyond it: as a full disk, which anybody can have."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def test_the_unspoilt_copy_is_resumed_from(trial: Trial) -> None:
    """So that the tests below fail of what they spoil, and of nothing else."""
    trial.goes_on()


def test_another_cluster(trial: Trial) -> None:
    """Of the same topics: what was read of the first would be missed in them, or be read again."""
    with broker_or_skip() as other:
        worker_settings.write(trial.config, other)
        create_missing(load(trial.config), 3, 1)
        said = trial.is_refused()
    assert f"and the broker at {other} belongs to" in said
    worker_settings.write(trial.config, trial.half.broker)
    trial.goes_on()


def test_a_topic_that_is_not_read_any_more_is_no_reason_to_end(trial: Trial) -> None:
    """And once it is read again it goes on where it stood."""
    config = trial.config.read_text()
    trial.config.write_text("".join(line for line in config.splitlines(keepends=True) if '"sensors"' not in line))
    trial.goes_on()
    assert "a partition that was read before is not read any more" in (trial.folder / "log").read_text()
    trial.config.write_text(config)
    trial.goes_on()


def test_a_full_disk(trial: Trial) -> None:
    largest = max(path.stat().st_size for path in trial.store.iterdir() if path.is_file())
    said = trial.fails(within=bound_in_size(largest // 4))
    assert "disk I/O error; check the disk and its room and start again: it resumes from its last snapshot" in said
    trial.goes_on()


def test_a_full_file_system(trial: Trial) -> None:
    """The same in a file system that really is full, where one may be mounted; it is gone with its only process."""
    apart = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--mount", "--user", "--map-root-user")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*apart, "mount", "-t", "tmpfs", "none", "/mnt"], check=False).returncode
    ):
        pytest.skip("may not mount here")
    pages = sum(-(-path.stat().st_size // 4096) for path in trial.half.store.rglob("*") if path.is_file())
    size = 4096 * pages + 200_000
    mount = f'mount -t tmpfs -o mode=700,size={size} none "{trial.store}"'
    script = f'{mount} && cp -r "{trial.half.store}"/* "{trial.store}" && exec "$@"'
    said = trial.fails(before=(*apart, "sh", "-c", script, "sh"))
    assert "database or disk is full; make room and start again" in said


def test_a_disk_that_is_full_from_the_first(trial: Trial) -> None:
    shutil.rmtree(trial.store)
    said = trial.fails(within=bound_in_size(5000))
    assert "cannot make a recovery store" in said
    assert [path.name for path in trial.store.iterdir()] == [
        LOCK
    ]  # and nothing else, so that there is room for a whole one later


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
def test_a_directory_that_may_not_be_written(made: bool, trial: Trial) -> None:
    if not made:
        shutil.rmtree(trial.store)
        trial.store.mkdir()
    for path in (p for p in trial.store.iterdir() if p.is_file()):
        path.chmod(0o400)
    trial.store.chmod(0o500)
    try:
        said = trial.is_refused(within=bound_by_modes)
    finally:
        trial.store.chmod(0o700)
    assert "right to" in said or "where this user may write" in said


def test_a_directory_that_may_not_be_read(trial: Trial) -> None:
    trial.store.chmod(0)
    try:
        said = trial.fails(within=bound_by_modes)
    finally:
        trial.store.chmod(0o700)
    assert "Permission denied" in said


@pytest.mark.parametrize("seed", SEEDS)
def test_overwritten_bytes(seed: int, trial: Trial) -> None:
    dice = random.Random(seed)
    path = trial.part(dice.randrange(4))
    spoilt = bytearray(path.read_bytes())
    for _ in range(40):
        where = dice.randrange(len(spoilt) - 200)
        spoilt[where : where + 200] = dice.randbytes(200)
    path.write_bytes(spoilt)
    said = trial.is_refused()
    assert "put back a backup of the whole directory" in said, f"seed {seed}, {path.name}"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_truncated_file(seed: int, trial: Trial) -> None:
    dice = random.Random(seed)
    path = trial.part(dice.randrange(4))
    length = dice.randrange(path.stat().st_size - 4096)
    os.truncate(path, length)
    assert "put back a backup of the whole directory" in trial.is_refused(), f"seed {seed}: {path.name} cut to {length}"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_spoilt_file_of_a_shard(seed: int, trial: Trial) -> None:
    """Every file there is: that of an older snapshot may be spoilt, and whoever is needed is missed."""
    dice = random.Random(seed)
    for path in sorted(trial.store.glob("shard-*")):
        spoilt = bytearray(path.read_bytes())
        spoilt[dice.randrange(len(spoilt))] ^= 1
        path.write_bytes(spoilt)
    said = trial.is_refused()
    assert re.search(r"shard-\d+\.\d is not as roadwatch left it; put back a backup of the whole directory", said), said


def test_a_missing_partition(trial: Trial) -> None:
    trial.part(2).unlink()
    assert "is damaged: part-2.sqlite3 is missing; put back a backup of the whole directory" in trial.is_refused()


def test_an_extra_partition(trial: Trial) -> None:
    shutil.copy(trial.part(3), trial.part(4))
    assert "is damaged: part-4.sqlite3 does not belong to it" in trial.is_refused()


def test_an_older_version(trial: Trial) -> None:
    note = trial.store / NOTE
    note.write_text(json.dumps(json.loads(note.read_text()) | {"version": VERSION - 1}))
    assert f"another version of roadwatch (layout {VERSION - 1}, not {VERSION}); run that one, or" in trial.is_refused()


@pytest.mark.parametrize("changed", ["window.shards=32", "window.pane=2000", "recovery.partitions=5"])
def test_changed_settings(changed: str, trial: Trial) -> None:
    name, _, value = changed.partition(".")[2].partition("=")
    said = trial.is_refused(f"--set={changed}")
    assert f"was made with {name} = " in said
    assert f", not {value}; set it back, or name an empty recovery.directory" in said


def test_another_key(trial: Trial) -> None:
    config = trial.config.read_text()
    trial.config.write_text(re.sub('(?m)^key = ".*"$', 'key = "another"', config))
    assert trial.config.read_text() != config
    said = trial.is_refused()
    assert "made under another key than this privacy.key, or written by somebody else; put back the key" in said


def test_a_supervised_cluster_is_not_started_again_and_again(trial: Trial) -> None:
    trial.part(2).unlink()
    assert "is damaged: part-2.sqlite3 is missing" in trial.is_refused("--processes=2")


def test_both_processes_of_a_cluster_end_with_a_sentence(trial: Trial) -> None:
    """The one whose disk is full says so, and the other that it lost it."""
    from tests.test_digest import _free_addresses

    largest = max(path.stat().st_size for path in trial.store.iterdir() if path.is_file())
    addresses = ";".join(_free_addresses(2))
    members = [
        subprocess.Popen(
            roadwatch(
                "run", "--config", str(trial.config), "--set=metrics.port=0", "--addresses", addresses, "--process-id", str(n)
            ),
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=bound_in_size(largest // 4),
        )
        for n in range(2)
    ]
    said = [
        [line for line in member.communicate(timeout=PATIENCE)[1].splitlines() if not line.startswith("{")]
        for member in members
    ]
    assert [member.returncode for member in members] == [1, 1], said
    assert [len(lines) for lines in said] == [1, 1], said
    assert any("disk I/O error" in lines[0] and "check the disk and its room" in lines[0] for lines in said), said
