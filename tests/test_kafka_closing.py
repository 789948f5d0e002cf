"""Consumers are closed in bounded time, all of them together."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from dataflows import kafka_closing
from dataflows.kafka_closing import PATIENCE, Closing
from tests.test_kafka_reader import Clock


class Client:
    closed = False

    def close(self) -> None:
        self.closed = True


def test_who_answers_is_closed() -> None:
    client = Client()
    Closing().close(client)
    assert client.closed


def test_a_hundred_that_hang_are_waited_for_as_long_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    class Hanging:
        """A thread that does not end while somebody waits for it."""

        def __init__(self, target: Callable[[], None], name: str, daemon: bool) -> None:
            assert daemon, "the process would wait for it"

        def start(self) -> None: ...

        def join(self, seconds: float) -> None:
            clock.now += seconds

    monkeypatch.setattr(kafka_closing, "threading", SimpleNamespace(Thread=Hanging))
    monkeypatch.setattr(kafka_closing, "time", clock)
    closing = Closing()
    for _ in range(100):
        closing.close(Client())
    assert clock.now == PATIENCE
