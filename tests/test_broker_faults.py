"""Faults of the broker and of the network, short; `make torture` has them all, in full length."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests import broker_faults
from tests.history import History
from tests.living import LivingWorker
from tests.proxy import Proxy

SEED = 1
IDLE_AFTER = 1.5  # s


@pytest.mark.parametrize("name", ["offset out of range", "all brokers down"])
def test_faults_of_the_broker_lose_nothing(name: str, tmp_path: Path) -> None:
    assert broker_faults.suffer_broker(tmp_path, name, SEED, 3.0).alerts


def test_connections_that_are_reset_lose_nothing(broker: str, tmp_path: Path) -> None:
    assert broker_faults.suffer_network(tmp_path, broker, "resets", SEED, 3.0).alerts


def test_a_connection_that_stalls_is_no_silence(broker: str, tmp_path: Path) -> None:
    """Messages come while the worker hears nothing: it must not take that for the partitions' end, and time must not go on."""
    history = History(tmp_path, broker, SEED)
    history.make_topics()
    with Proxy(broker) as proxy:
        history.play_part(0.0, 0.5)
        with LivingWorker(history.config(IDLE_AFTER, proxy.address), history.log) as worker:
            worker.page(lambda page: page.total("received_messages_total") == history.played, "the first half is read")
            proxy.stall()
            history.play_part(0.5, 1.0)
            time.sleep(2 * IDLE_AFTER)  # what must not come cannot be waited for
            proxy.flow()
            page = worker.page(lambda page: page.values("partition_idle") == [1.0] * 5, "everything is read")
            assert page.total("late_at_shard_records_total") == 0
            assert worker.stop() == 0
    history.judge()
