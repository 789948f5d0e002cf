"""A cluster that is asked to end while the broker is away says what it waited for, and calls nobody dead."""

from __future__ import annotations

from pathlib import Path

from dataflows.kafka_admin import output_names
from dataflows.settings_reader import load
from dataflows.tap import Writer
from tests import traffic, worker_settings
from tests.living import LivingCluster, wait_for
from tests.mock_cluster import MockCluster
from tests.unwritable import IN, OUT, STANDS


def test_who_is_asked_to_end_says_what_it_waited_for_or_that_another_ended_first(tmp_path: Path) -> None:
    with MockCluster() as brokers:
        config = worker_settings.write(tmp_path / "roadwatch.toml", brokers.bootstrap)
        settings = load(config)
        for each in settings.inputs.topics:
            brokers.topic(each.topic, 2, leader=IN)
        for name in output_names(settings):
            brokers.topic(name, 1, leader=OUT)
        with LivingCluster(config, tmp_path / "log", 2) as cluster:
            brokers.down(OUT)
            writer = Writer(settings)
            writer.write("v2x", b"", b"no observation", traffic.T0, 0)
            writer.flush()
            wait_for(lambda: STANDS in cluster.problems(), "a dead letter waits for the broker")
            brokers.down()
            assert cluster.stop() == 1
    said = sorted(line for line in cluster.log.read_text().splitlines() if line.startswith("roadwatch: "))
    first, *others, supervisor = said
    assert first.startswith("roadwatch: asked to end")
    assert "another process of the cluster ended first" in first
    assert others == ["roadwatch: the broker did not take 1 records before the end: nothing is lost, the next start sends them"]
    assert supervisor.startswith("roadwatch: the cluster did not drain cleanly (exit codes [1, 1]); the log above says why")
