"""The recovery store: made once, with a sealed note of what its state depends on, and refused whenever it is not just that."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bytewax.recovery import RecoveryConfig, init_db_dir

from dataflows.panics import Panics
from dataflows.seal import Seal
from dataflows.secret_files import pseudonym_key
from dataflows.settings import Settings
from dataflows.store_check import StoreError, check, connections, parts
from dataflows.told import ToldError
from dataflows.unfinished import forget_unfinished

LOCK = "roadwatch.lock"  # held by the worker, or by the first process of the cluster, that uses the store
NOTE = "roadwatch.json"  # beside the engine's files: what they were made with
DRAFT = f"{NOTE}.new"  # the note of a store that is being made
VERSION = 21  # of what the snapshots hold: to be raised whenever a detector's state changes its layout
WAIT = 10.0  # s for the cluster's first process to make the store
LEAVES = 5.0  # s for whoever had it before to end: a cluster that was killed and started again
TRIAL = 1 << 20  # bytes: more than a snapshot of one shard, with its journal
AFRESH = "name an empty recovery.directory to start from nothing"

SQLITE = re.compile(r'SqliteFailure\(.*?Some\("([^"]*)"\)')  # in what the engine says when its store fails

# What to do about each complaint of SQLite, be it ours or the engine's. Its words are the same in both.
REMEDIES = {
    "database or disk is full": "make room and start again: it resumes from its last snapshot",
    "disk I/O error": "check the disk and its room and start again: it resumes from its last snapshot",
    "readonly database": "give this user the right to write there, or mount it writable",
    "unable to open database file": "give this user the right to read and write there, and the disk some room",
    "database is locked": "let only one worker, or one cluster, use a store",
    "malformed": f"put back a backup of the whole directory, or {AFRESH}",
    "not a database": f"put back a backup of the whole directory, or {AFRESH}",
}


class RecoveryError(ToldError):
    """The store cannot be used: one sentence, and never a start from nothing unasked."""


def is_there(settings: Settings) -> bool:
    """Whether a store was made before; False, too, where that cannot be seen."""
    try:
        return (settings.recovery.directory / NOTE).exists()
    except OSError:
        return False


def has_snapshot(directory: Path) -> bool:
    """Whether there is something to go on from: a start that came to nothing leaves a store without."""
    with connections(directory) as files:
        return any(part.execute("SELECT 1 FROM snaps LIMIT 1").fetchone() for part in files)


@contextmanager
def sole_use(settings: Settings, process_id: int = 0) -> Iterator[None]:
    """Hold the store's lock, so that no second worker writes into it; the system lets go of it whatever becomes of us.

    The first process holds it for its whole cluster, and takes out what an unfinished epoch left. Raises RecoveryError.
    """
    if process_id:
        yield
        return
    directory = settings.recovery.directory.absolute()
    with _locked(directory):
        try:
            forget_unfinished(directory)
        except sqlite3.Error as error:
            raise unusable(directory, str(error)) from None
        yield


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    try:
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unusable(directory, f"unable to open database file ({error.strerror})") from None
    deadline = time.monotonic() + LEAVES
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise RecoveryError(
                    f"another worker uses the recovery store in {directory}; end it, or name another recovery.directory"
                ) from None
            time.sleep(0.05)
    try:
        yield
    finally:
        os.close(descriptor)


def open_store(settings: Settings, process_id: int = 0) -> RecoveryConfig:
    """Open the store, or make it at the first run (the first process does, the others wait). Raises RecoveryError."""
    directory, made_with, seal = settings.recovery.directory.absolute(), _made_with(settings), Seal(pseudonym_key(settings))
    note = directory / NOTE
    try:
        if process_id == 0 and not note.exists():
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            _refuse_others(directory)
            with _locked(directory):
                if not note.exists():  # still
                    _make(directory, made_with, seal)
        deadline = time.monotonic() + WAIT
        while not note.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        found = json.loads(note.read_text("utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"{NOTE} is not what roadwatch writes")
    except OSError as error:
        raise RecoveryError(f"cannot use the recovery store in {directory}: {error}; check the disk and its rights") from None
    except ValueError as error:
        raise RecoveryError(f"{_damaged(directory)}: {NOTE}: {error}; {REMEDIES['malformed']}") from None
    _compare(found, made_with, seal, settings)
    try:
        check(directory, settings.recovery.partitions, found["store"], seal)
    except StoreError as error:
        said = " ".join(str(error).split())  # one line, whatever stood in there
        raise RecoveryError(f"{_damaged(directory)}: {said}; {REMEDIES['malformed']}") from None
    except (OSError, sqlite3.Error) as error:
        raise unusable(directory, str(error)) from None
    return RecoveryConfig(directory, backup_interval=timedelta(0))


def unusable(directory: Path, complaint: str) -> RecoveryError:
    """SQLite's or the engine's complaint as a sentence that says what to do."""
    remedy = next((remedy for words, remedy in REMEDIES.items() if words in complaint), REMEDIES["malformed"])
    return RecoveryError(f"cannot use the recovery store in {directory.absolute()}: {complaint}; {remedy}")


def of_sqlite(text: str) -> str:
    """SQLite's complaint in what the engine said; empty if there is none."""
    found = SQLITE.search(text)
    return found[1] if found else ""


