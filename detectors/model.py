"""The words that everybody shares: observations, readings, notices, frames, findings, and what a detector is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.void]  # a structured array: of one of the four dtypes below, or of one that a detector keeps its own in


class Sign(IntFlag):
    """What a vehicle says of itself beside position and speed; unset means 'no' or 'not said'."""

    BRAKE = 1 << 0  # brake lamp
    HARD_BRAKE = 1 << 1  # SAE J2735 eventHardBraking: deceleration over HARD_BRAKING
    ABS = 1 << 2  # anti-lock brakes intervened
    TRACTION = 1 << 3  # traction control intervened
    STABILITY = 1 << 4  # stability control intervened
    HAZARD_LIGHTS = 1 << 5
    WIPERS = 1 << 6  # wipers changed or on
    FOG_LIGHTS = 1 << 7
    FLAT_TYRE = 1 << 8
    DISABLED = 1 << 9  # SAE J2735 eventDisabledVehicle
    AIRBAG = 1 << 10  # SAE J2735 eventAirBagDeployment
    JACKKNIFE = 1 << 11
    LIGHTS_CHANGED = 1 << 12
    HAZARDOUS_GOODS = 1 << 13
    STOP_LINE_VIOLATION = 1 << 14


HARD_BRAKING = 0.4 * 9.80665  # m/s2: 0.4 g, 3.92; over it SAE J2735 wants eventHardBraking said, so 3.92 itself is not hard


class Surface(IntEnum):
    """State of the road surface as a road-weather sensor gives it."""

    UNKNOWN = 0
    DRY = 1
    MOIST = 2
    WET = 3
    ICE = 4
    SNOW = 5
    SLUSH = 6
    FROST = 7


class Doubt(IntEnum):
    """Why a row is not believed. Where there are two reasons the larger one is said.

    The names are those of ETSI TS 103 759's observations of CAMs, in whose terms SAE J3287 reports BSMs; what has no
    counterpart there says that it is ours.
    """

    NONE = 0
    LONG_ACC_VALUE_TOO_LARGE = 1  # LongAcc-ValueTooLarge; only of speeding up, for what slows down so hard may have crashed
    SPEED_CHANGE_TOO_LARGE = 2  # Speed-ChangeTooLarge: beyond tyres, and nothing else speaks of it
    SPEED_VALUE_TOO_LARGE = 3  # Speed-ValueTooLarge-VehicleType
    HEADING_AGAINST_MOVEMENT = 4  # ours
    POSITION_CHANGE_TOO_SMALL = 5  # ours: it says that it drives, and does not get on
    CONSTANT_POSITION = 6  # ours: the same to the last digit at speed, or after a fall in speed that nothing else speaks of
    POSITION_CHANGE_TOO_LARGE = 7  # Position-ChangeTooLarge: farther than its speed allows
    CLAIM_WITHOUT_HISTORY = 8  # ours: says that it brakes hard or slips, and has not been seen to drive
    MANY_IDENTITIES = 9  # ours: one of more new identities than ever come into a cell


# Every row: event time in ms since the epoch, WGS-84 degrees, SI units, headings in degrees clockwise from north.
# Missing is NaN in floats; `reporter` is a keyed hash, never a person; `cell` is the H3 index at the grid resolution.

OBSERVATION = np.dtype(
    [
        ("time", "i8"),
        ("reporter", "u8"),
        ("cell", "u8"),
        ("lat", "f8"),
        ("lon", "f8"),
        ("speed", "f4"),  # m/s
        ("heading", "f4"),  # degrees
        ("accel", "f4"),  # m/s2, along the vehicle, negative is braking
        ("signs", "u4"),  # Sign
    ]
)
"""One vehicle seen once."""

LANES = 8  # of one carriageway that are told apart; wider ones are rare

SENSOR = np.dtype(
    [
        ("time", "i8"),  # end of the collection interval
        ("reporter", "u8"),  # the device
        ("cell", "u8"),
        ("lat", "f8"),
        ("lon", "f8"),
        ("heading", "f4"),  # of the traffic that it watches
        ("interval", "f4"),  # s, collection interval
        ("speed", "f4"),  # m/s, mean
        ("volume", "f4"),  # vehicles per hour
        ("occupancy", "f4"),  # fraction of time covered, 0 to 1
        ("surface_temperature", "f4"),  # degrees Celsius
        ("air_temperature", "f4"),  # degrees Celsius
        ("friction", "f4"),  # coefficient, 0 to 1
        ("visibility", "f4"),  # m
        ("precipitation", "f4"),  # mm/h
        ("wind", "f4"),  # m/s
        ("surface", "u1"),  # Surface
        ("lane_volume", "f4", LANES),  # vehicles per hour, by the lane's place across the road, from either side
        ("lane_speed", "f4", LANES),  # m/s, mean
    ]
)
"""One roadside device, one collection interval."""

READING = np.dtype(
    [
        ("time", "i8"),
        ("reporter", "u8"),
        ("cell", "u8"),  # 0 where the position is missing
        ("lat", "f8"),
        ("lon", "f8"),
        ("speed", "f4"),  # m/s
        ("mileage", "f4"),  # km
        ("soc", "f4"),  # state of charge, fraction 0 to 1
        ("voltage", "f4"),  # V, pack
        ("current", "f4"),  # A, positive is discharge
        ("insulation", "f4"),  # ohm
        ("cell_voltage_max", "f4"),  # V
        ("cell_voltage_min", "f4"),  # V
        ("cell_voltage_mean", "f4"),  # V, NaN where the frame has no single voltages
        ("temperature_max", "f4"),  # degrees Celsius
        ("temperature_min", "f4"),
        ("motor_temperature", "f4"),  # the hottest motor
        ("alarms", "u4"),  # GB/T 32960 general alarm flags
        ("alarm_level", "u1"),  # 0 none to 3; 4 thermal event (2025); 255 not given
        ("state", "u1"),  # vehicle: 1 started, 2 off, 3 other; 255 not given
        ("charging", "u1"),  # 1 parked charging, 2 driving charging, 3 not charging, 4 complete; 255 not given
        ("reissued", "u1"),  # 1 for a report sent again later (command 03)
    ]
)
"""One EV's battery telemetry once."""

