"""As `encode.gbt32960_realtime`, in the edition of 2025: for tests and demonstrations."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import chain

from dataflows.formats.encode import NAN, NO_FIX, beijing, byte, gbt32960_frame, long, word


def gbt32960_2025(
    *,
    time: int,
    vin: str,
    lat: float = NAN,
    lon: float = NAN,
    system: int = 1,
    speed: float = NAN,
    mileage: float = NAN,
    soc: float = NAN,
    voltage: float = NAN,
    current: float = NAN,
    insulation: float = NAN,
    cells: Sequence[float] = (),
    temperatures: Sequence[float] = (),
    motor_temperature: float = NAN,
    alarms: int = 0,
    alarm_level: int = 0,
    levels: Sequence[tuple[int, int]] = (),
    state: int = 1,
    charging: int = 3,
    reissued: bool = False,
    signature: bytes = b"",
) -> bytes:
    """A report of a car with one pack and one motor: units 01, 02, 05, 06, 07 and 08, and FF where it has a `signature`.

    The place is given in the coordinates of `system`: 1 WGS-84, 2 GCJ-02, 3 any other. `levels` are (number of the alarm's
    flag, its level).
    """
    volts, amperes = word(voltage, 10), word(current, 10, 3000)
    units = struct.pack(">BBBBHIHH", 1, state, charging, 1, word(speed, 36), long(mileage, 10), volts, amperes)
    units += struct.pack(">BBBH", byte(soc, 100), 1, 0x0E, word(insulation, 0.001))
    units += struct.pack(">BBBBBHIB", 2, 1, 1, 3, 0xFF, 0xFFFF, 0xFFFF_FFFF, byte(motor_temperature, 1, 40))
    status = NO_FIX if math.isnan(lat) or math.isnan(lon) else (lat < 0) << 1 | (lon < 0) << 2
    units += struct.pack(">BBBII", 5, status, system, long(abs(lon), 1e6), long(abs(lat), 1e6))
    units += struct.pack(">BBI", 6, alarm_level, alarms) + bytes(4) + bytes((len(levels), *chain(*levels)))
    if cells:
        units += struct.pack(">BBBHHH", 7, 1, 1, volts, amperes, len(cells))
        units += struct.pack(f">{len(cells)}H", *(word(cell, 1000) for cell in cells))
    if temperatures:
        units += struct.pack(">BBBH", 8, 1, 1, len(temperatures)) + bytes(byte(probe, 1, 40) for probe in temperatures)
    if signature:  # by SM2: two numbers of the same length
        r, s = signature[: len(signature) // 2], signature[len(signature) // 2 :]
        units += struct.pack(">BBH", 0xFF, 1, len(r)) + r + struct.pack(">H", len(s)) + s
    return gbt32960_frame(0x03 if reissued else 0x02, vin, beijing(time) + units, edition=2025)