def trouble(directory: Path) -> str:
    """What is wrong with the store's disk, by writing to it; empty if nothing is."""
    path = directory / f"{NOTE}.trial"
    try:
        try:
            path.write_bytes(bytes(TRIAL))
        finally:
            path.unlink(missing_ok=True)
    except OSError as error:
        return f"disk I/O error ({error.strerror})"
    return ""


def _damaged(directory: Path) -> str:
    return f"the recovery store in {directory} is damaged"


def _compare(found: Mapping[str, Any], made_with: Mapping[str, Any], seal: Seal, settings: Settings) -> None:
    """The layout first: what another version wrote, and how it sealed it, only that one knows."""
    directory, key_file = settings.recovery.directory.absolute(), settings.privacy.key_file.absolute()
    if found.get("version") != VERSION:
        raise RecoveryError(
            f"the recovery store in {directory} was made by another version of roadwatch (layout {found.get('version')}, not "
            f"{VERSION}); run that one, or {AFRESH}"
        )
    said = {name: value for name, value in found.items() if name != "seal"}
    if found.get("seal") != seal.of_note(said):
        key = "privacy.key" if settings.privacy.key is not None else f"privacy.key_file {key_file}"
        raise RecoveryError(
            f"the recovery store in {directory} was made under another key than this {key}, or written by somebody else; "
            f"put back the key that it was made under, or {AFRESH}"
        )
    for name, value in made_with.items():
        if found.get(name) != value:
            raise RecoveryError(
                f"the recovery store in {directory} was made with {name} = {found.get(name)}, not {value}; "
                f"set it back, or {AFRESH}"
            )


def _begun(directory: Path) -> list[Path]:
    """What there is of a store whose maker was killed before it was one: nothing was ever kept in it."""
    draft = directory / DRAFT
    return [*directory.glob("part-*.sqlite3*"), draft] if draft.exists() else []


def _refuse_others(directory: Path) -> None:
    if set(directory.iterdir()) - {directory / LOCK, *_begun(directory)}:
        raise RecoveryError(
            f"{directory} holds something else than a recovery store, or one without its {NOTE}; {REMEDIES['malformed']}"
        )


def _make(directory: Path, made_with: Mapping[str, Any], seal: Seal) -> None:
    for path in _begun(directory):
        path.unlink()
    try:
        with Panics():
            _fill(directory, made_with, seal)
    except BaseException as error:  # half a store is none; the engine panics on a full disk, which is no Exception
        for path in directory.iterdir():
            if path.name != LOCK:
                path.unlink()
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        complaint = of_sqlite(str(error)) or error
        raise RecoveryError(
            f"cannot make a recovery store in {directory}: {complaint}; give it room on a disk where this user may write"
        ) from None


def _fill(directory: Path, made_with: Mapping[str, Any], seal: Seal) -> None:
    draft = directory / DRAFT
    file = os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")  # first: it says best what is wrong
    init_db_dir(directory, made_with["partitions"])
    store = secrets.randbelow(2**31 - 1) + 1
    for path in parts(directory):
        path.chmod(0o600)  # SQLite gives its journals the same
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA application_id = {store}")  # which store a partition belongs to
        connection.close()
    note = {**made_with, "store": store}
    with file:
        json.dump({**note, "seal": seal.of_note(note)}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(directory / NOTE)  # all of it or nothing: the others wait for it


def _made_with(settings: Settings) -> dict[str, Any]:
    window = settings.window
    return {
        "version": VERSION,
        "shards": window.shards,
        "pane": window.pane,
        "cell_resolution": window.cell_resolution,
        "shard_resolution": window.shard_resolution,
        "reading_shards": window.reading_shards,
        "partitions": settings.recovery.partitions,
    }
