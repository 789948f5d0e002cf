"""From the radio's bytes to alerts: cars that drive and warn, CAMs and DENMs, recorded in lines with their arrivals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from bytewax.testing import run_main

from dataflows import replay
from dataflows.formats import encode_etsi, encode_etsi_json
from dataflows.incidents import flow
from dataflows.settings_reader import load
from tests import road

CARS = (101, 102, 103)
NORTH = 25.0  # m/s
CRASH, ON_THE_ROAD, QUEUE = 2, 12, 27  # causes: an accident, people on the road, a dangerous end of a queue

Sent = tuple[int, dict[str, object]]  # arrival in ms, and what is said; a DENM has a cause


def driving(seconds: int) -> Iterator[Sent]:
    for second in range(seconds):
        for car in CARS:
            time = road.T0 + 1000 * second + car
            lat = road.LAT + (NORTH * second - 60.0 * (car - 101)) * road.METRE
            yield time + 40, {"time": time, "station": car, "lat": lat, "lon": road.LON, "speed": NORTH, "heading": 0.0}


def warning(car: int, second: int, cause: int, number: int = 1, **more: object) -> Sent:
    """Of what lies 1 km along the road, detected when it is said."""
    said = road.T0 + 1000 * second + car
    place = {"lat": road.LAT + 1000.0 * road.METRE, "lon": road.LON, "heading": 0.0}
    return said + 40, {"detected": said, "referred": said, "station": car, "number": number, "cause": cause} | place | more


def in_hex(arrival: int, said: dict[str, object]) -> bytes:
    made = encode_etsi.denm(**said) if "cause" in said else encode_etsi.cam(**said)  # type: ignore[arg-type]
    return f"{arrival} {made.hex()}\n".encode()


def in_json(arrival: int, said: dict[str, object]) -> bytes:
    made = encode_etsi_json.denm(**said) if "cause" in said else encode_etsi_json.cam(**said)  # type: ignore[arg-type]
    return made + b"\n"


def alerts(folder: Path, sent: Iterable[Sent], form: str = "etsi") -> list[dict[str, object]]:
    recording, out = folder / f"cars.{form}", folder / f"{form}.jsonl"
    write = in_hex if form == "etsi" else in_json
    recording.write_bytes(b"".join(write(*each) for each in sorted(sent, key=lambda each: each[0])))
    settings = load(None, {"privacy": {"key": "a key"}})
    run_main(flow(settings, replay.ends([(recording, form)], settings, out), kept=False))
    return [json.loads(line) for line in out.read_bytes().splitlines()] if out.exists() else []


def test_who_drives_is_no_news(tmp_path: Path) -> None:
    assert alerts(tmp_path, driving(60)) == []


@pytest.mark.parametrize("form", ["etsi", "etsi-json"])
def test_one_warning_opens_an_incident_and_its_station_ends_it(form: str, tmp_path: Path) -> None:
    said = [warning(101, second, ON_THE_ROAD) for second in range(30, 40)]
    over = warning(101, 40, 0, ended=True)
    first, *more, last = alerts(tmp_path, [*driving(240), *said, over], form)
    assert (first["status"], first["kind"], first["certainty"], first["reporters"]) == ("opened", "obstacle", "Possible", 1)
    assert first["evidence"] == {"warned_12": 1.0}
    assert first["onset_at"] == "2025-03-04T07:30:30.101Z"
    assert first["detected_at"] == "2025-03-04T07:30:33.000Z"
    assert not more
    assert (last["status"], last["detected_at"]) == ("cleared", first["detected_at"])
    assert str(last["updated_at"]) < "2025-03-04T07:32:45"  # two minutes after the last word


def test_people_on_the_road_beside_a_crash_that_is_known_are_told_within_seconds(tmp_path: Path) -> None:
    sent = [*driving(60), warning(101, 10, CRASH), warning(101, 30, ON_THE_ROAD, number=2)]
    crash, people = alerts(tmp_path, sent)
    assert (people["incident_id"], people["status"], people["kind"]) == (crash["incident_id"], "updated", "accident")
    assert people["updated_at"] == "2025-03-04T07:30:33.000Z"
    assert (crash["evidence"], people["evidence"]) == ({"warned_2": 1.0}, {"warned_12": 1.0, "warned_2": 1.0})


def test_what_is_everyday_is_told_when_a_second_car_that_was_seen_to_drive_says_so(tmp_path: Path) -> None:
    alone = [warning(101, second, QUEUE) for second in range(30, 40)]
    assert alerts(tmp_path, [*driving(60), *alone]) == []
    (told,) = alerts(tmp_path, [*driving(60), *alone, warning(102, 35, QUEUE)])
    assert (told["kind"], told["reporters"], told["certainty"]) == ("dangerous_end_of_queue", 2, "Likely")


def test_stations_that_nobody_has_seen_drive_count_as_one(tmp_path: Path) -> None:
    """Names are easily made up, and a flood of them is one source."""
    crowd = [warning(car, 30, ON_THE_ROAD) for car in range(500, 550)]
    said = alerts(tmp_path, [*driving(60), *crowd])
    assert {(each["certainty"], each["reporters"]) for each in said} == {("Possible", 1)}


def test_both_ways_of_writing_say_the_same(tmp_path: Path) -> None:
    said = [warning(car, second, QUEUE) for car in CARS for second in range(40, 44)]
    sent = [*driving(90), *said, warning(103, 50, QUEUE, ended=True)]
    assert alerts(tmp_path, sent, "etsi") == alerts(tmp_path, sent, "etsi-json") != []


def test_names_that_stand_on_one_spot_and_say_that_they_drive_are_no_witnesses(tmp_path: Path) -> None:
    here = {"lat": road.LAT + 900.0 * road.METRE, "lon": road.LON, "speed": 12.0, "heading": 0.0}
    stand = [
        (road.T0 + 1000 * second + 540, {"time": road.T0 + 1000 * second + 500, "station": name, **here})
        for second in range(25)
        for name in range(500, 520)
    ]
    said = alerts(tmp_path, [*driving(60), *stand, *(warning(name, 30, ON_THE_ROAD) for name in range(500, 520))])
    assert {(each["certainty"], each["reporters"]) for each in said} == {("Possible", 1)}


def test_two_names_that_nobody_has_seen_drive_are_not_two_stations(tmp_path: Path) -> None:
    said = [warning(name, second, QUEUE) for name in (500, 501) for second in range(30, 40)]
    assert alerts(tmp_path, [*driving(60), *said]) == []
