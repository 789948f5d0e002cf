"""What came of it: messages, incidents by kind, and what the alerts are worth against the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dataflows.demo.page import Page
from dataflows.demo.verdict import Label, Verdict, judge, labels
from dataflows.watch import Alert, line


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the messages. One message may hold several records."""

    messages: int
    seconds: float
    received: int  # records
    late: int
    refused: dict[str, int]  # by reason
    dead_letters: int

    @classmethod
    def of(cls, page: Page, seconds: float, dead_letters: int) -> Counts:
        """From the worker's page at the end."""
        return cls(
            messages=round(page.total("received_messages_total")),
            seconds=seconds,
            received=round(page.total("received_records_total")),
            late=round(page.total("late_records_total")),
            refused={reason: round(n) for reason, n in page.by("refused_records_total", "reason").items()},
            dead_letters=dead_letters,
        )

    @property
    def accepted(self) -> int:
        return self.received - self.late - sum(self.refused.values())


def summary(counts: Counts, alerts: Sequence[Alert]) -> list[str]:
    """Lines for the terminal."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.refused.items())) or "none"
    return [
        f"{counts.messages:,} messages in {counts.seconds:.0f} s ({counts.messages / max(counts.seconds, 1e-9):,.0f}/s): "
        f"{counts.received:,} records = {counts.accepted:,} accepted + {counts.late:,} late + "
        f"{sum(counts.refused.values()):,} refused ({reasons})",
        f"{counts.dead_letters:,} dead letters: the messages that were damaged on purpose, as they came, each with its reason",
        f"incidents: {_by_kind(alerts)}, told in {len(alerts)} alerts",
        "",
        *_against(judge(alerts, labels())),
    ]


def _by_kind(alerts: Sequence[Alert]) -> str:
    """Each incident under the kind it had last."""
    last = {alert["incident_id"]: alert["kind"] for alert in alerts}
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(last.values()).most_common())
    return f"{len(last)} ({kinds})" if last else "none"


def _against(verdict: Verdict) -> list[str]:
    total = len(verdict.found) + len(verdict.missed)
    lines = [f"against the labels: {len(verdict.found)} of {total} incidents found"]
    told = [(label, f"after {seconds:4.0f} s as {alert['kind']}") for label, seconds, alert in verdict.found]
    told += [(label, "missed") for label in verdict.missed]
    lines += [f"  {_label(label)}  {what}" for label, what in sorted(told, key=lambda each: each[0].start)]
    lines.append(f"further incidents of those, at the same place or in their queue: {len(verdict.further)}")
    lines.append(f"false alarms: {len(verdict.false) or 'none'}")
    lines += [f"  {line(alert)}  ({cause})" for alert, cause in verdict.false]
    return lines


def _label(label: Label) -> str:
    clock = datetime.fromtimestamp(label.start / 1000, UTC).strftime("%H:%M:%S")
    what = f"battery: {label.kind}" if label.battery else label.kind
    return f"{clock}  {what:27} {label.lat:.4f},{label.lon:.4f}"
