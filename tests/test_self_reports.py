"""What vehicles say of themselves is believed unless they drive on as if nothing were."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.incidents import Incidents
from detectors.model import Finding, Rows, Sign
from detectors.self_reports import SelfReports
from tests import road

CASES = {
    "an airbag, and it stands": (Sign.AIRBAG, 0.0, 0.0, ["accident"]),
    "an airbag, and it slows down hard": (Sign.AIRBAG, 20.0, -9.0, ["accident"]),
    "an airbag, and nothing else is said": (Sign.AIRBAG, np.nan, np.nan, ["accident"]),
    "an airbag for miles": (Sign.AIRBAG, 25.0, 0.0, []),
    "disabled": (Sign.DISABLED, 0.0, 0.0, ["breakdown"]),
    "disabled, and it drives": (Sign.DISABLED, 15.0, 0.0, []),
    "both": (Sign.AIRBAG | Sign.DISABLED, 0.0, 0.0, ["accident"]),
    "hazard lights alone": (Sign.HAZARD_LIGHTS, 0.0, 0.0, []),
}


def findings(rows: Rows) -> list[Finding]:
    detector = SelfReports()
    return [f for frame in road.frames(rows) for f in detector.update(frame)]


@pytest.mark.parametrize(("signs", "speed", "accel", "kinds"), CASES.values(), ids=CASES.keys())
def test_cases(signs: Sign, speed: float, accel: float, kinds: list[str]) -> None:
    row = road.rows(1, reporter=7, speed=speed, accel=accel, heading=np.nan, signs=int(signs))
    assert [f.kind for f in findings(row)] == kinds


def test_it_is_one_incident_for_as_long_as_it_says_so() -> None:
    rows = road.rows(60, seconds=np.arange(60), reporter=7, speed=0.0, signs=int(Sign.AIRBAG))
    found = findings(rows)
    assert len(found) == 60
    changes = list(Incidents(0).advance(road.T0 + 3_600_000, found))
    assert [c.status for c in changes if c.status != "updated"] == ["opened", "cleared"]
    assert {c.certainty for c in changes} == {"Possible"}


def test_two_vehicles_are_two_findings_and_ten_rows_one() -> None:
    rows = road.rows(20, seconds=np.arange(20) * 0.04, reporter=np.arange(20) % 2, speed=0.0, signs=int(Sign.DISABLED))
    assert [sorted(f.reporters) for f in findings(rows)] == [[0], [1]]
