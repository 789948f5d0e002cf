"""What a CAM or a DENM says, whichever way it was written: ETSI's integers to rows in SI units.

Station types, units and codes are those of the common data dictionary (TS 102 894-2), which both releases share.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dataflows.formats.base import UNDATED, Context, Decoded, Reason, RefusedError
from detectors.model import NOTICE, OBSERVATION, Rows, Sign

EPOCH = 1_072_915_200_000  # ms from 1970 to 2004-01-01, where TimestampIts begins
LEAP = 5_000  # ms: the leap seconds since then. The last was in 2016, and from 2035 on there are to be none
FAST = 1_000  # ms that a clock may be ahead; so what was on its way for 4 s is still read right
PERIOD = 65_536  # ms: a CAM says its time within that

LAT_UNAVAILABLE, LON_UNAVAILABLE = 900_000_001, 1_800_000_001  # 1e-7 degrees
SPEED_UNAVAILABLE = 16_383  # cm/s
SPEED_BEYOND = 16_382  # out of range, since release 2: no speed that one could drive
HEADING_UNAVAILABLE = 3_601  # 0.1 degrees
ACCEL_UNAVAILABLE = 161  # 0.1 m/s2; the scale begins at -160
DEFAULT_VALIDITY, LONGEST_VALIDITY = 600, 86_400  # s
FIRST = 100_000_000_000  # TimestampIts of March 2007, before any DENM: less is in seconds, say
ITS_TIME = "its times count ms since 2004-01-01"

VEHICLES = frozenset((0, 3, 4, 5, 6, 7, 8, 9, 10, 14))  # unknown, moped to special vehicle, agricultural
ROADSIDE = 15
OTHERS = {1: "pedestrian", 2: "cyclist", 11: "tram", 12: "light_vru", 13: "animal", ROADSIDE: "roadside"}
ROADSIDE_DENM = "roadside_denm"  # may be our own alert that comes back, and an incident must not keep itself alive
DANGEROUS_GOODS = 3  # VehicleRole

BRAKE, HARD_BRAKE, HAZARD_LIGHTS, FOG_LIGHTS, HAZARDOUS_GOODS = map(
    int, (Sign.BRAKE, Sign.HARD_BRAKE, Sign.HAZARD_LIGHTS, Sign.FOG_LIGHTS, Sign.HAZARDOUS_GOODS)
)


class Cam(NamedTuple):
    """A vehicle's, in the integers of the standard."""

    station: int
    delta: int  # generationDeltaTime, ms; -1 where it is not said
    lat: int
    lon: int
    speed: int
    heading: int  # of the movement, also of a vehicle that drives backwards
    accel: int  # negative is braking
    signs: int


class Denm(NamedTuple):
    """In the integers of the standard; the station is the one that saw it, not one that passes it on."""

    station: int
    number: int
    detection: int  # TimestampIts
    reference: int  # TimestampIts: when this version of it was made
    validity: int  # s from the detection on
    lat: int
    lon: int
    heading: int
    cause: int  # -1: without a situation container
    subcause: int
    ended: int  # 1: cancelled by the station itself, or negated by another


Said = Cam | Denm | str
"""What was read; or the name of what is fine and carries no row."""


def acceleration_signs(control: int) -> int:
    """Of AccelerationControl, 7 bits: brake pedal, gas pedal, emergency brake, and four that do not matter here."""
    return (BRAKE if control & 0x40 else 0) | (HARD_BRAKE if control & 0x10 else 0)


def light_signs(lights: int) -> int:
    """Of ExteriorLights, 8 bits: two beams, left and right turn signal, daytime, reverse, fog and parking lights."""
    return (HAZARD_LIGHTS if lights & 0x30 == 0x30 else 0) | (FOG_LIGHTS if lights & 0x02 else 0)


def other_cam(station_type: int) -> str:
    """What a CAM of no vehicle is counted as."""
    return f"{OTHERS.get(station_type, 'other')}_cam"


