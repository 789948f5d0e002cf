"""Every page adds up, every metric is declared once, named by Prometheus' conventions, bounded, and really reported."""

from __future__ import annotations

import importlib.util
import re
import threading
from collections import Counter
from math import isnan
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from dataflows.health import Health
from dataflows.metrics import PREFIX, Metrics
from dataflows.metrics_catalogue import CATALOGUE, REASONS, Metric

ROOT = Path(__file__).parents[1]
LABELS = {"topic", "partition", "format", "reason", "kind", "severity", "status", "detector", "step", "version"}
UNITS = ("_total", "_seconds", "_bytes", "_messages", "_info")
TOPICS = ("v2x.observations", "ev.gbt32960")


class Clock:
    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a scraper reads from the page."""
    families = text_string_to_metric_families(metrics.page().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def total(page: dict[tuple[str, tuple[tuple[str, str], ...]], float], name: str, topic: str) -> float:
    return sum(value for (each, labels), value in page.items() if each == PREFIX + name and ("topic", topic) in labels)


def adds_up(metrics: Metrics) -> bool:
    page = samples(metrics)
    return all(
        total(page, "received_records_total", topic)
        == sum(total(page, f"{part}_records_total", topic) for part in ("accepted", "late", "refused"))
        for topic in TOPICS
    )


def poll(metrics: Metrics, topic: str, accepted: int, late: int, refused: dict[str, int]) -> None:
    received = accepted + late + sum(refused.values())
    metrics.polled(
        topic,
        0,
        format="observation",
        messages=received,
        size=200 * received,
        seconds=0.001,
        received=received,
        accepted=accepted,
        late=late,
        refused=refused,
    )


class Life(NamedTuple):
    metrics: Metrics
    series_at_start: int


@pytest.fixture(scope="module")
def pretend() -> Life:
    """Two minutes of the made-up worker of deploy/pretend.py, on a clock of its own."""
    spec = importlib.util.spec_from_file_location("pretend", ROOT / "deploy" / "pretend.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    clock = Clock()
    metrics, health = Metrics(clock=clock), Health(clock=clock)
    metrics.watch(health.ready, health.age)
    worker = module.PretendWorker(metrics, health)
    series_at_start = len(samples(metrics))
    for _ in range(120):
        clock.now += 1
        worker.second(clock.now)
    clock.now += 0.5
    return Life(metrics, series_at_start)


# -- the catalogue ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_a_metric_follows_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", metric.name)
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert metric.name.endswith(UNITS) or metric.name in {"incidents_open", "ready"} or metric.name.startswith("partition_")
    assert set(metric.labels) <= LABELS
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.says.endswith((".", "refused.")), "what it says is a sentence"
    assert metric.do.endswith("."), "and so is what to do about it"


def test_names_are_distinct() -> None:
    assert max(Counter(metric.name for metric in CATALOGUE).values()) == 1


def test_only_metrics_opens_the_door_to_the_client_library() -> None:
    importing = {
        path.name
        for path in (ROOT / "dataflows").rglob("*.py")
        if re.search(r"(?m)^\s*(import|from) prometheus_client", path.read_text())
    }
    assert importing == {"metrics.py"}


# -- what is reported ------------------------------------------------------------------------------------------------------


def test_no_pane_ends_in_1970() -> None:
    """From a sample of 0 the first pane would be a leap of half a century: the dashboard's scale would fit nothing else."""
    metrics = Metrics()
    assert isnan(metrics.value("pane_end_timestamp_seconds"))
    metrics.merged(1_700_000_000_000)
    assert metrics.value("pane_end_timestamp_seconds") == 1_700_000_000


polls = st.lists(
    st.tuples(
        st.sampled_from(TOPICS),
        st.integers(0, 5000),
        st.integers(0, 50),
        st.dictionaries(st.sampled_from(REASONS), st.integers(0, 50), max_size=4),
    ),
    max_size=20,
)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(polls)
def test_received_is_accepted_late_and_refused(given_polls: list[tuple[str, int, int, dict[str, int]]]) -> None:
    metrics = Metrics()
    for each in given_polls:
        poll(metrics, *each)
    assert adds_up(metrics)
    page = samples(metrics)
    for topic in TOPICS:
        mine = [each for each in given_polls if each[0] == topic]
        assert total(page, "received_records_total", topic) == sum(a + late + sum(r.values()) for _, a, late, r in mine)
        assert total(page, "late_records_total", topic) == sum(late for _, _, late, _ in mine)