NOTICE = np.dtype(
    [
        ("time", "i8"),  # when it was said
        ("reporter", "u8"),  # the station that says so
        ("cell", "u8"),
        ("lat", "f8"),  # of what it warns of, as is
        ("lon", "f8"),
        ("heading", "f4"),  # of the traffic that meets it
        ("onset", "i8"),  # when it was detected
        ("version", "i8"),  # when this version of it was made, by its own clock
        ("until", "i8"),  # up to when it is valid
        ("number", "u4"),  # which of the station's warnings this is
        ("cause", "u1"),  # ETSI EN 302 637-3 cause code
        ("subcause", "u1"),
        ("ended", "u1"),  # 1: it says that this is over
    ]
)
"""One hazard notification (DENM) heard once."""

NO_NOTICES: Rows = np.empty(0, NOTICE)


def plain(rows: Rows) -> Rows:
    """The same memory without its fields: numpy assigns and inserts such rows in a tenth of the time that fields take."""
    return rows.view(f"V{rows.dtype.itemsize}")


SLEPT = 60_000  # ms between two frames of a shard: what is more was sleep
SIGHT = 500.0  # m over a shard's border that it sees: what is decided by what lies farther would differ with the shard


@dataclass(frozen=True, slots=True)
class Frame:
    """One closed pane of one shard: everything accepted with start <= time < end, sorted by time, then reporter.

    Rows of neighbouring shards within SIGHT of the border are in it too, so that what happens at an edge is seen
    whole; a finding whose place another shard owns is dropped by the window step, for that shard finds it as well.
    An empty frame is the tick: silence is news too. After half an hour of it a shard sleeps, and is woken by the next row or
    on the hour, for what is to be forgotten by then: so a frame may start much later than the last one ended.
    """

    start: int  # ms since the epoch
    end: int  # ms since the epoch
    observations: Rows
    sensors: Rows
    readings: Rows
    notices: Rows = field(default_factory=lambda: NO_NOTICES)  # most feeds have none

    @property
    def empty(self) -> bool:
        return not (len(self.observations) or len(self.sensors) or len(self.readings) or len(self.notices))

    def ends_a(self, span: int) -> bool:
        """Whether one of the spans of so many ms since the epoch ends in it: for what is done every few seconds."""
        return self.end % span < self.end - self.start


@dataclass(frozen=True, slots=True)
class Finding:
    """A detector's claim about one place, made when a pane closed."""

    kind: str  # a DENM cause by name, see CAUSES
    time: int  # ms since the epoch: end of the pane in which it was found
    onset: int  # ms since the epoch: when the evidence began
    lat: float
    lon: float
    heading: float  # degrees; NaN where the kind has no direction
    radius: float  # m: how far the evidence reaches from the place
    score: float  # -log10 of the chance that this is nothing, or the detector's equivalent; larger is surer
    reporters: frozenset[int]  # distinct reporters behind it; they never leave the process but as a count
    evidence: tuple[tuple[str, float], ...] = ()  # numbers a person can check, sorted by name
    subcause: int = 0  # DENM sub-cause code
    cells: frozenset[int] = field(default=frozenset())  # H3 cells touched; the place's own cell if empty
    company: int = 1  # the least number of sources, or it is dropped; all who were seen for the first time a moment ago are one
    opens: bool = True  # False: it only carries on an incident that is open
    within: float = math.inf  # m: an incident that began farther off is another one, though this touches it
    strangers: frozenset[int] = frozenset()  # those of the reporters who were seen for the first time a moment ago

    @property
    def order(self) -> tuple[Any, ...]:
        """An order that depends on nothing but content; findings that it holds for equal name the same place and reporters."""
        place = (self.lat, self.lon) if self.lat == self.lat else (999.0, 999.0)  # NaN has no order
        return (self.time, self.kind, self.onset, *place, self.score, tuple(sorted(self.reporters)))


CAUSES: dict[str, int] = {  # ETSI EN 302 637-3 cause codes; 0: ours, no DENM cause fits
    "traffic_condition": 1,
    "accident": 2,
    "adhesion": 6,
    "obstacle": 10,
    "wrong_way": 14,
    "extreme_weather": 17,
    "visibility": 18,
    "slow_vehicle": 26,
    "dangerous_end_of_queue": 27,
    "breakdown": 91,
    "stationary_vehicle": 94,
    "dangerous_situation": 99,
    "battery_anomaly": 0,
}

BITS = "alarm_bits", "limits_passed"  # evidence of a battery that is made of bits
WARNED = "warned_"  # and a cause, of some a sub-cause too: evidence, how many stations warn of that (DENM)


@runtime_checkable
class Detector(Protocol):
    """Watches one shard. The instance is its state: it must pickle, stay small, and be deterministic.

    `update` gets the closed panes one after the other and returns what it found in them. It repeats a finding for as
    long as the evidence lasts (every pane, or every few): an incident stays open while findings keep coming.
    """

    kinds: ClassVar[tuple[str, ...]]  # what it may report, names of CAUSES

    def update(self, frame: Frame) -> list[Finding]: ...
