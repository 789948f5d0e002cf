"""The same graph from recorded files: each file is a partition, lines come in the order of arrival, as fast as they go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
from bytewax.inputs import StatefulSourcePartition
from bytewax.outputs import DynamicSink, FixedPartitionedSink, StatefulSinkPartition, StatelessSinkPartition

from dataflows.alerts import Record
from dataflows.ends import Ends, PollSource
from dataflows.formats import FORMATS, Format
from dataflows.formats.base import Context, Pseudonym
from dataflows.grid import Grid
from dataflows.intake import Intake, Poll, Progress
from dataflows.pace import Pace
from dataflows.panics import LastWords
from dataflows.recorded import Recorded, RecordingError, recorded
from dataflows.seal import Seal
from dataflows.secret_files import pseudonym_key
from dataflows.settings import Settings

REST = timedelta(milliseconds=1)  # of a file that is ahead of the others
Progressed = Callable[[str, int, Poll], None]  # file, messages read so far, what became of the last of them


class FileSource(PollSource):
    """Recorded files, one partition each, with the format of each."""

    def __init__(
        self, files: Sequence[tuple[Path, Format]], settings: Settings, grid: Grid, progressed: Progressed | None = None
    ) -> None:
        self.partitions = tuple(f"{path}/0" for path, _ in files)
        self.pace = Pace(self.partitions, settings.window)
        self._files = dict(zip(self.partitions, files, strict=True))
        self._settings = settings
        self._grid = grid
        key = pseudonym_key(settings)
        self._context = Context(Pseudonym(key), settings.window.max_ahead)
        self._seal = Seal(key)
        self._progressed = progressed

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> FilePartition:
        path, form = self._files[for_part]
        intake = Intake(str(path), 0, form, self._context, self._grid, self._settings.window)
        batch = self._settings.kafka.poll_messages
        return FilePartition(recorded(path, form), intake, self.pace, self._seal, batch, resume_state, self._progressed)


class FilePartition(StatefulSourcePartition[Poll, bytes]):
    """One recording. Its offset is the number of messages read; at the end it says so once, and holds nobody back."""

    def __init__(
        self,
        taken: Iterator[Recorded],
        intake: Intake,
        pace: Pace,
        seal: Seal,
        batch: int,
        resume: bytes | None = None,
        progressed: Progressed | None = None,
    ) -> None:
        self._recorded = taken
        self._intake = intake
        self._pace = pace
        self._seal, self._place = seal, f"source/{intake.name}"
        self._batch = batch
        self._progressed = progressed
        self._offset = 0
        self._ended = False
        self._ahead = False
        if resume is not None:
            progress = Progress.unpack(seal.open(self._place, resume))
            intake.resume(progress)
            self._offset = sum(1 for _ in islice(self._recorded, progress.offset))

    def next_batch(self) -> list[Poll]:
        if self._ended or UNWRITTEN.error is not None:
            raise StopIteration
        self._ahead = self._pace.ahead(self._intake.name, self._intake.watermark)
        if self._ahead:
            return []
        batch = list(islice(self._recorded, min(self._batch, self._intake.portion)))
        if not batch:
            self._ended = True
            return [self._intake.rest(ended=True)]
        offsets = range(self._offset, self._offset + len(batch))
        self._offset += len(batch)
        _, messages, arrivals = zip(*batch, strict=True)
        poll = self._intake.take(messages, np.array(arrivals, np.int64), offsets)
        if self._progressed is not None:
            self._progressed(self._intake.topic, self._offset, poll)
        return [poll]

    def next_awake(self) -> datetime | None:
        return datetime.now(UTC) + REST if self._ahead else None

    def snapshot(self) -> bytes:
        return self._seal.close(self._place, self._intake.progress(self._offset).pack())


class FileSink(FixedPartitionedSink[Record, int]):
    """Values of one topic as lines of a file. Its snapshot is the file's length, so a resumed replay writes each once."""

    def __init__(self, path: Path, topic: str) -> None:
        self._path = path
        self._topic = topic

    def list_parts(self) -> list[str]:
        return ["file"]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> _FileSinkPartition:
        return _FileSinkPartition(self._path, self._topic, resume_state or 0)


UNWRITTEN: LastWords[RecordingError] = LastWords()


class _FileSinkPartition(StatefulSinkPartition[Record, int]):
    """What the disk does not take is told at the end: the engine would abort, for the file cannot be closed either."""

    def __init__(self, path: Path, topic: str, length: int) -> None:
        self._path, self._topic, self._length = path, topic, length
        self._file = path.open("r+b" if length else "wb")
        self._file.truncate(length)
        self._file.seek(length)

    def write_batch(self, values: list[Record]) -> None:
        mine = [record.value + b"\n" for record in values if record.topic == self._topic and record.value is not None]
        self._length += sum(map(len, mine))
        self._try(lambda: self._file.writelines(mine))

    def snapshot(self) -> int:
        self._try(self._file.flush)
        return self._length

    def close(self) -> None:
        self._try(self._file.close)

    def _try(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            what = f"cannot write {self._path}: {error.strerror}; the replay is broken off, and what is there is not whole"
            UNWRITTEN.error = UNWRITTEN.error or RecordingError(f"{what}: make room, or name another place")


class Nowhere(DynamicSink[tuple[str, Record]]):
    """Takes records that nobody asked for."""

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _NowherePartition:
        return _NowherePartition()


class _NowherePartition(StatelessSinkPartition[tuple[str, Record]]):
    def write_batch(self, items: list[tuple[str, Record]]) -> None:
        return None


def ends(
    files: Sequence[tuple[Path, str]],
    settings: Settings,
    out: Path,
    cells: Path | None = None,
    dead_letters: Path | None = None,
    progressed: Progressed | None = None,
) -> Ends:
    """The ends of a replay: (file, format name) in, JSON lines out. Dead letters are written as they came, one a line."""
    grid = Grid(settings.window)
    formats = [(path, FORMATS[name]) for path, name in files]
    return Ends(
        grid=grid,
        source=FileSource(formats, settings, grid, progressed),
        alerts=FileSink(out, settings.outputs.alerts),
        cells=Nowhere() if cells is None else FileSink(cells, settings.outputs.cells),
        dead_letters=Nowhere() if dead_letters is None else FileSink(dead_letters, settings.outputs.dead_letters),
    )
