"""Keeps the engine's panics off stderr: what it says in pages of backtrace, the worker says in one sentence.

The engine is Rust and writes them to descriptor 2 itself, for every exception that comes through it, so Python cannot
ask it not to. All else that is written there, by Python or by librdkafka, goes on as it comes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

E = TypeVar("E", bound=Exception)

KINDS = (  # how a panic begins, and its last line
    (re.compile(rb"thread '.*' panicked at "), re.compile(rb"note: .*RUST_BACKTRACE")),
    (re.compile(rb"RuntimeError: \(src/.* panicked at "), re.compile(rb"(?!RuntimeError: ).")),  # in a cluster: two lines
)
OTHER = re.compile(rb"\{|\d{4}-|roadwatch: |%\d\|")  # a line of our log, or of librdkafka's, that came in between
SLOW = 1.0  # s at a time for which a slow reader of stderr is waited for
ROOM = 1 << 20  # bytes a pipe: the engine may write while it keeps Python, and so our reader, from running


class LastWords(Generic[E]):
    """Why a snapshot failed, for the worker to say: of an exception there the engine makes a panic without a name."""

    def __init__(self) -> None:
        self.error: E | None = None


class Panics:
    """While the `with` block runs, panics are kept in `said` instead of written to stderr."""

    def __init__(self) -> None:
        self.said = b""

    def __enter__(self) -> Self:
        sys.stderr.flush()
        self._stderr = os.dup(2)
        reader, writer = os.pipe()
        with contextlib.suppress(OSError):  # a smaller pipe will do
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, ROOM)
        os.dup2(writer, 2)
        os.close(writer)
        self._thread = threading.Thread(target=self._pass_on, args=(reader,), name="roadwatch-stderr", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        sys.stderr.flush()
        os.dup2(self._stderr, 2)  # closes the pipe, so that the thread comes to its end
        self._thread.join(1.0)
        os.close(self._stderr)

    def release(self) -> None:
        """Write what was kept after all: nobody found a better sentence."""
        os.write(2, self.said)

    def _pass_on(self, reader: int) -> None:
        last: re.Pattern[bytes] | None = None  # how the panic's last line looks that we are in
        after = False
        for line in _lines(reader):
            last = last or next((ends for begins, ends in KINDS if begins.match(line)), None)
            if last and not OTHER.match(line):
                self.said += line
                if after := last.match(line) is not None:
                    last = None
            else:
                if after and line == b"\n":  # an empty line that belongs to it
                    line = b""
                after = False
                _write(self._stderr, line)


def _lines(reader: int) -> Iterator[bytes]:
    """Lines as they come; what is not ended by a newline comes when the writers are gone."""
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        rest = b""
        while piece := pipe.read(65_536):
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line + b"\n" for line in lines)
        if rest:
            yield rest


def _write(descriptor: int, line: bytes) -> None:
    """Whole, or as much as goes: a full disk, or a reader that has gone, must not silence what is said later."""
    while line:
        try:
            line = line[os.write(descriptor, line) :]
        except BlockingIOError:  # its reader is slow, and somebody has made it so
            select.select((), (descriptor,), (), SLOW)
        except OSError:
            return