def test_every_page_adds_up_even_if_made_in_the_middle_of_a_poll() -> None:
    metrics, stop = Metrics(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            poll(metrics, "v2x.observations", 90, 4, {"no_time": 3, "no_position": 3})

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert all(adds_up(metrics) for _ in range(30))
    finally:
        stop.set()
        worker.join()


def test_every_metric_is_really_reported(pretend: Life) -> None:
    moved = {name for (name, _), value in samples(pretend.metrics).items() if value}
    suffix = {"counter": "", "gauge": "", "histogram": "_count"}
    silent = [m.name for m in CATALOGUE if PREFIX + m.name + suffix[m.kind] not in moved]
    assert not silent


def test_expect_shows_every_series_of_declared_values_from_the_start(pretend: Life) -> None:
    later = [labels for (name, labels) in samples(pretend.metrics) if "partition" not in dict(labels)]
    assert len(later) == pretend.series_at_start


def test_the_page_stays_small(pretend: Life) -> None:
    assert len(samples(pretend.metrics)) < 1500  # 4 topics, 3 detectors: labels multiply, and a scrape is every 15 s for months


def test_the_process_itself_is_on_the_page() -> None:
    names = {name for name, _ in samples(Metrics())}
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"} <= names


def test_two_instances_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.delivered("road.alerts", 3)
    assert one.value("delivered_messages_total", topic="road.alerts") == 3
    assert other.value("delivered_messages_total", topic="road.alerts") == 0


# -- time --------------------------------------------------------------------------------------------------------------------


def test_watermarks_age_until_they_move() -> None:
    clock = Clock(1000.0)
    metrics = Metrics(clock=clock)
    metrics.watermark("a", 0, 997_500)
    metrics.watermark("a", 1, 990_000)
    assert metrics.value("watermark_age_seconds", topic="a", partition="0") == 2.5
    assert metrics.value("oldest_watermark_age_seconds") == 10
    clock.now += 4
    assert metrics.value("watermark_age_seconds", topic="a", partition="0") == 6.5
    metrics.watermark("a", 1, 1_001_000)
    assert metrics.value("oldest_watermark_age_seconds") == 6.5
    assert metrics.value("watermark_timestamp_seconds", topic="a", partition="1") == 1001


def test_an_idle_partition_holds_nobody_back() -> None:
    metrics = Metrics(clock=Clock(1000.0))
    metrics.watermark("a", 0, 999_000)
    metrics.watermark("a", 1, 500_000, idle=True)
    assert metrics.value("oldest_watermark_age_seconds") == 1
    assert metrics.value("partition_idle", topic="a", partition="1") == 1
    metrics.watermark("a", 1, 500_000)
    assert metrics.value("oldest_watermark_age_seconds") == 500


def test_a_partition_that_left_leaves_no_gauge_behind() -> None:
    metrics = Metrics(clock=Clock(1000.0))
    metrics.watermark("a", 0, 900_000)
    metrics.lag("a", 0, 7)
    metrics.left("a", 0)
    metrics.left("a", 1)  # was never here
    assert not [labels for _, labels in samples(metrics) if "partition" in dict(labels)]
    assert metrics.value("oldest_watermark_age_seconds") == 0


def test_pauses_between_beats_are_told_from_the_first_beat_on() -> None:
    clock = Clock()
    metrics = Metrics()
    health = Health(clock=clock, metrics=metrics)
    for step in (40.0, 3.0, 0.5):  # the first: reading the recovery store back
        clock.now += step
        health.beat()
    assert metrics.value("poll_pause_seconds_count") == 2
    assert metrics.value("poll_pause_seconds_sum") == 3.5


def test_a_partition_that_has_brought_nothing_has_no_watermark() -> None:
    metrics = Metrics(clock=Clock(1000.0))
    metrics.watermark("a", 0, 0, idle=True)
    metrics.watermark("a", 1, -(2**62))
    assert not [name for name, _ in samples(metrics) if name.startswith("roadwatch_watermark")]
    assert metrics.value("oldest_watermark_age_seconds") == 0
    assert metrics.value("partition_idle", topic="a", partition="0") == 1


# -- sums over areas and shards --------------------------------------------------------------------------------------------


def test_open_incidents_are_added_over_areas_and_go_back_to_zero() -> None:
    metrics = Metrics()
    metrics.incidents("north", {("accident", "Severe"): 2})
    metrics.incidents("south", {("accident", "Severe"): 1, ("adhesion", "Moderate"): 4})
    assert metrics.value("incidents_open", kind="accident", severity="Severe") == 3
    metrics.incidents("north", {})
    assert metrics.value("incidents_open", kind="accident", severity="Severe") == 1
    metrics.incidents("south", {})
    assert metrics.value("incidents_open", kind="adhesion", severity="Moderate") == 0


def test_state_is_added_over_shards() -> None:
    metrics = Metrics()
    metrics.state("1", {"WrongWay": 100})
    metrics.state("2", {"WrongWay": 50})
    metrics.state("1", {"WrongWay": 70})
    assert metrics.value("detector_state_bytes", detector="WrongWay") == 120


def test_an_alert_without_a_known_arrival_has_no_latency() -> None:
    metrics = Metrics()
    metrics.alerted("accident", "Severe", "opened")
    metrics.alerted("accident", "Severe", "cleared", latency=-0.2)  # the broker's clock is ahead of ours
    assert metrics.value("alerts_total", kind="accident", severity="Severe", status="opened") == 1
    assert metrics.value("alert_latency_seconds_count", kind="accident") == 1
    assert metrics.value("alert_latency_seconds_sum", kind="accident") == 0
