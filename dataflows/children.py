"""Child processes: asked to end, made to end, and never left behind when their parent is killed."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys

ENDS_WITHIN = 5.0  # s after SIGTERM
PARENT_DIED = 1  # PR_SET_PDEATHSIG of prctl(2)


def with_its_parent() -> None:
    """For `preexec_fn`: the child is asked to end when its parent is killed without a chance to ask for it. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DIED, signal.SIGTERM)


def end(child: subprocess.Popen[bytes], patience: float = ENDS_WITHIN) -> int:
    """Ask a child that we started to end, insist after `patience` seconds; returns its exit code."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
    return child.wait()
