"""`roadwatch replay`: recorded files through the same graph, with a progress bar and a summary."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from bytewax.run import cli_main
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dataflows import heap, logs, replay
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.incidents import flow
from dataflows.intake import Poll
from dataflows.recorded import RecordingError, messages
from dataflows.replay_summary import Played, summary, why_nothing
from dataflows.secret_files import about_the_key, pseudonym_key
from dataflows.settings import Settings
from dataflows.span import Span

say = Console(stderr=True, highlight=False, soft_wrap=True)


def replay_files(
    files: Sequence[tuple[Path, str]], out: Path, cells: Path | None, dead_letters: Path | None, settings: Settings
) -> None:
    """Replay (path, format name) files; alerts go to `out`. Raises RecordingError, SettingsError."""
    logs.configure(settings.logs.level, settings.logs.format)
    _make_room([path for path, _ in files], [path for path in (out, cells, dead_letters) if path is not None])
    for sentence in about_the_key(settings):
        say.print(sentence)
    context = Context(Pseudonym(pseudonym_key(settings)), settings.window.max_ahead)
    played = _play(files, out, cells, dead_letters, settings)
    for sentence in summary(played, out, settings, context):
        say.print(sentence)
    if nothing := why_nothing(played, settings.window.max_behind, context):
        raise RecordingError(nothing)


def _make_room(read: Sequence[Path], written: Sequence[Path]) -> None:
    """Write an empty file in each place, which says that there was nothing; an old one would say what is not true."""
    for path in written:
        if not path.parent.is_dir():
            raise RecordingError(f"there is no directory {path.parent} for {path.name}; make it, or name another place")
        if path.is_dir():
            raise RecordingError(f"{path} is a directory; name a file in it to write to")
        if path.exists() and not path.is_file() and not path.samefile(os.devnull):
            raise RecordingError(f"{path} is no ordinary file, and it is read again at the end; name one")
    _apart(read, written)
    for path in written:
        if path.exists() and path.stat().st_size:
            say.print(f"{path} was there and is written anew")
        try:
            path.write_bytes(b"")
        except OSError as error:
            raise RecordingError(f"cannot write {path}: {error.strerror}; name another place to write to") from None


def _play(
    files: Sequence[tuple[Path, str]], out: Path, cells: Path | None, dead_letters: Path | None, settings: Settings
) -> Played:
    """Let the files through the graph, with a bar for each."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=say, transient=True) as bar:
        counting = bar.add_task("counting messages", total=None)
        totals = {path: sum(1 for _ in messages(path, FORMATS[name])) for path, name in files}
        bar.remove_task(counting)
        tasks = {str(path): bar.add_task(path.name, total=total) for path, total in totals.items()}
        spans = {path: Span() for path in totals}
        started = time.monotonic()

        def progressed(file: str, count: int, poll: Poll) -> None:
            bar.update(tasks[file], completed=count)
            spans[Path(file)].take(poll)

        ends = replay.ends(files, settings, out, cells, dead_letters, progressed)
        graph = flow(settings, ends, kept=False)
        heap.settle()
        replay.UNWRITTEN.error = None
        cli_main(graph)
        if replay.UNWRITTEN.error is not None:
            raise replay.UNWRITTEN.error
        return Played(dict(files), totals, spans, time.monotonic() - started)


def _apart(read: Sequence[Path], written: Sequence[Path]) -> None:
    """Nothing that is read, or written for another purpose, may be written anew, nor anything be read twice.

    Raises RecordingError.
    """
    for number, path in enumerate(read):
        if any(_same(path, other) for other in read[:number]):
            raise RecordingError(f"{path} is named twice, and a recording goes in once; leave one of them out")
    for number, path in enumerate(written):
        if any(_same(path, other) for other in read):
            raise RecordingError(f"{path} is one of the recordings, and would be written anew; name another file to write to")
        if any(_same(path, other) for other in written[:number]):
            raise RecordingError(f"{path} is to be written for two purposes; name another file for one of them")


def _same(path: Path, other: Path) -> bool:
    """Whether both are one file, by whatever name or link."""
    return path.resolve() == other.resolve() or (path.exists() and other.exists() and path.samefile(other))
