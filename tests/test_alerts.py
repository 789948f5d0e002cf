"""What leaves: documents that the published schema admits, ids from content, and no identity."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.alerts import alert_records, cell_records, dead_letter_records
from dataflows.intake import DeadLetter
from dataflows.settings import Alerts, Outputs
from detectors.census import CellMinute
from detectors.incidents import Incidents
from detectors.model import CAUSES, Finding
from tests.test_incidents import T0, finding, found

SCHEMA = json.loads((Path(__file__).parents[1] / "dataflows/schema/alert.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
OUTPUTS, ALERTS = Outputs(), Alerts()
CELL = 0x89411CA886BFFFF


def records(*all_found: Finding) -> list:  # type: ignore[type-arg]
    changes = Incidents(2000).advance(T0 + 3_600_000, all_found)
    return alert_records(changes, OUTPUTS, ALERTS, arrival=T0)


@given(st.lists(found, min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_every_alert_fits_the_schema_and_is_the_same_again(all_found: list[Finding]) -> None:
    first = records(*all_found)
    assert first == records(*reversed(all_found))
    for record in first:
        if record.topic == OUTPUTS.alerts:
            VALIDATOR.validate(json.loads(record.value))


def test_schema_and_code_know_the_same_kinds() -> None:
    assert set(SCHEMA["properties"]["kind"]["enum"]) == set(CAUSES)


@pytest.mark.parametrize("without", SCHEMA["required"])
def test_the_schema_refuses_an_alert_that_lacks_a_field(without: str) -> None:
    alert = json.loads(records(finding())[0].value)
    del alert[without]
    assert not VALIDATOR.is_valid(alert)


def test_an_alert_says_what_is_known() -> None:
    alert = json.loads(records(finding(cells=frozenset({CELL}), evidence=(("stopped", 3.0),)))[0].value)
    assert alert["alert_id"] == alert["incident_id"] + "-0"
    assert alert["detected_at"] == "2025-03-04T07:30:02.000Z"
    assert alert["cause"] == {"code": 94, "subcode": 0}
    assert alert["location"] == {"lat": 22.55, "lon": 114.06, "radius_m": 20, "heading": 70.0, "cells": ["89411ca886bffff"]}
    assert alert["evidence"] == {"stopped": 3.0}
    assert alert["reporters"] == 2


@pytest.mark.parametrize("status", ["Actual", "Exercise", "System", "Test"])
def test_whether_to_act_on_it_is_in_the_alert_and_in_its_headers(status: str) -> None:
    """A trial worker's alerts must not send an ambulance, nor a live one's be taken for a trial's."""
    changes = Incidents(2000).advance(T0 + 3_600_000, [finding()])
    for record in alert_records(changes, OUTPUTS, Alerts(status=status), arrival=T0):  # type: ignore[arg-type]
        if record.value is not None:
            VALIDATOR.validate(alert := json.loads(record.value))
            assert alert["cap_status"] == status
            assert dict(record.headers)["ce_capstatus"] == status.encode()


def test_a_missing_place_is_null() -> None:
    nan = float("nan")
    sick = finding("battery_anomaly", lat=nan, lon=nan, heading=nan, reporters=frozenset({1}))
    alert = json.loads(records(sick)[0].value)
    assert alert["location"]["lat"] is None
    VALIDATOR.validate(alert)


def test_headers_are_a_cloud_event_in_binary_mode() -> None:
    record = records(finding())[0]
    alert, headers = json.loads(record.value), dict(record.headers)
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_id": alert["alert_id"].encode(),
        "ce_source": b"/roadwatch",
        "ce_type": b"roadwatch.incident.opened",
        "ce_time": alert["updated_at"].encode(),
        "ce_subject": alert["incident_id"].encode(),
        "ce_capstatus": b"Test",
        "content-type": b"application/json",
    }


def test_the_compacted_topic_ends_with_a_tombstone() -> None:
    states = [record for record in records(finding()) if record.topic == OUTPUTS.incidents]
    assert [json.loads(r.value)["status"] if r.value else None for r in states] == ["opened", "cleared", None]
    assert len({record.key for record in states}) == 1


def test_no_identity_leaves() -> None:
    reporters = frozenset({0x1234_5678_9ABC_DEF0, 0x0FED_CBA9_8765_4321})
    for record in records(finding(reporters=reporters)):
        sent = b"".join([record.key, record.value or b"", *(value for _, value in record.headers)])
        for reporter in reporters:
            assert str(reporter).encode() not in sent
            assert f"{reporter:x}".encode() not in sent


def test_a_dead_letter_carries_its_bytes_and_origin() -> None:
    (record,) = dead_letter_records([DeadLetter(b"\xff{", "v2x.ode-bsm", 3, 17, "unreadable", "not JSON")], OUTPUTS)
    assert (record.topic, record.value) == ("road.dead-letters", b"\xff{")
    assert dict(record.headers) == {
        "topic": b"v2x.ode-bsm",
        "partition": b"3",
        "offset": b"17",
        "reason": b"unreadable",
        "detail": b"not JSON",
    }


def test_a_cell_minute_is_small_and_plain() -> None:
    (record,) = cell_records([CellMinute(T0, CELL, 2, 5, 40, 21.234, 1)], OUTPUTS)
    assert json.loads(record.value or b"") == {
        "start": "2025-03-04T07:30:00.000Z",
        "end": "2025-03-04T07:31:00.000Z",
        "cell": "89411ca886bffff",
        "heading_octant": 2,
        "vehicles": 5,
        "observations": 40,
        "mean_speed_m_s": 21.23,
        "hard_brakes": 1,
    }
