"""WZDx 4.2 DeviceFeed: the traffic sensors, loops or radar, of a work zone or a road, one GeoJSON feature each."""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct, json

from dataflows.formats import moment
from dataflows.formats.base import Context, Fields, Reason, RefusedError
from dataflows.formats.text import Identity
from detectors.model import LANES, Surface

MOST_VPH = 20_000.0  # of one lane: 5 in a second, for intervals are short
MOST_KPH = 250.0  # mean of a lane; 255 stands for none
HEADINGS = {"northbound": 0.0, "eastbound": 90.0, "southbound": 180.0, "westbound": 270.0}
"""The road's own name for its direction: the best there is unless `heading_deg`, our extension, says better."""


class Details(Struct, gc=False):
    device_type: str
    device_status: str = "unknown"
    road_direction: str | None = None
    direction: str | None = None  # what earlier editions call it


class Lane(Struct, gc=False):
    lane_order: Any = None  # from 1 on; of those that say something else only the sum over all lanes is known
    average_speed_kph: float | None = None
    volume_vph: float | None = None
    occupancy_percent: float | None = None


class Properties(Struct, gc=False):
    core_details: Details
    collection_interval_start_date: str | None = None
    collection_interval_end_date: str | None = None
    average_speed_kph: float | None = None
    volume_vph: float | None = None
    occupancy_percent: float | None = None
    lane_data: list[Lane] | None = None
    heading_deg: float | None = None


class Geometry(Struct, gc=False):
    type: str
    coordinates: Raw


class Feature(Struct, gc=False):
    id: Identity
    properties: Properties
    geometry: Geometry | None = None


_decode = json.Decoder(Feature).decode
_coordinates = json.Decoder(list[float]).decode


def read(feature: bytes | Raw, context: Context) -> Fields | str:
    """The fields of SENSOR, in its order; None where missing. A name for what is fine and carries no row."""
    said = _decode(feature)
    properties = said.properties
    details = properties.core_details
    if details.device_type != "traffic-sensor":
        return "other_device"
    if details.device_status == "error":  # it says itself that its values are not to be trusted
        return "faulty_device"
    if not properties.collection_interval_end_date:
        raise RefusedError(Reason.NO_TIME, "the traffic sensor has no collection_interval_end_date")
    end = moment.read(properties.collection_interval_end_date)
    interval = None
    if properties.collection_interval_start_date:
        interval = (end - moment.read(properties.collection_interval_start_date)) / 1000
    lon, lat = _place(said.geometry)
    speed, volume, occupancy = _traffic(properties)
    heading = properties.heading_deg
    if heading is None:
        heading = HEADINGS.get(details.road_direction or details.direction or "unknown")
    return (
        end,
        context.pseudonym(said.id),
        0,
        lat,
        lon,
        heading,
        interval,
        None if speed is None else speed / 3.6,
        volume,
        None if occupancy is None else occupancy / 100,
        None,
        None,
        None,
        None,
        None,
        None,
        Surface.UNKNOWN.value,
        *_by_lane(properties.lane_data or []),
    )


def _place(geometry: Geometry | None) -> tuple[float | None, float | None]:
    """Longitude, then latitude, as GeoJSON has it."""
    if geometry is None:
        return None, None
    if geometry.type != "Point":
        raise RefusedError(Reason.WRONG_SHAPE, "the traffic sensor's geometry is not a Point")
    coordinates = _coordinates(geometry.coordinates)
    if len(coordinates) < 2:
        raise RefusedError(Reason.NO_POSITION, "the traffic sensor's coordinates are incomplete")
    return coordinates[0], coordinates[1]


def _traffic(said: Properties) -> tuple[float | None, float | None, float | None]:
    """Mean speed (km/h), volume (vehicles/h) and occupancy (%) of the carriageway; from its lanes where only they are given.

    Where nothing passed and nothing stood there is no speed: some sensors write zero.
    """
    speed, volume, occupancy = said.average_speed_kph, said.volume_vph, said.occupancy_percent
    lanes = said.lane_data or []
    if volume is None:
        volume = _sum([_within(lane.volume_vph, MOST_VPH) for lane in lanes])
    if occupancy is None and (total := _sum([_within(lane.occupancy_percent, 100.0) for lane in lanes])) is not None:
        occupancy = total / len(lanes)
    if speed is None:
        each = [(_within(lane.average_speed_kph, MOST_KPH), _within(lane.volume_vph, MOST_VPH) or 0.0) for lane in lanes]
        moving = [(kph, weight) for kph, weight in each if kph is not None]
        if passed := sum(weight for _, weight in moving):
            speed = sum(kph * weight for kph, weight in moving) / passed
    if volume == 0 and not occupancy:
        speed = None
    return speed, volume, occupancy


def _by_lane(lanes: list[Lane]) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    """Volume (vehicles/h) and mean speed (m/s) of each of LANES lanes; None where it is missing, impossible, or nothing passed.

    Some write -1 or 255 for what they do not know: that is no reason to refuse what the device says of the whole road.
    """
    volumes: list[float | None] = [None] * LANES
    speeds: list[float | None] = [None] * LANES
    places = [lane.lane_order for lane in lanes]
    if all(type(place) in (int, float) and place > 0 and place == place // 1 for place in places) and _distinct(places):
        for lane in lanes:
            if lane.lane_order <= LANES:
                at = int(lane.lane_order) - 1
                volumes[at] = _within(lane.volume_vph, MOST_VPH)
                if lane.volume_vph != 0:
                    speed = _within(lane.average_speed_kph, MOST_KPH)
                    speeds[at] = None if speed is None else speed / 3.6
    return tuple(volumes), tuple(speeds)


def _distinct(places: list[Any]) -> bool:
    return len(set(places)) == len(places)


def _within(value: float | None, most: float) -> float | None:
    return value if value is not None and 0.0 <= value <= most else None


def _sum(values: list[float | None]) -> float | None:
    """None unless every value is there."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
