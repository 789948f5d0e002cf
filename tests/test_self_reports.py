"""What vehicles say of themselves is believed at once; hazard lights only when they last and others drive by."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.incidents import Incidents
from detectors.model import Finding, Rows, Sign
from detectors.self_reports import SelfReports
from tests import road


def found(*some: Rows) -> list[Finding]:
    detector = SelfReports()
    return [finding for frame in road.frames(road.together(*some)) for finding in detector.update(frame)]


def passing(start: float, every: float, count: int) -> list[Rows]:
    return [road.drive(100 + k, start + every * k, 30, 3.5, -150.0, 0.0, 15.0) for k in range(count)]


@pytest.mark.parametrize(
    ("sign", "kind"), [(Sign.AIRBAG, "accident"), (Sign.JACKKNIFE, "accident"), (Sign.DISABLED, "breakdown")]
)
def test_one_message_is_enough(sign: Sign, kind: str) -> None:
    (finding,) = found(road.rows(1, reporter=7, heading=90.0, signs=int(sign | Sign.BRAKE)))
    assert (finding.kind, finding.time, finding.reporters) == (kind, road.T0 + 1000, frozenset({7}))


def test_but_one_reporter_is_only_possible() -> None:
    (opened,) = Incidents(0).advance(road.T0 + 2000, found(road.rows(1, reporter=7, signs=int(Sign.AIRBAG))))
    assert opened.certainty == "Possible"


def test_an_airbag_that_is_repeated_is_one_incident() -> None:
    seen = road.drive(7, 0, 20, 0.0, 0.0, 0.0, 0.0, signs=int(Sign.AIRBAG))
    changes = list(Incidents(0).advance(road.T0 + 30_000, found(seen)))
    assert [change.status for change in changes] == ["opened"]


def test_hazard_lights_that_last_while_others_pass() -> None:
    lit = road.drive(7, 0, 120, 0.0, 0.0, 0.0, 0.0, signs=int(Sign.HAZARD_LIGHTS))
    findings = found(lit, *passing(5, 8, 6))
    assert findings[0].kind == "breakdown"
    assert findings[0].time - road.T0 == 61_000
    assert dict(findings[0].evidence)["vehicles_passing"] >= 3


def test_a_short_stop_is_none() -> None:
    lit = road.drive(7, 0, 40, 0.0, 0.0, 0.0, 0.0, signs=int(Sign.HAZARD_LIGHTS))
    assert found(lit, *passing(0, 8, 12)) == []


def test_in_a_queue_where_nobody_passes_it_is_none() -> None:
    lit = [road.drive(k, 0, 120, 0.0, -8.0 * k, 0.0, 0.0, signs=int(Sign.HAZARD_LIGHTS)) for k in range(5)]
    assert found(*lit) == []


def test_the_other_carriageway_does_not_pass() -> None:
    lit = road.drive(7, 0, 120, 0.0, 0.0, 0.0, 0.0, signs=int(Sign.HAZARD_LIGHTS))
    other = [road.drive(100 + k, 8.0 * k, 30, -18.0, 150.0, 180.0, 15.0) for k in range(6)]
    assert found(lit, *other) == []


def test_driving_on_ends_it() -> None:
    lit = road.drive(7, 0, 80, 0.0, 0.0, 0.0, 0.0, signs=int(Sign.HAZARD_LIGHTS))
    on = road.drive(7, 80, 60, 0.0, 0.0, 0.0, 8.0, signs=int(Sign.HAZARD_LIGHTS))
    assert found(lit, on, *passing(5, 8, 6))[-1].time <= road.T0 + 81_000


def test_missing_values_do_no_harm() -> None:
    lit = road.drive(7, 0, 120, 0.0, 0.0, np.nan, np.nan, signs=int(Sign.HAZARD_LIGHTS | Sign.AIRBAG))
    assert {finding.kind for finding in found(lit, *passing(5, 8, 6))} == {"accident"}
