"""Roadside sensors: traffic and weather to their columns, heading from the road's name, and the schema in agreement."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats import encode
from dataflows.formats.base import Reason
from dataflows.formats.plausible import NULL_ISLAND
from dataflows.formats.sensor import MOST_DEVICES
from detectors.model import LANES, Surface
from tests.wire import CONTEXT, TIME, decode, vectors

SCHEMA = json.loads((Path(__file__).parents[1] / "dataflows/schema/road_weather.schema.json").read_text("utf-8"))
PLACE = {"lat": 22.5, "lon": 114.1}
FEATURE = json.loads(encode.traffic_sensor(time=TIME, id="loop-7", speed=20.0, volume=1200.0, occupancy=0.11, **PLACE))
nan = float("nan")


def feature(change: Callable[[dict[str, Any]], object]) -> bytes:
    changed = json.loads(json.dumps(FEATURE))
    change(changed["properties"])
    return json.dumps(changed).encode()


def row(message: bytes) -> np.void:
    result = decode("sensor", message)
    assert result.refusals == []
    return result.sensors[0]


def test_a_traffic_sensor() -> None:
    seen = row(encode.traffic_sensor(time=TIME, id="loop-7", heading=74.0, speed=20.0, volume=1200.0, occupancy=0.11, **PLACE))
    assert (seen["time"], seen["lat"], seen["lon"], seen["surface"]) == (TIME, 22.5, 114.1, Surface.UNKNOWN)
    assert seen["reporter"] == CONTEXT.pseudonym("loop-7")
    values = [seen[name] for name in ("heading", "interval", "speed", "volume", "occupancy")]
    assert values == pytest.approx([74.0, 30.0, 20.0, 1200.0, 0.11], rel=1e-6)
    assert np.isnan(seen["friction"])
    assert row(feature(lambda properties: properties.update(heading_deg=360)))["heading"] == 0


@pytest.mark.parametrize(
    ("direction", "heading"),
    [("northbound", 0), ("eastbound", 90), ("southbound", 180), ("westbound", 270), ("inner-loop", nan), ("undefined", nan)],
)
def test_the_roads_name_gives_the_heading(direction: str, heading: float) -> None:
    seen = row(feature(lambda properties: properties["core_details"].update(road_direction=direction)))
    assert seen["heading"] == pytest.approx(heading, nan_ok=True)


def test_lanes_make_the_carriageway() -> None:
    def of_lanes(properties: dict[str, Any]) -> None:
        for name in ("average_speed_kph", "volume_vph", "occupancy_percent"):
            del properties[name]
        properties["lane_data"] = [
            {"lane_order": 1, "average_speed_kph": 90, "volume_vph": 300, "occupancy_percent": 4},
            {"lane_order": 2, "average_speed_kph": 60, "volume_vph": 600, "occupancy_percent": 8},
            {"lane_order": 3, "volume_vph": 0, "occupancy_percent": 0},
        ]

    seen = row(feature(of_lanes))
    assert (seen["speed"], seen["volume"], seen["occupancy"]) == pytest.approx((70 / 3.6, 900, 0.04))
    assert seen["lane_volume"] == pytest.approx([300, 600, 0] + [nan] * (LANES - 3), nan_ok=True)
    assert seen["lane_speed"] == pytest.approx([25, 60 / 3.6] + [nan] * (LANES - 2), rel=1e-6, nan_ok=True)


def test_what_a_lane_cannot_say_is_not_in_the_carriageways_mean() -> None:
    def of_lanes(properties: dict[str, Any]) -> None:
        del properties["average_speed_kph"], properties["volume_vph"]
        lanes = ((1, 100, 1200), (2, 255, 600), (3, -1, -1))
        properties["lane_data"] = [
            {"lane_order": order, "average_speed_kph": kph, "volume_vph": passed} for order, kph, passed in lanes
        ]

    seen = row(feature(of_lanes))
    assert seen["speed"] == pytest.approx(100 / 3.6)
    assert np.isnan(seen["volume"])


@pytest.mark.parametrize("told", [0, 90])
def test_a_lane_on_which_nothing_passed_has_no_speed(told: float) -> None:
    lanes = [{"lane_order": 2, "average_speed_kph": told, "volume_vph": 0}, {"lane_order": 1, "volume_vph": 60}]
    seen = row(feature(lambda properties: properties.update(lane_data=lanes)))
    assert seen["lane_volume"][:3] == pytest.approx([60, 0, nan], nan_ok=True)
    assert np.isnan(seen["lane_speed"]).all()


@pytest.mark.parametrize(
    "orders", [(1, 1), (0, 1), (None, 1), ("1", "2"), (1.5, 2), (-1, 1), (True, 2), (1, 1.0), ([], 2), ({}, 2)], ids=str
)
def test_lanes_that_do_not_say_where_they_lie_are_only_added_up(orders: tuple[Any, ...]) -> None:
    lanes = [{"lane_order": order, "average_speed_kph": 72, "volume_vph": 600} for order in orders]

    def of_lanes(properties: dict[str, Any]) -> None:
        del properties["volume_vph"]
        properties["lane_data"] = lanes

    seen = row(feature(of_lanes))
    assert seen["volume"] == 1200
    assert np.isnan(seen["lane_volume"]).all()


@pytest.mark.parametrize(
    ("lane", "volume", "speed"),
    [
        ({"volume_vph": -1, "average_speed_kph": 72}, nan, 20),
        ({"volume_vph": 20_001, "average_speed_kph": 72}, nan, 20),
        ({"volume_vph": 600, "average_speed_kph": -1}, 600, nan),
        ({"volume_vph": 600, "average_speed_kph": 255}, 600, nan),
        ({"volume_vph": 1e300, "average_speed_kph": 1e300}, nan, nan),
    ],
)
def test_what_a_lane_cannot_say_is_not_known(lane: dict[str, float], volume: float, speed: float) -> None:
    """And what the device says of the whole road is kept."""
    seen = row(feature(lambda properties: properties.update(lane_data=[lane | {"lane_order": 2.0}])))
    assert seen["lane_volume"][:2] == pytest.approx([nan, volume], nan_ok=True)
    assert seen["lane_speed"][:2] == pytest.approx([nan, speed], nan_ok=True)
    assert (seen["speed"], seen["volume"]) == (20, 1200)


def test_lanes_beyond_the_last_that_is_told_apart_are_only_added_up() -> None:
    lanes = [{"lane_order": k + 1, "average_speed_kph": 72, "volume_vph": 100.0 * k} for k in range(LANES + 2)]
    seen = row(feature(lambda properties: properties.update(lane_data=lanes)))
    assert seen["lane_volume"].tolist() == [100.0 * k for k in range(LANES)]


def test_lanes_come_back_as_they_were_encoded() -> None:
    lanes = [(1200.0, 25.0), (0.0, nan), (960.0, 31.0)]
    seen = row(encode.traffic_sensor(time=TIME, id="loop-7", lanes=lanes, **PLACE))
    assert seen["lane_volume"][:4] == pytest.approx([1200, 0, 960, nan], nan_ok=True)
    assert seen["lane_speed"][:4] == pytest.approx([25, nan, 31, nan], nan_ok=True)
    assert np.isnan(row(encode.road_weather(time=TIME, id="rw-1", friction=0.5, **PLACE))["lane_volume"]).all()


def test_where_nothing_passed_there_is_no_speed() -> None:
    empty = {"average_speed_kph": 0, "volume_vph": 0, "occupancy_percent": 0}
    assert np.isnan(row(feature(lambda properties: properties.update(empty)))["speed"])
    jam = empty | {"occupancy_percent": 95}
    assert row(feature(lambda properties: properties.update(jam)))["speed"] == 0


def test_a_feed_with_other_devices_and_a_bad_one() -> None:
    broken = json.loads(feature(lambda properties: properties["core_details"].update(device_status="error")))
    camera = json.loads(feature(lambda properties: properties["core_details"].update(device_type="camera")))
    bad = FEATURE | {"geometry": None}
    feed = {"type": "FeatureCollection", "feed_info": {}, "features": [FEATURE, camera, bad, broken, FEATURE]}
    result = decode("sensor", json.dumps(feed).encode(), b'{"type":"FeatureCollection","features":[]}')
    assert len(result.sensors) == 2
    assert [refusal.reason for refusal in result.refusals] == [Reason.NO_POSITION]
    assert result.recognised == {"other_device": 1, "faulty_device": 1, "empty_feed": 1}
    assert result.records == 6


def test_a_feed_of_too_many_devices_is_one_refusal() -> None:
    result = decode("sensor", b'{"type":"FeatureCollection","features":[' + b"1," * MOST_DEVICES + b"1]}")
    assert [refusal.reason for refusal in result.refusals] == [Reason.TOO_LARGE]


def test_road_weather() -> None:
    said = {"surface_temperature": -1.5, "air_temperature": 0.5, "friction": 0.31, "visibility": 90.0, "precipitation": 4.0}
    seen = row(encode.road_weather(time=TIME, id="rw-1", wind=12.0, surface=Surface.ICE, **said, **PLACE))
    assert (seen["time"], seen["lat"], seen["lon"], seen["surface"]) == (TIME, 22.5, 114.1, Surface.ICE)
    assert [seen[name] for name in (*said, "wind")] == pytest.approx([*said.values(), 12.0], rel=1e-6)
    assert all(np.isnan(seen[name]) for name in ("heading", "interval", "speed", "volume", "occupancy"))
    little = row(encode.road_weather(time=TIME, id="rw-1", **PLACE))
    assert all(np.isnan(little[name]) for name in said)


def test_encoded_features_fit_the_published_schema() -> None:
    """As far as the definitions of the feed's own file go: it refers to others by their address."""
    definitions = json.loads((vectors("wzdx") / "schema-4.2" / "DeviceFeed.json").read_text("utf-8"))["definitions"]
    details = definitions["FieldDeviceCoreDetails"]
    details["properties"]["road_direction"] = json.loads((vectors("wzdx") / "schema-4.2" / "Direction.json").read_text("utf-8"))
    sensor = definitions["TrafficSensor"] | {"definitions": definitions}
    for heading in (nan, 0.0, 74.0, 200.0, 359.0):
        lanes = [(600.0, 20.0), (0.0, nan)]
        message = json.loads(encode.traffic_sensor(time=TIME, id="loop-7", heading=heading, speed=20.0, lanes=lanes, **PLACE))
        jsonschema.Draft7Validator(sensor).validate(message["properties"])


