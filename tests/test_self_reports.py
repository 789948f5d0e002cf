"""What vehicles say of themselves is believed at once, unless they drive on as if nothing were."""

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


def test_who_drives_on_has_a_broken_unit() -> None:
    assert found(road.drive(7, 0, 20, 0.0, 0.0, 0.0, 25.0, signs=int(Sign.AIRBAG))) == []


def test_who_is_only_slowing_down_is_believed() -> None:
    assert found(road.rows(1, reporter=7, speed=25.0, accel=-9.0, signs=int(Sign.AIRBAG)))


def test_hazard_lights_alone_say_nothing_here() -> None:
    assert found(road.drive(7, 0, 120, 0.0, 0.0, 0.0, 0.0, signs=int(Sign.HAZARD_LIGHTS))) == []


def test_missing_values_do_no_harm() -> None:
    silent = road.drive(7, 0, 20, 0.0, 0.0, np.nan, np.nan, accel=np.nan, signs=int(Sign.AIRBAG))
    assert {finding.kind for finding in found(silent)} == {"accident"}
