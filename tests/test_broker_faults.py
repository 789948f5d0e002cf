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
IDLE_AFTER = 8.0  # s: under load some partitions are read seconds before the last; and the client gives a stall up after 10
FAR_AHEAD = "--set=window.lead=86400000"  # ms: otherwise it would wait for the others, and not be ahead of them
QUICKLY = ("--set=kafka.poll_messages=1000", "--set=recovery.interval=2.0")  # so that all partitions are read at about one time


@pytest.mark.parametrize("name", ["offset out of range", "all brokers down"])
def test_faults_of_the_broker_lose_nothing(name: str, tmp_path: Path) -> None:
    assert broker_faults.suffer_broker(tmp_path, name, SEED, 3.0).alerts


def test_a_connection_that_stalls_is_no_silence(broker: str, tmp_path: Path) -> None:
    """Messages come while the worker hears nothing: it must not take that for the end of their partitions.

    One partition is far ahead, so that time would go on without the others, and what they bring then would come too late.
    """
    history = History(tmp_path, broker, SEED)
    history.make_topics()
    others = set(history.recorded) - {"v0"}
    with Proxy(broker) as proxy:
        history.play_part(0.0, 1.0, {"v0"})
        history.play_part(0.0, 0.5, others)
        with LivingWorker(history.config(IDLE_AFTER, proxy.address), history.log, FAR_AHEAD, *QUICKLY) as worker:
            worker.page(lambda page: page.total("received_messages_total") == history.played, "what is there is read")
            time.sleep(1.0)  # the broker says that this is the end, and takes what there is to deliver
            proxy.stall()
            quiet = worker.page(lambda _: True, "it says who is idle").total("partition_idle")
            assert quiet == 0, f"{quiet:.0f} partitions were silent for {IDLE_AFTER} s before the stall: too slow a machine"
            history.play_part(0.5, 1.0, others)
            time.sleep(IDLE_AFTER)  # what must not come cannot be waited for
            proxy.flow()
            page = worker.page(lambda page: page.values("partition_idle") == [1.0] * 5, "everything is read")
            assert page.total("late_at_shard_records_total") == 0
            assert worker.stop() == 0
    history.judge()
