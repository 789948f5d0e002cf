"""A container that is told to end while it starts does so, though the kernel spares process 1 the signal's default."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from dataflows import cli, first_process
from dataflows.settings import SettingsError


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_process_1_ends_before_it_has_read_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []

    def load(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise SettingsError("what a test stops at")

    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(first_process.os, "_exit", codes.append)
    monkeypatch.setattr(cli, "_load", load)
    with pytest.raises(SettingsError):
        cli.run()
    assert codes == [143]


def test_others_are_ended_by_the_signal_itself() -> None:
    before = signal.getsignal(signal.SIGTERM)
    first_process.listen()
    assert signal.getsignal(signal.SIGTERM) is before