# The limits that the schema cannot say are those of the observation's schema, see test_formats_observation.

LEAST = {"id": "rw-1", "ts": TIME} | PLACE
numbers = st.integers(-150, 150) | st.floats(-150, 3000).map(lambda value: round(value, 2)) | st.sampled_from([0, 1, 1.01])
junk = st.none() | st.booleans() | st.text(max_size=3) | st.lists(st.integers(), max_size=2) | st.just({})
MEASURED = sorted(key for key in SCHEMA["properties"] if key.rpartition("_")[2] in ("c", "m", "h", "s", "deg", "friction"))
KEYS = {"id": st.text(max_size=130) | junk, "ts": st.sampled_from([TIME, 0, 2**70]) | junk, "type": junk, "features": junk}
KEYS |= dict.fromkeys(["lat", "lon", *MEASURED], numbers | junk)
KEYS["surface_state"] = st.sampled_from([surface.name.lower() for surface in Surface] + ["DRY", "lava"]) | junk


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.sets(st.sampled_from(sorted(KEYS)), max_size=3).flatmap(
        lambda some: st.fixed_dictionaries({key: KEYS[key] for key in sorted(some)})
    )
)
def test_the_schema_accepts_what_the_decoder_accepts(changes: dict[str, object]) -> None:
    message = LEAST | changes
    lat, lon = message["lat"], message["lon"]
    if isinstance(lat, int | float) and isinstance(lon, int | float) and max(abs(lat), abs(lon)) < NULL_ISLAND:
        return
    accepted = jsonschema.Draft202012Validator(SCHEMA).is_valid(message)
    assert accepted == (not decode("sensor", json.dumps(message).encode()).refusals)


def test_the_schema_and_the_model_name_the_same_surfaces() -> None:
    assert {name for name in SCHEMA["properties"]["surface_state"]["enum"] if name} == {one.name.lower() for one in Surface}
    assert len(MEASURED) == 7
