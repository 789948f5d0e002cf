"""The other way round for ETSI, for demonstrations and tests: a CAM or a DENM in UPER, with hardly anything optional.

Arguments are in SI units, WGS-84 degrees and ms since the epoch, as in the decoded rows; NaN becomes 'unavailable'. What
`encode_etsi_json` writes has the same arguments and decodes to the same rows.
"""

from __future__ import annotations

from dataflows.formats import encode_etsi_raw as raw
from dataflows.formats.etsi_pdu import CAM, DENM
from dataflows.formats.etsi_rows import DEFAULT_VALIDITY, EPOCH

NAN = float("nan")


class Writer:
    """A message in the making: integers of so many bits each, the first one first."""

    def __init__(self, message_id: int, station: int) -> None:
        self._value, self._size = 1, 0  # a one before everything keeps zeros
        self.put((1, 8), (message_id, 8), (station, 32))

    def put(self, *fields: tuple[int, int]) -> None:
        for value, size in fields:
            self._value = self._value << size | value & (1 << size) - 1
            self._size += size

    def octets(self) -> bytes:
        padding = -self._size % 8
        return (self._value << padding).to_bytes((self._size + padding) // 8 + 1, "big")[1:]


def cam(
    *,
    time: int,
    station: int,
    lat: float,
    lon: float,
    speed: float = NAN,
    heading: float = NAN,
    accel: float = NAN,
    signs: int = 0,
    station_type: int = raw.CAR,
) -> bytes:
    """In UPER; of the signs it carries brake, hard brake, hazard lights, fog lights and hazardous goods."""
    low = bool(signs & raw.LOW_FREQUENCY)
    made = Writer(CAM, station)
    made.put((raw.delta(time), 16), (0, 1), (low, 1), (0, 1), (0, 1), (station_type, 8), *_position(lat, lon), (0, 2))
    made.put((0b1000000, 7), (raw.heading(heading), 12), (127 - 1, 7), (raw.speed(speed), 14), (127 - 1, 7), (0, 2))
    made.put((1023 - 1, 10), (4, 3), (62 - 1, 6), (raw.accel(accel) + 160, 9), (102, 7), (1023 + 1023, 11), (7, 3), (2, 3))
    made.put((32_767 + 32_766, 16), (8, 4), (raw.control(signs), 7))
    if low:
        made.put((0, 1), (raw.role(signs), 4), (raw.lights(signs), 8), (0, 6))
    return made.octets()


def denm(
    *,
    detected: int,
    referred: int,
    station: int,
    number: int,
    lat: float,
    lon: float,
    cause: int,
    subcause: int = 0,
    heading: float = NAN,
    validity: int = DEFAULT_VALIDITY,
    ended: bool = False,
    station_type: int = raw.CAR,
) -> bytes:
    """In UPER: with a situation and a location, or, if it is ended, with neither, as the standard has it."""
    made = Writer(DENM, station)
    lasts = validity != DEFAULT_VALIDITY
    made.put((not ended, 1), (not ended, 1), (0, 2), (ended, 1), (0, 2), (lasts, 1), (0, 1), (station, 32), (number, 16))
    made.put((detected - EPOCH, 42), (referred - EPOCH, 42), (0, int(ended)), *_position(lat, lon))
    made.put((validity, 17 * lasts), (station_type, 8))
    if not ended:
        made.put((0, 3), (0, 3), (0, 1), (cause, 8), (subcause, 8))
        made.put((0b0010, 4), (raw.heading(heading), 12), (127 - 1, 7), (0, 3), (0, 6))  # and one trace without points
    return made.octets()


def _position(lat: float, lon: float) -> tuple[tuple[int, int], ...]:
    """A ReferencePosition without ellipse and altitude."""
    ellipse = ((4095, 12), (4095, 12), (3601, 12))
    return (raw.lat(lat) + 900_000_000, 31), (raw.lon(lon) + 1_800_000_000, 32), *ellipse, (800_001 + 100_000, 20), (15, 4)
