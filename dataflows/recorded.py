"""Recorded messages from files: JSON lines, hex lines, one JSON document, one binary message or a run of frames; .gz and .zst.

Everything is streamed, and no message is read further than the longest that any format takes: a file that unpacks into
gigabytes costs time, not memory.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import zstandard

from dataflows.formats import Format
from dataflows.formats.gbt32960_cut import STARTS
from dataflows.formats.text import HEX, OTHER_STAMP, PRINTABLE, is_document
from dataflows.told import ToldError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LONGEST = (1 << 20) + 1  # bytes: one more than the largest message of any format, so that its decoder says too large
BLOCK = 1 << 20  # bytes read at a time
WINDOW = 128 << 20  # bytes that a .zst file may ask to be kept in memory: what `zstd --long` makes and unpacks by default
BOM = b"\xef\xbb\xbf"
STAMP = re.compile(rb"[0-9]{13}")  # ms since the epoch, of the years 2001 to 2286
UNKNOWN = -1  # arrival

Recorded = tuple[int, bytes, int]
"""The line, from 1, at which a message starts, or the Byte; the message as it would come from Kafka; its arrival in ms since
the epoch."""


class Byte(int):
    """Where a message starts in a file without lines, from 0.

    >>> f"cars.bin:{Byte(75)}"
    'cars.bin:byte 75'
    """

    def __str__(self) -> str:
        return f"byte {int(self)}"


def spot(place: int) -> str:
    """Where a message starts, for a sentence."""
    return str(place) if isinstance(place, Byte) else f"line {place}"


class RecordingError(ToldError):
    """A recorded file that cannot be read: what, where, what to do."""


def arrived(path: Path, form: Format) -> int:
    """When the messages of a file that does not say it of each were there, ms since the epoch, for whoever looks at them.

    It is the file's own time, and UNKNOWN of those who say themselves when they were sent. For a replay all lines of a file
    would be of that one moment, and wrong findings be made.
    """
    return UNKNOWN if form.dated else int(path.stat().st_mtime * 1000)


def messages(path: Path, form: Format) -> Iterator[bytes]:
    """The messages of a recorded file, one after the other."""
    return (message for _, message, _ in recorded(path, form))


def recorded(path: Path, form: Format) -> Iterator[Recorded]:
    """The messages of a recorded file, each with its line and its arrival. Empty lines are passed over.

    A line that is not hexadecimal where it should be comes out as it is: it is the decoder's to refuse and to count.
    """
    with _opened(path) as stream:
        if form.framing == "lines":
            yield from ((line, text, UNKNOWN) for line, text in _documents(stream))
        else:
            head = stream.read(1024)
            if _in_hex(text := head.removeprefix(BOM), form):
                yield from ((line, *_from_hex(digits)) for line, digits in _lines(text, stream))
            elif form.cut is not None:
                blocks = chain((head,), iter(partial(stream.read, BLOCK), b""))
                yield from ((Byte(at), message, UNKNOWN) for at, message in form.cut(blocks))
            else:
                yield 1, head + stream.read(LONGEST - len(head)), arrived(path, form)


class Unpacked(io.RawIOBase):
    """A .zst file unpacked as it is read; EOFError where it ends in the middle of a frame, as a broken download does."""

    CHUNK = 1024  # bytes: a block of 4 may unpack into 128 KiB, so that no chunk makes more than 32 MiB

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frame = _next_frame()
        self._inside = False  # a frame
        self._packed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        while not self._ready:
            packed = self._packed or self._file.read(self.CHUNK)
            if not packed:
                if self._inside:
                    raise EOFError("it ends in the middle")
                return 0
            self._ready = memoryview(self._frame.decompress(packed))
            self._inside, self._packed = not self._frame.eof, self._frame.unused_data
            if not self._inside:
                self._frame = _next_frame()
        into = memoryview(buffer).cast("B")
        size = min(len(into), len(self._ready))
        into[:size], self._ready = self._ready[:size], self._ready[size:]
        return size


def _next_frame() -> zstandard.ZstdDecompressionObj:
    return zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj()


UNPACKED: Mapping[str, Callable[[BinaryIO], BinaryIO]] = {  # by how the name of a packed file ends
    ".gz": lambda file: cast(BinaryIO, gzip.GzipFile(fileobj=file)),
    ".zst": lambda file: cast(BinaryIO, io.BufferedReader(Unpacked(file))),
}


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield UNPACKED[ending](file) if (ending := path.suffix.lower()) in UNPACKED else file
    except FileNotFoundError:
        raise RecordingError(f"{path} does not exist: check the name") from None
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise RecordingError(f"{path} cannot be unpacked ({error}): fetch or pack it anew") from error
    except OSError as error:
        raise RecordingError(f"{path} cannot be read ({error.strerror}): check the path and its permissions") from error


def _documents(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """JSON lines; or, where the first line is no document but the whole file is, that one message."""
    head = stream.readline(LONGEST).removeprefix(BOM)
    if head.strip() and not is_document(head):
        head += stream.read(LONGEST - len(head))
        if is_document(head):
            yield 1, head
            return
    yield from _lines(head, stream)


def _lines(head: bytes, stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(number, line) of what is left of a stream whose first bytes, `head`, have been taken out already.

    Cut out of large blocks, which is several times quicker than a line at a time. Of a line that is too large to be taken
    the rest is passed over.
    """
    number, begun = 0, b""
    for block in chain((head,), iter(partial(stream.read, BLOCK), b"")):
        *ended, left = block.split(b"\n")
        if ended:
            ended[0], begun = (begun + ended[0])[:LONGEST], left
        else:
            begun = (begun + left)[:LONGEST]
        for line in ended:
            number += 1
            if text := line.strip():
                yield number, text
    if text := begun.strip():
        yield number + 1, text


def _in_hex(head: bytes, form: Format) -> bool:
    """Whether these are lines of hexadecimal, some of them damaged: text, or mostly digits, as random bytes are not."""
    if form.framing == "hex_lines" and head.startswith(STARTS):
        return False
    return PRINTABLE.issuperset(head) or 2 * sum(map(HEX.__contains__, head)) > len(head)


def _from_hex(text: bytes) -> tuple[bytes, int]:
    """The message of a line, and when it arrived if the line begins with that: no byte ends after 13 digits."""
    stamp, *rest = text.split(maxsplit=1)
    arrival, digits = (int(stamp), rest[0]) if rest and STAMP.fullmatch(stamp) else (UNKNOWN, text)
    if OTHER_STAMP.fullmatch(text):  # it might pass for bytes, of another message than was meant
        return text, UNKNOWN
    try:
        return bytes.fromhex(digits.decode("ascii")), arrival
    except ValueError:
        return text, UNKNOWN
