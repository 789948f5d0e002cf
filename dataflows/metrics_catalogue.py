"""Every metric that roadwatch shows: its name, its labels, what it says, and what an operator does about it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from dataflows.formats.base import Reason
from detectors.model import CAUSES, Doubt

KINDS = tuple(CAUSES)
REASONS = tuple(reason.value for reason in Reason)
DOUBTS = tuple(doubt.name.lower() for doubt in Doubt if doubt)
STATUSES = ("opened", "updated", "cleared")
SEVERITIES = ("Extreme", "Severe", "Moderate", "Minor")  # CAP 1.2, section 3.2.2; "Unknown" is never said

BATCH = (1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)  # messages
SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)  # s: decoding a poll
LONG = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)  # s: an alert a minute late is no alert


class Metric(NamedTuple):
    """One metric; its help text is `says` and `do`. Labels have few values: never a vehicle, a cell, an incident."""

    group: str  # as the dashboard and docs/operations.md group them
    kind: Literal["counter", "gauge", "histogram"]
    name: str  # without the prefix roadwatch_; base units; counters end in _total
    labels: tuple[str, ...]
    says: str
    do: str
    buckets: tuple[float, ...] = ()


TRAFFIC, QUALITY, PACE = "traffic in", "quality of input", "pace"
DETECTION, INCIDENTS, OUTPUT, WORKER = "detection", "incidents", "output and recovery", "worker"
PARTITION = ("topic", "partition")

CATALOGUE = (
    # A record is what a message carries: a vehicle, a reading, a heartbeat, or the refusal of an unreadable message.
    Metric(TRAFFIC, "counter", "received_messages_total", ("topic",),
           "Messages consumed.",
           "Standing still while vehicles drive: look at the producers and the broker first."),
    Metric(TRAFFIC, "counter", "received_bytes_total", ("topic",),
           "Bytes of the messages consumed.",
           "Bytes a message changed at once: a producer changed its format; see the refusals."),
    Metric(TRAFFIC, "counter", "received_records_total", ("topic",),
           "Records in the messages: always accepted + late + refused.",
           "If it is not, that is a bug: report it with this page."),
    Metric(TRAFFIC, "counter", "accepted_records_total", ("topic",),
           "Records passed on to the windows, or recognised.",
           "Falling against received: see the late and the refused ones."),
    Metric(TRAFFIC, "counter", "recognised_records_total", ("topic",),
           "Accepted records that carry no observation, such as logins and heartbeats.",
           "Only these coming: the vehicles are connected and do not report; ask their platform."),

    Metric(QUALITY, "counter", "late_records_total", ("topic",),
           "Records behind the watermark of their partition, not used.",
           "Growing steadily: raise the allowed lateness, or mend the order of the feed."),
    Metric(QUALITY, "counter", "refused_records_total", ("topic", "reason"),
           "Records not used, by reason.",
           "Read the dead letters of the reason that grows, then talk to whoever sends them."),
    Metric(QUALITY, "counter", "observations_without_speed_total", ("topic",),
           "Observations, late ones too, that say no speed.",
           "Most of a topic's: its producer calls the field otherwise; without speeds hardly anything is found."),
    Metric(QUALITY, "counter", "late_at_shard_records_total", (),
           "Accepted records whose pane had closed, because their partition had been idle.",
           "Growing: raise the idle time, or mend the feed that pauses."),
    Metric(QUALITY, "counter", "duplicate_records_total", (),
           "Accepted records that a window had already.",
           "Growing: a producer or a gateway sends everything twice."),
    Metric(QUALITY, "counter", "implausible_reports_total", ("reason",),
           "Accepted observations that no detector gets to see, by what is wrong with them.",
           "One in a hundred or more: find the fleet whose units do so. Many identities: somebody may be making up vehicles."),
    Metric(QUALITY, "counter", "dead_letters_total", ("reason",),
           "Messages put on the dead-letter topic.",
           "Read them there: their headers say topic, partition, offset and reason."),
    Metric(QUALITY, "counter", "lost_messages_total", ("topic",),
           "Messages that the broker deleted before they were read.",
           "Not 0: that traffic was never judged; raise the topic's retention, then see why the worker was behind."),

    Metric(PACE, "gauge", "consumer_lag_messages", PARTITION,
           "Messages that wait in the partition.",
           "Growing for minutes: the worker is too slow; see decode and detector seconds, share the work (docs/scaling.md)."),
    Metric(PACE, "gauge", "watermark_timestamp_seconds", PARTITION,
           "Event time up to which the partition is complete, in seconds since the epoch.",
           "Standing still while messages come: their times are wrong or refused."),
    Metric(PACE, "gauge", "watermark_age_seconds", PARTITION,
           "How far the partition's watermark is behind the clock.",
           "Growing: lag, delay in the feed, or wrong clocks. Large and constant: a recording is being played."),
    Metric(PACE, "gauge", "oldest_watermark_age_seconds", (),
           "Age of the oldest watermark among this worker's partitions that are not idle; 0 if there is none.",
           "It delays every incident: find the partition, mend its feed."),
    Metric(PACE, "gauge", "partition_idle", PARTITION,
           "1 while the partition is silent and does not hold the others back.",
           "1 for longer than its senders ever pause: its producer is gone."),
    Metric(PACE, "gauge", "partition_ahead", PARTITION,
           "1 while the partition is not read, being more than window.lead ahead of the slowest in event time.",
           "1 for long on most: one partition is behind; its lag says which, and whether its messages have right times."),
    Metric(PACE, "gauge", "partition_unreadable", PARTITION,
           "1 while the broker refuses to let the partition be read, or does not answer for it.",
           "1: nothing of it is judged, and it may hold others back; /readyz says why: rights, or the topic is gone."),
    Metric(PACE, "gauge", "pane_end_timestamp_seconds", (),
           "End of the last pane that all shards reported to the incident step, in seconds since the epoch.",
           "Standing still while watermarks move: a worker of the cluster hangs; restart them together."),
    Metric(PACE, "histogram", "poll_messages", (),
           "Messages a poll, of those that brought any.",
           "Large for minutes while the lag grows: the worker is behind. "
           "The limit is `kafka.poll_messages`, or what is read in 0.05 s.", BATCH),
    Metric(PACE, "histogram", "poll_pause_seconds", (),
           "Time from one poll of the worker to its next, of whichever partitions.",
           "Seconds: something stops the flow; compare snapshot and detector seconds, and the recovery disk.", LONG),
    Metric(PACE, "histogram", "decode_seconds", ("format",),
           "Decoding of one poll.",
           "Growing against messages a poll: larger messages, or a machine that is short of CPU.", SHORT),

    Metric(DETECTION, "counter", "panes_total", (),
           "Panes closed by this worker's shards.",
           "Standing still while messages come: the watermark does not move; see it."),
    Metric(DETECTION, "counter", "detector_seconds_total", ("detector",),
           "Time spent in the detector: its rate is a share of one core.",
           "Growing with steady traffic: see the size of its state."),
    Metric(DETECTION, "counter", "detector_panes_total", ("detector",),
           "Panes that the detector judged: what to divide its seconds by.",
           "Behind the panes closed: see its errors."),
    Metric(DETECTION, "counter", "detector_errors_total", ("detector",),
           "Panes in which the detector failed and was reset.",
           "Not 0: it has forgotten what it learnt there; report the traceback from the log."),
    Metric(DETECTION, "gauge", "detector_state_bytes", ("detector",),
           "Size of the detector's state in the last snapshots.",
           "Growing for days: cells are not forgotten; report it."),
    Metric(DETECTION, "counter", "findings_total", ("kind",),
           "What the detectors claim, repeated for as long as it lasts.",
           "Many findings and few incidents: the evidence flickers."),

    Metric(INCIDENTS, "gauge", "incidents_open", ("kind", "severity"),
           "Incidents open now.",
           "Many at once: a real catastrophe, or a detector that has gone chatty; compare with the map."),
    Metric(INCIDENTS, "counter", "alerts_total", ("kind", "severity", "status"),
           "Changes of incidents sent out.",
           "Hundreds an hour of one kind: people stop reading; raise its threshold or find the broken sensor."),
    Metric(INCIDENTS, "histogram", "alert_latency_seconds", ("kind",),
           "From the broker's receipt of the message that closed the pane to the alert.",
           "Above 5 s: see lag, the pause between polls, and snapshots.", LONG),

    Metric(OUTPUT, "counter", "delivered_messages_total", ("topic",),
           "Messages that the broker confirmed.",
           "Standing still while alerts are made: the log says what the broker refuses or why it is away."),
    Metric(OUTPUT, "counter", "delivery_failures_total", ("topic",),
           "Messages that the broker did not take in time.",
           "Not 0: consumers miss alerts until the worker has resumed from its snapshot; see the broker."),
    Metric(OUTPUT, "counter", "snapshot_seconds_total", ("step",),
           "Time spent in taking snapshots: its rate is the share of time in which the flow stands.",
           "Growing: see the size of the state; lengthen the snapshot interval."),
    Metric(OUTPUT, "counter", "snapshot_bytes_total", ("step",),
           "Bytes of the snapshots taken.",
           "Growing for days at steady traffic: state is not forgotten; report it, watch the recovery volume."),
    Metric(OUTPUT, "counter", "snapshots_total", ("step",),
           "Snapshots taken, one per key and interval.",
           "Standing still: a crash would replay from the last one; see the recovery volume and the log."),

    Metric(WORKER, "gauge", "ready", (),
           "1 once it has started, while the broker answers.",
           "0: ask /readyz, it says why in a sentence."),
    Metric(WORKER, "gauge", "heartbeat_age_seconds", (),
           "Time since the flow's last sign of life.",
           "Above the limit of /livez: the worker hangs; restart it, it resumes from its snapshot."),
    Metric(WORKER, "gauge", "build_info", ("version",),
           "Always 1; its label is the version that runs.",
           "Different versions in one cluster: finish the upgrade."),
)  # fmt: skip


def markdown() -> str:
    """The catalogue as docs/operations.md shows it: `python -m dataflows.metrics_catalogue` prints it."""
    lines = []
    for group in dict.fromkeys(metric.group for metric in CATALOGUE):
        lines += [f"### {group.capitalize()}", "", "| Metric | Labels | Says | Do |", "|---|---|---|---|"]
        for metric in CATALOGUE:
            if metric.group == group:
                name = f"`roadwatch_{metric.name}`"
                lines.append(f"| {name} | {', '.join(metric.labels) or '-'} | {metric.says} | {metric.do} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
