"""docs/topics.md says of the outputs what the code does."""

from __future__ import annotations

import datetime as datetime_module
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import confluent_kafka
import pytest
from confluent_kafka import TopicPartition

from dataflows.alerts import alert_records, cell_records
from dataflows.settings import Alerts, Outputs
from detectors import CATALOGUE, weather
from detectors.battery import OBSERVED
from detectors.battery_vehicles import CHANNELS
from detectors.census import CellMinute
from detectors.incidents import Incidents
from detectors.judgement import FAMILIES, RANK, lasts, severity, urgency
from detectors.model import CAUSES, WARNED
from detectors.notices import ALONE, ANY, NAMED, TOGETHER
from tests.test_incidents import T0, finding

PAGE = (Path(__file__).parents[1] / "docs" / "topics.md").read_text("utf-8")
DETECTORS = Path(__file__).parents[1] / "detectors"
SCHEMA = json.loads((Path(__file__).parents[1] / "dataflows" / "schema" / "alert.schema.json").read_text("utf-8"))
SUBCODES = re.compile(r"`(\w+)` \(([^)]*)\)")


def rows(heading: str) -> list[list[str]]:
    """Cells of the table under a heading, without its head."""
    part = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return found[2:]


def test_every_kind_has_its_code_its_severity_and_who_finds_it() -> None:
    table = {row[0].strip("`"): row[1:] for row in rows("Kinds")}
    assert table.keys() == CAUSES.keys()
    finders = {kind: {each.__name__ for each in CATALOGUE if kind in each.kinds} for kind in CAUSES}
    for kind, (code, grave, family, over, valid, by) in table.items():
        assert int(code) == CAUSES[kind]
        assert grave.split(";")[0] == severity(kind, {})
        assert (family == "road") == ("accident" in FAMILIES[kind].kinds)
        assert over == f"{lasts(kind) / 60_000:g} min"
        assert valid == f"{FAMILIES[kind].valid / 60_000:g} min"
        assert set(by.split(", ")) == (finders[kind] or {"nobody yet"})
    road = [kind for kind, row in table.items() if row[2] == "road"]
    assert road == sorted(road, key=RANK.__getitem__)


def test_what_becomes_of_a_warning_is_said_cause_by_cause() -> None:
    alone, together = {}, set[int]()
    for _, causes, kind in rows("Warnings (DENM)"):
        said = re.sub(
            r"with sub-cause (\d)(?: \([^)]*\) or (\d))?|[^\d,]", lambda m: " ".join(filter(None, m.groups())) + " ", causes
        )
        if kind.startswith("`"):
            for each in said.split(","):
                cause, *subcauses = map(int, each.split())
                alone |= {(cause, subcause): kind.strip("`") for subcause in subcauses or [ANY]}
        elif kind == "as the code":
            together = {int(each) for each in said.split(",")}
    assert alone == ALONE
    assert together == {cause for cause, _ in TOGETHER}