def cam_time(near: int, delta: int, ahead: int) -> int:
    """The moment in ms since 1970 at which a CAM was made that was heard at `near`; that itself if it does not say.

    It is the last with this remainder that lies at most `ahead` ms after `near`. The standard counts leap seconds, so a
    clock that follows it seems 5 s ahead, and many do not follow it. Clocks are set by satellites and ahead by next to
    nothing, while messages get stuck: what seems to be ahead by more than FAST was made by a clock of the standard.

    >>> (cam_time(1_742_890_346_165, 28_278, 10_000), cam_time(1_742_890_346_165, 28_278 + 5_000, 10_000))
    (1742890346102, 1742890346102)
    """
    if delta < 0:
        return near
    latest = near + min(max(ahead, FAST) + LEAP, PERIOD // 2)
    time = latest - (latest - EPOCH - delta) % PERIOD
    return time - LEAP if time - near > FAST else time


class Gathered:
    """The rows of a batch while it is read: raw integers, which are turned into columns all at once."""

    def __init__(self, context: Context, undated: str = UNDATED) -> None:
        """`undated`: what to say of a CAM whose arrival is not known."""
        self.decoded = Decoded()
        self._context, self._undated = context, undated
        self._cams: list[tuple[int, int, int, Cam]] = []  # message, time, reporter
        self._denms: list[tuple[int, int, int, int, Denm]] = []  # message, time, reporter, onset

    def add(self, number: int, said: Said, heard: int) -> None:
        """What message `number` says, and when it was heard in ms, -1 if unknown; RefusedError where no row can be made."""
        if isinstance(said, Cam):
            if heard < 0:
                raise RefusedError(Reason.NO_TIME, f"a CAM says its time within 65.536 s only, {self._undated}")
            if not -160 <= said.accel <= ACCEL_UNAVAILABLE:
                raise RefusedError(Reason.IMPOSSIBLE_ACCELERATION, "the acceleration is beyond the scale of a CAM, 16 m/s2")
            time = cam_time(heard, said.delta, self._context.max_ahead)
            self._cams.append((number, time, self._context.pseudonym(f"its-{said.station}"), said))
        elif isinstance(said, Denm):
            if said.cause < 0 and not said.ended:
                raise RefusedError(Reason.WRONG_SHAPE, "the DENM has no situation container, so it warns of nothing")
            if said.validity > LONGEST_VALIDITY:
                raise RefusedError(
                    Reason.IMPOSSIBLE_TIME, "the DENM is valid for more than a day, beyond the scale of the standard"
                )
            time = said.reference + EPOCH if heard < 0 else heard
            onset = self._onset(said, time)
            self._denms.append((number, time, self._context.pseudonym(f"its-{said.station}"), onset, said))
        else:
            self.decoded.recognised[said] += 1

    def rows(self) -> Decoded:
        """Everything that was added, as columns; refusals are the caller's to add."""
        decoded = self.decoded
        decoded.observations, decoded.observation_of = self._observations()
        decoded.notices, decoded.notice_of = self._notices()
        return decoded

    def _onset(self, denm: Denm, said: int) -> int:
        """When it was detected, which was not after it was said: a clock that counts leap seconds only seems so."""
        onset = denm.detection + EPOCH
        if onset - said > self._context.max_ahead + LEAP:
            raise RefusedError(Reason.AHEAD_OF_TIME, f"the DENM was detected later than it was said; {ITS_TIME}")
        if denm.detection < FIRST:
            raise RefusedError(Reason.IMPOSSIBLE_TIME, f"the DENM was detected before there were any; {ITS_TIME}")
        return min(onset, said)

    def _observations(self) -> tuple[Rows, NDArray[np.int32]]:
        table = np.zeros(len(self._cams), OBSERVATION)
        if not self._cams:
            return table, np.empty(0, np.int32)
        of, times, reporters, cams = zip(*self._cams, strict=True)
        table["time"], table["reporter"] = times, np.array(reporters, np.uint64)
        _, _, lat, lon, speed, heading, accel, signs = zip(*cams, strict=True)
        table["lat"], table["lon"] = _known(lat, LAT_UNAVAILABLE, 1e7), _known(lon, LON_UNAVAILABLE, 1e7)
        table["speed"] = _known(np.where(np.array(speed) == SPEED_BEYOND, SPEED_UNAVAILABLE, speed), SPEED_UNAVAILABLE, 100.0)
        table["heading"] = _known(heading, HEADING_UNAVAILABLE, 10.0)
        table["accel"] = _known(accel, ACCEL_UNAVAILABLE, 10.0)
        table["signs"] = signs
        return table, np.array(of, np.int32)

    def _notices(self) -> tuple[Rows, NDArray[np.int32]]:
        table = np.zeros(len(self._denms), NOTICE)
        if not self._denms:
            return table, np.empty(0, np.int32)
        of, times, reporters, onsets, denms = zip(*self._denms, strict=True)
        table["time"], table["reporter"], table["onset"] = times, np.array(reporters, np.uint64), onsets
        _, number, detection, reference, validity, lat, lon, heading, cause, subcause, ended = zip(*denms, strict=True)
        table["lat"], table["lon"] = _known(lat, LAT_UNAVAILABLE, 1e7), _known(lon, LON_UNAVAILABLE, 1e7)
        table["heading"] = _known(heading, HEADING_UNAVAILABLE, 10.0)
        table["until"] = np.array(detection, np.int64) + EPOCH + 1000 * np.array(validity, np.int64)
        # Not limited to when it was heard: by a clock that counts leap seconds each would be as new as its newest copy.
        latest = table["time"] + self._context.max_ahead + LEAP
        table["version"] = np.minimum(np.array(reference, np.int64) + EPOCH, latest)
        table["number"], table["ended"] = number, ended
        table["cause"], table["subcause"] = np.maximum(cause, 0), subcause
        return table, np.array(of, np.int32)


def _known(raw: ArrayLike, unavailable: int, scale: float) -> NDArray[np.float64]:
    """In units of one `scale`th; NaN where unavailable."""
    values = np.array(raw, np.int64)
    return np.where(values == unavailable, np.nan, values / scale)
