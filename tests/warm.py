"""Compile every loop once, before the tests: each of their processes would do so for itself, which takes half a minute or more.

    python -m tests.warm

Two processes work towards each other, for what the one has left on disk the other need not compile.
"""

from __future__ import annotations

from multiprocessing import get_context

from dataflows.rehearsal import rehearse
from dataflows.settings_reader import load
from detectors import CATALOGUE
from tests.test_contract import feed, stream


def backwards() -> None:
    for make in reversed(CATALOGUE):
        feed(make(), stream())


def main() -> None:
    other = get_context("spawn").Process(target=backwards)
    other.start()
    rehearse(load().window)
    other.join()


if __name__ == "__main__":
    main()