def fields(schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each field of a schema by its name, those of objects with a dot."""
    for name, field in schema["properties"].items():
        yield prefix + name, field
        if "properties" in field:
            yield from fields(field, f"{prefix}{name}.")


def test_every_field_of_an_alert_is_explained_on_the_page_and_in_the_schema() -> None:
    named = {name for row in rows("An alert's fields") for name in re.findall(r"`([a-z_.]+)`", row[0])}
    assert named == {name for name, field in fields(SCHEMA) if "properties" not in field}
    assert [name for name, field in fields(SCHEMA) if not field.get("description")] == []


def test_the_page_says_which_kinds_are_not_urgent_and_which_have_a_subcode() -> None:
    says = {row[0]: row[1] for row in rows("An alert's fields")}
    expected = {kind for kind in CAUSES if urgency(kind) == "Expected"}
    assert set(re.findall(r"`(\w+)`", says["`urgency`"])) - {"Immediate", "Expected", "Past", "cleared"} == expected
    codes = SUBCODES.findall(says["`cause.code`, `cause.subcode`"])
    finer = {kind: {int(code) for code in re.findall(r"(\d) ", each)} for kind, each in codes}
    assert finer == {
        "adhesion": {*weather.ICY.values(), weather.BLACK_ICE},
        "visibility": {weather.FOG_BANK, weather.HEAVY_RAIN},
        "extreme_weather": {weather.STRONG_WIND, weather.HURRICANE_WIND},
    }


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
    said = {*CHANNELS, *OBSERVED, *(f"{WARNED}{cause}" for cause, _ in ALONE | TOGETHER)}
    said |= {f"{WARNED}{cause}_{subcause}" for cause, subcause in NAMED}
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


(CONSUMER,) = re.findall(r"(?s)```python\n(.*?)```", PAGE)
NOW = datetime(2026, 3, 4, 7, 47, tzinfo=UTC)


def alert(incident: str, sequence: int = 0, status: str = "opened", lasts: float = 600.0, cap: str = "Actual") -> bytes:
    """What an incident's alert says to the consumer; `lasts`: seconds from NOW until it expires."""
    said: dict[str, Any] = {"kind": "accident", "severity": "Severe", "certainty": "Likely", "cap_status": cap}
    said |= {"incident_id": incident, "sequence": sequence, "status": status, "location": incident}
    return json.dumps(said | {"expires_at": (NOW + timedelta(seconds=lasts)).isoformat()}).encode()


class Clock(datetime):
    """Time stands still at NOW but for what polls wait."""

    waited = 0.0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(NOW.timestamp() + cls.waited, tz)


class Sent:
    def __init__(self, value: bytes | None, error: str | None = None) -> None:
        self._value, self._error = value, error

    def error(self) -> str | None:
        return self._error

    def value(self) -> bytes | None:
        return self._value


class Topic:
    """The client as the page's consumer uses it: who subscribes or commits fails here. A number is a wait in seconds."""

    def __init__(self, sent: Iterable[Sent | float], partitions: int = 2, deaf: int = 0) -> None:
        """`deaf`: how often, after the start, no broker answers."""
        self._sent = iter(sent)
        self._deaf = deaf
        self._partitions = partitions
        self.assigned: list[TopicPartition] = []
        self.settings: dict[str, object] = {}
        self.closed = False

    def __call__(self, settings: dict[str, object]) -> Topic:
        self.settings = settings
        return self

    def list_topics(self, topic: str, timeout: float) -> SimpleNamespace:
        assert timeout > 0
        if self.assigned and self._deaf:
            self._deaf -= 1
            raise confluent_kafka.KafkaException
        return SimpleNamespace(topics={topic: SimpleNamespace(partitions=dict.fromkeys(range(self._partitions)))})

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = partitions

    def poll(self, _: float) -> Sent | None:
        one = next(self._sent, None)
        if one is None:
            raise KeyboardInterrupt
        if isinstance(one, Sent):
            return one
        Clock.waited += one
        return None

    def close(self) -> None:
        self.closed = True


Told = Callable[..., list[str]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs the page's consumer on a topic until it is interrupted; the lines that it printed."""

    def run(topic: Topic) -> list[str]:
        monkeypatch.setattr(confluent_kafka, "Consumer", topic)
        monkeypatch.setattr(datetime_module, "datetime", Clock)
        monkeypatch.setattr(Clock, "waited", 0.0)
        exec(CONSUMER, {})
        return capsys.readouterr().out.splitlines()

    return run


def test_the_consumer_reads_all_partitions_from_their_beginning_commits_nothing_and_closes(told: Told) -> None:
    topic = Topic([])
    assert told(topic) == ["skipped: {}"]
    assert [(each.topic, each.partition, each.offset) for each in topic.assigned] == [
        (Outputs().incidents, 0, confluent_kafka.OFFSET_BEGINNING),
        (Outputs().incidents, 1, confluent_kafka.OFFSET_BEGINNING),
    ]
    assert topic.settings["enable.auto.commit"] is False
    assert topic.closed


def test_the_consumer_closes_when_it_fails(told: Told) -> None:
    topic = Topic([Sent(b"no alert")])
    with pytest.raises(json.JSONDecodeError):
        told(topic)
    assert topic.closed


def test_the_consumer_does_not_wait_for_a_topic_that_is_not_there(told: Told) -> None:
    with pytest.raises(SystemExit, match="roadwatch topics"):
        told(Topic([], partitions=0))


def test_the_consumer_knows_what_is_over(told: Told) -> None:
    """One incident whose word runs out, one that is repeated in time, one that is cleared, and two of before the start."""
    topic = Topic(
        [
            Sent(alert("long past", lasts=-9000)),
            Sent(alert("cleared before", 3, "cleared", lasts=-9000)),
            Sent(None),
            Sent(alert("forgotten", lasts=60)),
            Sent(alert("lasting", lasts=60)),
            Sent(alert("ended")),
            Sent(alert("ended", 1, "cleared", lasts=0)),
            Sent(None),
            Sent(alert("lasting", 1, "updated")),
            Sent(alert("lasting", 1, "updated")),
            120.0,
        ]
    )
    assert told(topic) == [
        "skipped, and so is every other one, for expires_at has passed",
        "opened accident Severe Likely forgotten forgotten",
        "opened accident Severe Likely lasting lasting",
        "opened accident Severe Likely ended ended",
        "cleared accident Severe Likely ended ended",
        "updated accident Severe Likely lasting lasting",
        "over, though no word came: forgotten",
        "skipped: {'expires_at has passed': 1}",
    ]


def test_the_consumer_does_not_take_its_lost_link_for_silence(told: Told) -> None:
    waits = [120.0, 1.0, Sent(alert("lasting", 1, "updated", lasts=600)), 1.0]
    topic = Topic([Sent(alert("lasting", lasts=60)), Sent(alert("gone", lasts=60)), *waits], deaf=2)
    assert told(topic)[2:] == [
        "Kafka does not answer, so nobody knows whether these are over: lasting gone",
        "Kafka does not answer, so nobody knows whether these are over: lasting gone",
        "updated accident Severe Likely lasting lasting",
        "over, though no word came: gone",
        "skipped: {}",
    ]


def test_the_consumer_says_once_that_it_skips_trials_and_counts_them(told: Told) -> None:
    assert told(Topic([Sent(alert("a", cap="Test")), Sent(alert("b", cap="Test")), Sent(alert("c"))])) == [
        "skipped, and so is every other one, for cap_status is Test",
        "opened accident Severe Likely c c",
        "skipped: {'cap_status is Test': 2}",
    ]


def test_the_consumer_says_what_kafka_says_and_goes_on(told: Told) -> None:
    lines = told(Topic([Sent(None, "Topic authorization failed"), Sent(alert("c"))]))
    assert lines[:2] == ["Kafka says: Topic authorization failed", "opened accident Severe Likely c c"]


def test_the_consumer_finds_at_a_broker_what_is_open_at_each_start(broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": broker})
    for value in (alert("trial", cap="Test"), None, alert("open")):
        producer.produce(Outputs().incidents, value, b"key")
    assert producer.flush(30) == 0
    monkeypatch.setattr(datetime_module, "datetime", Clock)

    def until_told(lines: list[str]) -> Callable[..., None]:
        def say(*words: object) -> None:
            lines.append(" ".join(map(str, words)))
            if lines[-1].startswith("opened"):
                raise KeyboardInterrupt

        return say

    for _ in range(2):
        lines: list[str] = []
        exec(CONSUMER.replace("127.0.0.1:9092", broker), {"print": until_told(lines)})
        assert lines[1:] == ["opened accident Severe Likely open open", "skipped: {'cap_status is Test': 1}"]
