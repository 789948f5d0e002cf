"""docs/topics.md says of the outputs what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import confluent_kafka
import pytest

from dataflows.alerts import alert_records, cell_records
from dataflows.settings import Alerts, Outputs
from detectors import CATALOGUE
from detectors.battery import OBSERVED
from detectors.battery_vehicles import CHANNELS
from detectors.census import CellMinute
from detectors.incidents import Incidents
from detectors.judgement import FAMILIES, RANK, lasts, severity
from detectors.model import CAUSES
from tests.test_incidents import T0, finding

PAGE = (Path(__file__).parents[1] / "docs" / "topics.md").read_text("utf-8")
DETECTORS = Path(__file__).parents[1] / "detectors"


def rows(heading: str) -> list[list[str]]:
    """Cells of the table under a heading, without its head."""
    part = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return found[2:]


def test_every_kind_has_its_code_its_severity_and_who_finds_it() -> None:
    table = {row[0].strip("`"): row[1:] for row in rows("Kinds")}
    assert table.keys() == CAUSES.keys()
    finders = {kind: {each.__name__ for each in CATALOGUE if kind in each.kinds} for kind in CAUSES}
    for kind, (code, grave, family, over, by) in table.items():
        assert int(code) == CAUSES[kind]
        assert grave.split(";")[0] == severity(kind, {})
        assert (family == "road") == ("accident" in FAMILIES[kind].kinds)
        assert over == f"{lasts(kind) / 60_000:g} min"
        assert set(by.split(", ")) == (finders[kind] or {"nobody yet"})
    road = [kind for kind, row in table.items() if row[2] == "road"]
    assert road == sorted(road, key=RANK.__getitem__)


def test_the_headers_of_an_alert_are_all_there() -> None:
    (record, *_) = alert_records(Incidents(0).advance(T0 + 1000, [finding()]), Outputs(), Alerts(), T0)
    named = {name for row in rows("Headers") for name in re.findall(r"`([a-z_-]+)`", row[0])}
    assert named == dict(record.headers).keys()


def test_the_fields_of_a_cells_minute_are_all_there() -> None:
    minute = CellMinute(start=T0, cell=0x89411CA886BFFFF, octant=2, reporters=1, observations=3, mean_speed=20.0, hard_brakes=0)
    (record,) = cell_records([minute], Outputs())
    assert record.value is not None
    for name in json.loads(record.value):
        assert f"`{name}`" in PAGE.split("## A road cell's minute")[1]


def test_every_number_of_the_evidence_is_explained() -> None:
    """Names of evidence are written in quotes in front of a value, in a detector or where it claims something."""
    said = {*CHANNELS, *OBSERVED}
    for path in DETECTORS.glob("*.py"):
        text = path.read_text("utf-8")
        said |= set(re.findall(r'evidence\w* ?= ?\(*[^\n]*?\("(\w+)",', text))
        said |= set(re.findall(r'\("(\w+)", (?:float|round|seconds|max|crept|score)', text))
        said |= set(re.findall(r'SURE[^\n]*, "(\w+)", ', text)) | set(re.findall(r'numbers(?:\[| = \{)"(\w+)"', text))
        said |= set(re.findall(r'_drivers\([^\n]*?"(\w+)"', text))
    named = {name for row in rows("Evidence") for name in re.findall(r"`(\w+)`", row[0])}
    assert len(said) > 30
    assert said - named == set()
    assert named - said <= {"accident", "breakdown"}  # which SelfReports calls by the kind


def test_the_consumer_of_the_page_knows_what_is_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One incident whose word ran out, one that is valid and one that was cleared."""

    class Sent:
        def __init__(self, incident: str, status: str, until: str) -> None:
            said = {"kind": "accident", "severity": "Severe", "certainty": "Likely", "location": {}, "cap_status": "Actual"}
            self._alert = said | {"incident_id": incident, "status": status, "sequence": 0, "expires_at": until}

        def error(self) -> None:
            return None

        def value(self) -> bytes:
            return json.dumps(self._alert).encode()

    class Consumer:
        def __init__(self, _: object) -> None:
            self._left = [
                Sent("forgotten", "opened", "2025-03-04T07:47:07.000Z"),
                Sent("lasting", "opened", "2999-03-04T07:47:07.000Z"),
                Sent("cleared", "cleared", "2025-03-04T07:47:07.000Z"),
                None,
            ]

        def subscribe(self, topics: list[str]) -> None: ...

        def poll(self, _: float) -> Sent | None:
            if not self._left:
                raise EOFError
            return self._left.pop(0)

    monkeypatch.setattr(confluent_kafka, "Consumer", Consumer)
    (code,) = re.findall(r"(?s)```python\n(.*?)```", PAGE)
    with pytest.raises(EOFError):
        exec(code, {})
    over = [line for line in capsys.readouterr().out.splitlines() if line.startswith("over")]
    assert over == ["over, though no word came: forgotten"]
