"""The bundled recording: what arrived when, put on the wire as vehicles, electric cars and the roadside would put it.

`benchmarks/cut_recording.py` makes the files. One in four vehicles sends roadwatch's own compact JSON as it was recorded, the
others are encoded as ODE JSON; electric cars as GB/T 32960 frames; loops as WZDx features.
"""

from __future__ import annotations

import csv
import heapq
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import zstandard

from dataflows.formats import encode
from dataflows.formats.observation_plain import SIGN_OF
from detectors.model import Surface

BUNDLE = Path(__file__).with_name("recording")
MINUTES = 34
COMPACT = "048c"  # first digits of the ids of the vehicles that send compact JSON: a quarter of them
DAMAGED = 5000  # one message in so many is followed by its own first half, as if a line had broken
MODEM = 300  # ms from a car's report to the broker, over the mobile network
ROADSIDE = 400  # ms from the end of a device's interval to the broker
NAN = float("nan")
LANES = ("lane_volumes_vph", "lane_speeds_m_s")  # columns of a loop, with spaces between the lanes

STATIONS = (("weather-1", 22.5424, 114.0710), ("weather-2", 22.5508, 114.0945), ("weather-3", 22.5590, 114.1190))
"""Road-weather stations that report a dry and mild morning every minute; the recording itself has no weather."""

Wire = Literal["observation", "ode-json", "gbt32960", "sensor"]


class Sent(NamedTuple):
    """One message as it reaches the broker."""

    arrival: int  # ms since the epoch
    format: Wire
    key: bytes  # messages of one key stay in order
    message: bytes


def messages() -> Iterator[Sent]:
    """Everything, in the order of arrival."""
    return heapq.merge(_vehicles(), _electric_cars(), _loops(), _weather(), key=lambda sent: sent.arrival)


def electric_cars() -> list[dict[str, Any]]:
    """Readings of the electric cars by time, as arguments of `encode.gbt32960_realtime`."""
    return sorted((json.loads(line) for line in _lines("ev.jsonl.zst")), key=lambda said: (said["time"], said["vin"]))


def _vehicles() -> Iterator[Sent]:
    for number, line in enumerate(_lines("observations.jsonl.zst"), 1):
        seen = json.loads(line)
        key = seen["id"].encode()
        if seen["id"][0] in COMPACT:
            sent = Sent(seen["rx"], "observation", key, line.strip().encode())
        else:
            sent = Sent(seen["rx"], "ode-json", key, _ode_json(seen))
        yield sent
        if number % DAMAGED == 0:
            yield sent._replace(message=sent.message[: len(sent.message) // 2])


def _ode_json(seen: dict[str, Any]) -> bytes:
    signs = sum(int(sign) for flag, sign in SIGN_OF.items() if seen.get(flag))
    return encode.ode_json(
        time=seen["ts"],
        id=seen["id"],
        lat=seen["lat"],
        lon=seen["lon"],
        speed=seen.get("v", NAN),
        heading=seen.get("hdg", NAN),
        accel=seen.get("ax", NAN),
        signs=signs,
    )


def _electric_cars() -> Iterator[Sent]:
    seen: set[str] = set()
    for said in electric_cars():
        message = encode.gbt32960_realtime(**said)
        if said["vin"] not in seen:
            seen.add(said["vin"])
            message = encode.gbt32960_login(time=said["time"], vin=said["vin"]) + message
        yield Sent(said["time"] + MODEM, "gbt32960", said["vin"].encode(), message)


def _loops() -> Iterator[Sent]:
    for row in csv.DictReader(_lines("loops.csv.zst")):
        message = encode.traffic_sensor(
            time=int(row["time"]),
            id=row["station"],
            lat=float(row["lat"]),
            lon=float(row["lon"]),
            heading=float(row["heading"]),
            interval=float(row["interval_s"]),
            speed=float(row["speed_m_s"] or NAN),
            volume=float(row["volume_vph"]),
            occupancy=float(row["occupancy"]),
            lanes=list(zip(*(map(float, row[name].split()) for name in LANES), strict=True)),
        )
        yield Sent(int(row["time"]) + ROADSIDE, "sensor", row["station"].encode(), message)


def _weather() -> Iterator[Sent]:
    minutes = sorted({int(row["time"]) for row in csv.DictReader(_lines("loops.csv.zst")) if int(row["time"]) % 60_000 == 0})
    for time in minutes:
        for name, lat, lon in STATIONS:
            message = encode.road_weather(
                time=time,
                id=name,
                lat=lat,
                lon=lon,
                surface_temperature=21.0,
                air_temperature=18.0,
                friction=0.8,
                visibility=9000.0,
                precipitation=0.0,
                wind=2.5,
                surface=Surface.DRY,
            )
            yield Sent(time + ROADSIDE, "sensor", name.encode(), message)


def _lines(name: str) -> Iterator[str]:
    with (BUNDLE / name).open("rb") as file:
        yield from io.TextIOWrapper(zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(file), "utf-8")
