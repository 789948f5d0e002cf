"""What is kept off stderr, and that all else goes there as it came."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dataflows.panics import Panics, _write

ROOT = Path(__file__).parents[1]
PANIC = """thread '<unnamed>' panicked at src/recovery.rs:626:22:
called `Result::unwrap()` on an `Err` value: SqliteFailure(Error { code: DiskFull }, Some("database or disk is full"))
stack backtrace:
   0: rust_begin_unwind
             at /rustc/library/std/src/panicking.rs:597:5
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.

"""
CLUSTER = "RuntimeError: (src/run.rs:292:17) panicked at /home/timely/communication/mod.rs:43:9:\nMergeQueue poisoned.\n"
LOG = '{"level": "info", "message": "running"}\n'
KAFKA = "%3|1700000000.123|FAIL|rdkafka#consumer-1| connection refused\n"
WARNING = "a.py:1: UserWarning: old\n"


@pytest.mark.parametrize(
    ("written", "passed"),
    [
        (LOG + KAFKA + WARNING, LOG + KAFKA + WARNING),
        (LOG + PANIC + WARNING, LOG + WARNING),
        (PANIC + PANIC, ""),
        (PANIC.replace("stack", LOG + KAFKA + "stack"), LOG + KAFKA),
        (LOG + "\n" + WARNING, LOG + "\n" + WARNING),
        (LOG + CLUSTER + WARNING + CLUSTER + "\n", LOG + WARNING),
        ("RuntimeError: of our own\n" + LOG, "RuntimeError: of our own\n" + LOG),
        ("no newline", "no newline"),
    ],
)
def test_only_panics_are_kept(written: str, passed: str, capfd: pytest.CaptureFixture[str]) -> None:
    panics = Panics()
    with panics:
        for piece in (written[:20], written[20:]):
            os.write(2, piece.encode())
    assert capfd.readouterr().err == passed
    assert len(panics.said.decode().replace("\n", "")) == len(written.replace("\n", "")) - len(passed.replace("\n", ""))


def test_what_was_kept_can_be_released(capfd: pytest.CaptureFixture[str]) -> None:
    panics = Panics()
    with panics:
        os.write(2, PANIC.encode())
    panics.release()
    assert capfd.readouterr().err.strip() == PANIC.strip()


def test_much_is_passed_on_and_stderr_is_itself_again(capfd: pytest.CaptureFixture[str]) -> None:
    with Panics():
        for _ in range(20):
            os.write(2, WARNING.encode() * 5000)
    os.write(2, b"after")
    assert capfd.readouterr().err == WARNING * 100_000 + "after"


def test_the_engine_is_kept_quiet() -> None:
    """A real panic: the engine is asked to make a store where none can be."""
    code = """
import sys
import threading
from pathlib import Path
from bytewax.recovery import init_db_dir
from dataflows.panics import Panics, _write
import resource, tempfile
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
with Panics() as panics, tempfile.TemporaryDirectory() as folder:
    try:
        init_db_dir(Path(folder), 1)
    except BaseException as error:
        print(type(error).__name__)
print("panicked at" in panics.said.decode())
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (ended.stdout.split(), ended.stderr) == (["PanicException", "True"], "")


def test_a_write_that_fails_does_not_silence_what_comes_later() -> None:
    """A disk that was full, and a pipe that does not wait for its reader."""
    reader, writer = os.pipe()
    with Path("/dev/full").open("wb", buffering=0) as full:
        _write(full.fileno(), b"lost\n")
    os.set_blocking(writer, False)
    long = b"x" * (1 << 20)
    read = list[bytes]()
    thread = threading.Thread(target=lambda: read.extend(iter(lambda: os.read(reader, 65_536), b"")))
    thread.start()
    _write(writer, long)
    os.close(writer)
    thread.join()
    os.close(reader)
    assert b"".join(read) == long
