"""Which roadwatch this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def this_version() -> str:
    try:
        return version("roadwatch")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
