"""How the flow reports its metrics: per poll, per activation or per alert. metrics_catalogue says what there is."""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import product

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from dataflows.metrics_catalogue import CATALOGUE, DOUBTS, KINDS, REASONS, SEVERITIES, STATUSES
from dataflows.version import this_version
from detectors.model import Doubt

PREFIX = "roadwatch_"
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

# A *_created series beside each counter doubles the page and says nothing that process_start_time_seconds does not.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no annotation for it


class Metrics:
    """All metrics of one worker on a registry of their own.

    >>> metrics = Metrics()
    >>> metrics.polled("v2x.observations", 0, format="observation", messages=3, size=600, seconds=0.001,
    ...                received=3, accepted=2, late=0, refused={"no_time": 1})
    >>> metrics.value("refused_records_total", topic="v2x.observations", reason="no_time")
    1.0
    """

    def __init__(self, registry: CollectorRegistry | None = None, clock: Callable[[], float] = time.time) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self._clock = clock  # seconds since the epoch
        self._whole = threading.Lock()  # received = accepted + late + refused on every page, be it made in mid-poll
        self._watermarks: dict[tuple[str, int], float] = {}  # seconds since the epoch; the idle ones are not in it
        self._open: dict[str, dict[tuple[str, str], int]] = {}
        self._state: dict[str, dict[str, int]] = {}
        self._sizes: Tally[str] = Tally()  # of all shards
        self._spent: dict[str, float] = defaultdict(float)  # s by detector, and
        self._closed: Tally[str] = Tally()  # panes, since they were last told
        self._counters: dict[str, Counter] = {}
        self._children: dict[tuple[str, tuple[str, ...]], Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in CATALOGUE:
            name, text = PREFIX + metric.name, f"{metric.says} {metric.do}"
            if metric.kind == "counter":
                self._counters[metric.name] = Counter(name, text, metric.labels, registry=self.registry)
            elif metric.kind == "gauge":
                self._gauges[metric.name] = Gauge(name, text, metric.labels, registry=self.registry)
            else:
                self._histograms[metric.name] = Histogram(
                    name, text, metric.labels, registry=self.registry, buckets=metric.buckets
                )
        prometheus_client.ProcessCollector(registry=self.registry)
        self._gauges["oldest_watermark_age_seconds"].set_function(self._oldest_age)
        self._gauges["pane_end_timestamp_seconds"].set(float("nan"))  # from 0 the first would be a leap of half a century
        self._set("build_info", 1, this_version())

    # -- start and page ------------------------------------------------------------------------------------------------

    def expect(
        self,
        *,
        inputs: Iterable[str],
        outputs: Iterable[str],
        formats: Iterable[str],
        detectors: Iterable[str],
        steps: Iterable[str],
    ) -> None:
        """Show every series from the start, at zero: a rate cannot see how a counter that was not there began."""
        values = {"format": formats, "detector": detectors, "step": steps}
        values |= {"kind": KINDS, "severity": SEVERITIES, "status": STATUSES}
        known = {label: tuple(each) for label, each in values.items()}
        topics_in, topics_out = tuple(inputs), tuple(outputs)
        for metric in CATALOGUE:
            known["topic"] = topics_out if metric.name.startswith("deliver") else topics_in
            known["reason"] = DOUBTS if metric.name.startswith("implausible") else REASONS
            if metric.labels and not {"partition", "version"} & set(metric.labels):
                for labels in product(*(known[label] for label in metric.labels)):
                    self._any(metric.name).labels(*labels)

    def watch(self, ready: Callable[[], bool], heartbeat_age: Callable[[], float]) -> None:
        """Take readiness and the age of the heartbeat, in seconds, from these functions whenever a page is made."""
        self._gauges["ready"].set_function(lambda: float(ready()))
        self._gauges["heartbeat_age_seconds"].set_function(heartbeat_age)

    def page(self) -> bytes:
        """All of it in Prometheus' text format, of type CONTENT_TYPE."""
        with self._whole:
            self._tell()
            return prometheus_client.generate_latest(self.registry)

    def value(self, name: str, **labels: str) -> float:
        """What one series says now, 0 where it does not exist: for the summary at the end of a run, and for tests."""
        with self._whole:
            self._tell()
        return self.registry.get_sample_value(PREFIX + name, labels) or 0.0

    def by_label(self, name: str, label: str) -> dict[str, int]:
        """What one counter says by one of its labels, of all others, the commonest first."""
        counts: Tally[str] = Tally()
        for family in self.registry.collect():
            for sample in family.samples:
                if sample.name == PREFIX + name and sample.value:
                    counts[sample.labels[label]] += round(sample.value)
        return dict(counts.most_common())

    # -- source --------------------------------------------------------------------------------------------------------

    def polled(
        self,
        topic: str,
        partition: int,
        *,
        format: str,
        messages: int,
        size: int,
        seconds: float,
        received: int,
        accepted: int,
        late: int,
        refused: Mapping[str, int],
        recognised: int = 0,
        speechless: int = 0,
    ) -> None:
        """One poll that brought something. `size` is bytes, `seconds` decoding; from `received` on, records.

        `speechless` observations say no speed. `accepted` includes the `recognised`; that received = accepted + late + refused
        is the caller's to get right.
        """
        with self._whole:
            self._histograms["poll_messages"].observe(messages)
            self._add("received_messages_total", messages, topic)
            self._add("received_bytes_total", size, topic)
            self._add("received_records_total", received, topic)
            self._add("accepted_records_total", accepted, topic)
            self._add("recognised_records_total", recognised, topic)
            self._add("late_records_total", late, topic)
            self._add("observations_without_speed_total", speechless, topic)
            for reason, count in refused.items():
                self._add("refused_records_total", count, topic, reason)
            self._histograms["decode_seconds"].labels(format).observe(seconds)

    def paused(self, seconds: float) -> None:
        """The time between two polls of this worker, of whichever partitions: long ones are when the flow stood."""
        self._histograms["poll_pause_seconds"].observe(max(0.0, seconds))

    def watermark(self, topic: str, partition: int, time_ms: int, *, idle: bool = False) -> None:
        """The partition's watermark is at `time_ms` since the epoch; `idle`: it is silent and holds nobody back.

        0 or less: nothing has come yet, so there is no watermark to show.
        """
        at, labels = time_ms / 1000, (topic, str(partition))
        self._set("partition_idle", idle, *labels)
        if at > 0:
            self._set("watermark_timestamp_seconds", at, *labels)
            self._gauges["watermark_age_seconds"].labels(*labels).set_function(lambda: self._clock() - at)
        if idle or at <= 0:
            self._watermarks.pop((topic, partition), None)
        else:
            self._watermarks[topic, partition] = at

    def waits(self, topic: str, partition: int, ahead: bool) -> None:
        """Whether the partition is not read for now, being too far ahead of the slowest."""
        self._set("partition_ahead", ahead, topic, str(partition))

    def unreadable(self, topic: str, partition: int, is_so: bool) -> None:
        """Whether the broker refuses to let the partition be read, or does not answer for it."""
        self._set("partition_unreadable", is_so, topic, str(partition))

    def lag(self, topic: str, partition: int, messages: int) -> None:
        """Messages between the position and the end of the partition; not for a broker that does not know the end."""
        self._set("consumer_lag_messages", messages, topic, str(partition))

    def lost(self, topic: str, messages: int) -> None:
        """Retention has deleted `messages` that were not read."""
        self._add("lost_messages_total", messages, topic)

    def left(self, topic: str, partition: int) -> None:
        """The partition is no longer read here: its gauges go, for they would stand still for ever."""
        self._watermarks.pop((topic, partition), None)
        for metric in CATALOGUE:
            if "partition" in metric.labels:
                with suppress(KeyError):
                    self._gauges[metric.name].remove(topic, str(partition))

    # -- windows and detectors -----------------------------------------------------------------------------------------

    def dropped(self, *, late: int = 0, duplicates: int = 0) -> None:
        """Accepted records that a shard could not use: their pane had closed, or it had them already."""
        self._add("late_at_shard_records_total", late)
        self._add("duplicate_records_total", duplicates)

    def implausible(self, reports: Mapping[int, int]) -> None:
        """A shard's own observations that no detector gets, by Doubt; those with none are left out."""
        for doubt, count in reports.items():
            if doubt:
                self._add("implausible_reports_total", count, Doubt(doubt).name.lower())

    def detected(self, panes: int, seconds: Mapping[str, float], findings: Mapping[str, int]) -> None:
        """One activation of a shard: the panes it closed, seconds by detector, findings by kind."""
        self._add("panes_total", panes)
        with self._whole:
            for detector, spent in seconds.items():
                self._spent[detector] += spent
                self._closed[detector] += panes
        for kind, count in findings.items():
            self._add("findings_total", count, kind)

    def detector_failed(self, detector: str) -> None:
        self._add("detector_errors_total", 1, detector)

    # -- incidents and output ------------------------------------------------------------------------------------------

    def merged(self, end_ms: int) -> None:
        """The incident step has every shard's findings of the pane that ends at `end_ms` since the epoch."""
        self._gauges["pane_end_timestamp_seconds"].set(end_ms / 1000)

    def incidents(self, area: str, counts: Mapping[tuple[str, str], int]) -> None:
        """The incidents now open in an area, by (kind, severity); the page shows the sum over the worker's areas."""
        before = self._open.get(area, {})
        self._open[area] = dict(counts)
        for pair in before.keys() | counts.keys():
            self._set("incidents_open", sum(each.get(pair, 0) for each in tuple(self._open.values())), *pair)

    def alerted(self, kind: str, severity: str, status: str, latency: float | None = None) -> None:
        """One alert; `latency` in s since the message that closed its pane arrived, None where that is unknown."""
        self._add("alerts_total", 1, kind, severity, status)
        if latency is not None:
            self._histograms["alert_latency_seconds"].labels(kind).observe(max(0.0, latency))

    def delivered(self, topic: str, messages: int = 1) -> None:
        self._add("delivered_messages_total", messages, topic)

    def delivery_failed(self, topic: str, messages: int = 1) -> None:
        self._add("delivery_failures_total", messages, topic)

    def dead_letters(self, reasons: Mapping[str, int]) -> None:
        """Messages given to the dead-letter topic, by reason."""
        for reason, count in reasons.items():
            self._add("dead_letters_total", count, reason)

    # -- recovery ------------------------------------------------------------------------------------------------------

    def snapshot(self, step: str, seconds: float, size: int) -> None:
        """One snapshot of one key of a step: how long the flow stood for it, and its bytes."""
        self._add("snapshots_total", 1, step)
        self._add("snapshot_seconds_total", seconds, step)
        self._add("snapshot_bytes_total", size, step)

    def state(self, shard: str, sizes: Mapping[str, int]) -> None:
        """Bytes of each detector's state in one shard; the page shows the sum over the worker's shards."""
        before, self._state[shard] = self._state.get(shard, {}), dict(sizes)
        for detector in before.keys() | sizes.keys():
            self._sizes[detector] += sizes.get(detector, 0) - before.get(detector, 0)
            self._set("detector_state_bytes", self._sizes[detector], detector)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _add(self, name: str, amount: float, *labels: str) -> None:
        child = self._children.get((name, labels))  # a fifth of the time of labels()
        if child is None:
            counter = self._counters[name]
            child = self._children[name, labels] = counter.labels(*labels) if labels else counter
        child.inc(amount)

    def _tell(self) -> None:
        """Counters of detectors move when somebody looks: two dozen of them at each activation took as long as one of them."""
        for detector, spent in self._spent.items():
            self._add("detector_seconds_total", spent, detector)
            self._add("detector_panes_total", self._closed[detector], detector)
        self._spent.clear()
        self._closed.clear()

    def _set(self, name: str, value: float, *labels: str) -> None:
        gauge = self._gauges[name]
        (gauge.labels(*labels) if labels else gauge).set(value)

    def _any(self, name: str) -> Counter | Gauge | Histogram:
        return self._counters.get(name) or self._gauges.get(name) or self._histograms[name]

    def _oldest_age(self) -> float:
        oldest = min(tuple(self._watermarks.values()), default=None)
        return 0.0 if oldest is None else self._clock() - oldest


METRICS = Metrics()
"""The worker's own; a test makes its own instance."""
