"""The recovery store: made once, with a note of the settings that its state depends on, and refused under others."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from bytewax.recovery import RecoveryConfig, init_db_dir

from dataflows.settings import Settings

NOTE = "roadwatch.json"  # beside the engine's files: what they were made with
VERSION = 3  # of what the snapshots hold: to be raised whenever a detector's state changes its layout
WAIT = 10.0  # s for the cluster's first process to make the store


class RecoveryError(Exception):
    """The store cannot be used: one sentence, and never a start from nothing unasked."""


def open_store(settings: Settings, process_id: int = 0) -> RecoveryConfig:
    """Open the store, or make it at the first run (the first process does, the others wait). Raises RecoveryError."""
    directory, made_with = settings.recovery.directory, _made_with(settings)
    note = directory / NOTE
    try:
        if process_id == 0 and not note.exists():
            _make(directory, made_with, settings.recovery.partitions)
        deadline = time.monotonic() + WAIT
        while not note.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        found = json.loads(note.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RecoveryError(f"cannot use the recovery store in {directory}: {error}; check the disk and its rights") from None
    if found.get("version") != VERSION:
        raise RecoveryError(
            f"the recovery store in {directory} was made by another version of roadwatch (layout {found.get('version')}, not "
            f"{VERSION}); run that one, or name another recovery.directory to start from nothing"
        )
    for name, value in made_with.items():
        if found.get(name) != value:
            raise RecoveryError(
                f"the recovery store in {directory} was made with {name} = {found.get(name)}, not {value}; "
                "set it back, or name another recovery.directory to start from nothing"
            )
    return RecoveryConfig(directory, backup_interval=timedelta(0))


def _make(directory: Path, made_with: dict[str, Any], partitions: int) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(directory.iterdir()):
        raise RecoveryError(f"{directory} holds something else than a recovery store; name an empty recovery.directory")
    init_db_dir(directory, partitions)
    draft = directory / f"{NOTE}.new"
    draft.write_text(json.dumps(made_with), "utf-8")
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
