"""What leaves: incidents as alert documents, cell minutes and dead letters, each as the bytes and headers of one record."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import h3.api.basic_int as h3
import orjson

from dataflows.intake import DeadLetter
from dataflows.settings import Alerts, Outputs
from detectors.census import MINUTE, CellMinute
from detectors.incident import Change

CUT_FROM = "bytes"  # header
Headers = tuple[tuple[str, bytes], ...]


class Record(NamedTuple):
    """One message on its way out. A value of None is a tombstone."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers = ()
    arrival: int = -1  # ms: when the message that closed its pane reached the broker
    label: tuple[str, str, str] | None = None  # kind, severity, status of an alert: what its metric is called
    reason: str | None = None  # of a dead letter: what its metric is called

    def cut(self, length: int) -> Record:
        """The first bytes of the value; the header `bytes` says how many there were."""
        value = self.value or b""
        size = () if any(name == CUT_FROM for name, _ in self.headers) else ((CUT_FROM, str(len(value)).encode()),)
        return self._replace(value=value[:length], headers=(*self.headers, *size))


@lru_cache(maxsize=256)  # a minute of a city has thousands of cells, and as many records
def moment(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds.

    >>> moment(1741073400123)
    '2025-03-04T07:30:00.123Z'
    """
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def document(change: Change, cap_status: str) -> dict[str, Any]:
    """One change of an incident as the published alert, see schema/alert.schema.json."""
    return {
        "alert_id": f"{change.incident_id}-{change.sequence}",
        "incident_id": change.incident_id,
        "sequence": change.sequence,
        "status": change.status,
        "cap_status": cap_status,
        "kind": change.kind,
        "cause": {"code": change.cause, "subcode": change.subcause},
        "detected_at": moment(change.opened),
        "onset_at": moment(change.onset),
        "updated_at": moment(change.updated),
        "expires_at": moment(change.expires),
        "location": {
            "lat": _known(change.lat, 6),
            "lon": _known(change.lon, 6),
            "radius_m": _known(change.radius, 0),
            "heading": _known(change.heading, 1),
            "cells": [h3.int_to_str(cell) for cell in change.cells],
        },
        "reporters": change.reporters,
        "score": _known(change.score, 2),
        "severity": change.severity,
        "certainty": change.certainty,
        "urgency": change.urgency,
        "evidence": {name: _known(value, 4) for name, value in change.evidence},
    }


def alert_records(changes: Iterable[Change], outputs: Outputs, alerts: Alerts, arrival: int) -> list[Record]:
    """For each change its alert, and the incident's newest state under its id; a cleared one leaves a tombstone."""
    records = []
    for change in changes:
        body = document(change, alerts.status)
        value, key = orjson.dumps(body), change.incident_id.encode()
        headers = _cloud_event(body, alerts)
        label = (change.kind, change.severity, change.status)
        records.append(Record(outputs.alerts, key, value, headers, arrival, label))
        records.append(Record(outputs.incidents, key, value, headers))
        if change.status == "cleared":
            records.append(Record(outputs.incidents, key, None))
    return records


def cell_records(minutes: Iterable[CellMinute], outputs: Outputs) -> list[Record]:
    records = []
    for minute in minutes:
        name = h3.int_to_str(minute.cell)
        body = {
            "start": moment(minute.start),
            "end": moment(minute.start + MINUTE),
            "cell": name,
            "heading_octant": minute.octant,
            "vehicles": minute.reporters,
            "observations": minute.observations,
            "mean_speed_m_s": round(minute.mean_speed, 2),
            "hard_brakes": minute.hard_brakes,
        }
        records.append(Record(outputs.cells, f"{name}/{minute.octant}".encode(), orjson.dumps(body)))
    return records


def dead_letter_records(letters: Iterable[DeadLetter], outputs: Outputs) -> list[Record]:
    """The original bytes untouched; why and where from in the headers, which never hold an identity."""
    return [
        Record(
            outputs.dead_letters,
            f"{letter.topic}/{letter.partition}/{letter.offset}".encode(),
            letter.message,
            (
                ("topic", letter.topic.encode()),
                ("partition", str(letter.partition).encode()),
                ("offset", str(letter.offset).encode()),
                ("reason", letter.reason.encode()),
                ("detail", letter.detail.encode()),
            ),
            reason=letter.reason,
        )
        for letter in letters
    ]


def _cloud_event(body: dict[str, Any], alerts: Alerts) -> Headers:
    """CloudEvents 1.0, Kafka protocol binding, binary mode: the attributes are headers, the value is the document."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": body["alert_id"],
        "ce_source": alerts.source,
        "ce_type": f"roadwatch.incident.{body['status']}",
        "ce_time": body["updated_at"],
        "ce_subject": body["incident_id"],
        "ce_capstatus": body["cap_status"],
        "content-type": "application/json",
    }
    return tuple((name, value.encode()) for name, value in attributes.items())


def _known(value: float, digits: int) -> float | int | None:
    """Rounded so that a document says no more than is known; None for a missing value, which JSON cannot say otherwise."""
    if math.isnan(value):
        return None
    return round(value) if digits == 0 else round(value, digits)
