"""Recorded messages from files: JSON lines, hex lines, one JSON document or one binary message, plain, .gz or .zst.

Everything is streamed, and no message is read further than the longest that any format takes: a file that unpacks into
gigabytes costs time, not memory.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from dataflows.formats import Format
from dataflows.formats.text import is_document

LONGEST = (8 << 20) + 1  # bytes: one more than the largest message of any format, so that its decoder says too large
WINDOW = 128 << 20  # bytes that a .zst file may ask to be kept in memory: what `zstd --long` makes and unpacks by default
HEX = frozenset(b"0123456789abcdefABCDEF \t\r\n")
BOM = b"\xef\xbb\xbf"

Readline = Callable[[int], bytes]


class RecordingError(Exception):
    """A recorded file that cannot be read: what, where, what to do."""


def messages(path: Path, form: Format) -> Iterator[bytes]:
    """The messages of a recorded file, one after the other, as they would come from Kafka."""
    return (message for _, message in numbered_messages(path, form))


def numbered_messages(path: Path, form: Format) -> Iterator[tuple[int, bytes]]:
    """(line, message): the line, from 1, at which each message starts. Empty lines are passed over.

    A line that is not hexadecimal where it should be comes out as it is: it is the decoder's to refuse and to count.
    """
    with _opened(path) as stream:
        if form.framing == "lines":
            yield from _documents(stream)
        else:
            head = stream.read(1024)
            if _in_hex(head, form):
                yield from ((line, _from_hex(text)) for line, text in _lines(_after(head, stream)))
            else:
                yield 1, head + stream.read(LONGEST - len(head))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            if path.suffix == ".gz":
                yield cast(BinaryIO, gzip.GzipFile(fileobj=file))
            elif path.suffix == ".zst":
                reader = zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(file, read_across_frames=True)
                yield cast(BinaryIO, io.BufferedReader(reader))
            else:
                yield file
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
    yield from _lines(_after(head, stream))


def _after(head: bytes, stream: BinaryIO) -> Readline:
    """`readline` of a stream whose first bytes have been taken out already."""
    taken = io.BytesIO(head)

    def readline(limit: int) -> bytes:
        line = taken.readline(limit)
        if not line.endswith(b"\n") and len(line) < limit:
            line += stream.readline(limit - len(line))
        return line

    return readline


def _lines(readline: Readline) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := readline(LONGEST):
        number += 1
        rest = line
        while len(rest) == LONGEST and not rest.endswith(b"\n"):  # too large to be taken; what is left of it is passed over
            rest = readline(LONGEST)
        if text := line.strip():
            yield number, text


def _in_hex(head: bytes, form: Format) -> bool:
    if form.framing == "hex_lines":
        return not head.startswith((b"##", b"$$"))  # how a GB/T 32960 frame starts in binary
    return HEX.issuperset(head)


def _from_hex(text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return text
