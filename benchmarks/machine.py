"""What a result was measured with: it is worth nothing without."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]


def commit() -> str:
    """Short hash of the checkout, with a plus where files differ from it; results that were just written are no difference."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "-uno", "--", ".", ":!benchmarks/results"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.strip() + ("+" if dirty.strip() else "")


def versions() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("bytewax", "river", "numpy", "msgspec"))
    return f"Python {platform.python_version()}, {packages}, {os.cpu_count()} cores"
