"""What a fuzzer needs of each format: messages to start from, how to bend one and keep it whole enough to be read on, and
the dearest messages that a format still takes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dataflows.formats import FORMATS, encode, encode_2025, encode_etsi
from dataflows.formats.etsi_pdu import DENM
from dataflows.formats.etsi_rows import EPOCH
from dataflows.formats.gbt32960 import LARGEST
from tests import ydt3709_wire
from tests.cases import CASES
from tests.wire import CRUMB, PLACE, TIME, VALID, VECTORS, VIN, bsm, frame, safety

LONGEST_SEED = 4096  # bytes: what is longer slows the fuzzer down and is tried by name
ARRIVALS = (-1, 0, TIME, TIME, 2**62)
Bend = Callable[[bytes, int], bytes]
"""The fuzzer's own mutation: message, longest -> message."""

PICTURES = {  # of the real messages, where they are; they lie beside the repository and are no part of it
    "j2735": "j2735/*.bin",
    "ode-json": "ode-json/*.json*",
    "gbt32960": "gb32960/*.hex",
    "etsi-json": "etsi/*m.json",
}
WORDS: tuple[Any, ...] = (  # what JSON can hold that a number, a name or a time should not be
    None, True, 0, -1, 1, 90.0, 91, 180.5, 360, 8191, 65_535, 900_000_001, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**300,
    1e-320, 1e308, float("nan"), float("inf"), float("-inf"), "", "80", "B3D65C18", "2025-03-06T07:30:00Z",
    "9999-12-31T23:59:59-14:00", "\ud800", "\0", "7" * 129, [], {}, [[]], [1.0, 2.0], {"id": "a"},
    {"events": {"eventHardBraking": True}},
)  # fmt: skip


def seeds(name: str) -> list[bytes]:
    """Our encoders' and the tests' messages of a format, whole and malformed, and real ones if they are there."""
    found = [*VALID[name], *(case.message for case in CASES if case.format == name and not case.times)]
    for path in sorted(VECTORS.glob(PICTURES[name])) if name in PICTURES else ():
        found += _recorded(path)
    return [message for message in dict.fromkeys(found) if len(message) <= LONGEST_SEED]


def _recorded(path: Path) -> list[bytes]:
    content = path.read_bytes()
    if path.suffix == ".hex":
        return [bytes.fromhex(line.decode()) for line in content.splitlines()[:50] if line.strip()]
    if path.suffix == ".jsonl":
        return content.splitlines()[:50]
    return [content if path.suffix == ".bin" else json.dumps(json.loads(content)).encode()]


def bent(name: str, message: bytes, longest: int, seed: int, bend: Bend) -> bytes:
    """One mutation of a message, such that a good share of them gets past the format's outermost door."""
    dice = random.Random(seed)
    if name == "gbt32960":
        message = bend(message, longest)
        return mended(message) if dice.random() < 0.75 else message
    if (
        name in ("j2735", "etsi", "ydt3709") and dice.random() < 0.5
    ):  # every field has its bits: only at the same length are they read
        return bend(message, longest)[: len(message)].ljust(len(message), b"\0")
    if FORMATS[name].framing == "lines" and dice.random() < 0.5:
        try:
            document = json.loads(message)
        except (ValueError, RecursionError):
            document = json.loads(dice.choice(VALID[name]))
        return _rewritten(document, dice, bend)[:longest]
    return bend(message, longest)


def mended(message: bytes) -> bytes:
    """With the length and the checksum of its first frame put right, or every change would end at them."""
    if len(message) < 25:
        return message
    whole = bytearray((b"$$" if message[:2] == b"$$" else b"##") + message[2:])
    whole[22:24] = (len(whole) - 25 & 0xFFFF).to_bytes(2, "big")
    whole[-1] = 0
    for octet in whole[2:-1]:
        whole[-1] ^= octet
    return bytes(whole)


def _rewritten(document: Any, dice: random.Random, bend: Bend) -> bytes:
    """Something else in the place of one value; of a text, often the text itself, bent."""
    inside, last = None, None
    here = document
    while isinstance(here, dict | list) and here and (inside is None or dice.random() < 0.9):
        inside, last = here, dice.choice(list(here) if isinstance(here, dict) else range(len(here)))
        here = here[last]
    word = dice.choice(WORDS)
    if isinstance(here, str) and dice.random() < 0.5:
        word = bend(here.encode("utf-8", "surrogatepass"), 2 * len(here) + 8).decode("utf-8", "replace")
    elif isinstance(here, float) and dice.random() < 0.5:
        word = here + dice.choice((-1, 1)) * 10.0 ** dice.uniform(-8, 3)
    elif isinstance(here, int) and dice.random() < 0.5:
        word = here + dice.randint(-9, 9)
    if inside is None:
        document = word
    elif isinstance(inside, list) and dice.random() < 0.3:
        inside.append(word)
    else:
        inside[last] = word
    return json.dumps(document).encode()


def dearest() -> list[tuple[str, str, bytes]]:
    """(format, what it is, message): as large as each is taken, made of what costs most for its length."""
    device = encode.traffic_sensor(time=TIME, id="loop-7", speed=20.0, **PLACE)
    features = b'{"type":"FeatureCollection","features":[%s]}'
    lanes = b'{"type":"Feature","id":"a","properties":{"core_details":{"device_type":"traffic-sensor"},"lane_data":[%s{}]}}'
    brake = (
        b'{"metadata":{"recordGeneratedAt":"2025-03-06T07:30:00Z"},"payload":{"data":{"coreData":{"id":"b3d65c18"},'
        b'"partII":[%s{}]}}}'
    )
    report = bytes((25, 3, 6, 15, 30, 0))
    added = {"...": [bytes(9)] * 64}
    path = {"crumbData": [CRUMB | added] * 23}
    frames = {
        "heartbeats": encode.gbt32960_frame(7, VIN, b""),
        "reports of nothing": encode.gbt32960_frame(2, VIN, report + b"\x01" + bytes(20)),
        "units of nothing": encode.gbt32960_frame(2, VIN, report + b"\x08\0" * 32_000),
        "makers' units": encode.gbt32960_frame(2, VIN, report + b"\x80\0\0" * 21_800),
        "probes": encode.gbt32960_frame(2, VIN, report + b"\x09\x01\x01\xff\0" + b"\x30" * 65_280),
        "places in GCJ-02": encode_2025.gbt32960_2025(time=TIME, vin=VIN, system=2, **PLACE),
        "levels of alarms": encode.gbt32960_frame(
            2, VIN, report + (b"\x06" + bytes(9) + b"\xfd" + b"\x17\4" * 253) * 120, edition=2025
        ),
        "cells of 2025": encode.gbt32960_frame(
            2, VIN, report + b"\7\1" + bytes(5) + b"\x7f\0" + b"\x0e" * 65_024, edition=2025
        ),
        "frames with a wrong BCC": encode.gbt32960_frame(7, VIN, b"")[:-1] + b"\0",
    }
    made = [
        ("observation", "a speed of 3900 digits", b'{"id":"a","ts":%d,"lat":22.5,"lon":114.1,"v":0.%s}' % (TIME, b"1" * 3900)),
        ("ode-json", "87,000 parts of nothing", brake % (b"{}," * 87_000)),
        ("ode-json", "a name of 260,000 events", brake % (b'{"value":{"events":{"%s":true}}},' % (b"a" * 260_000))),
        ("j2735", "16,000 event flags", frame(bsm(parts=(safety("1" * 16_000),), lat=225408970, long=1140502920))),
        ("ydt3709", "16,000 event flags", ydt3709_wire.bsm(safetyExt={"events": "1" * 16_000})),
        ("ydt3709", "a RSM full of additions", ydt3709_wire.rsm(*[ydt3709_wire.participant(**added)] * 16)),
        ("ydt3709", "a path full of additions", ydt3709_wire.bsm(safetyExt={"pathHistory": path})),
        ("etsi", "7 traces of 40 points", _traces(7, 40)),
        ("etsi", "64 additions of 120 octets", _additions(64, 120)),
        ("etsi-json", "80,000 lists in a message", b'{"message_type":"cam","message":[%s]}' % b",".join([b"[]"] * 80_000)),
        ("etsi-json", "a name of 260,000 letters", b'{"message_type":"cam","message":{"%s":1}}' % (b"a" * 260_000)),
        ("sensor", "5000 devices of nothing", features % b",".join([b"{}"] * 5000)),
        ("sensor", "as many devices as fit", features % b",".join([device] * ((1 << 20) // len(device) - 1))),
        ("sensor", "500,000 numbers for devices", features % (b"1," * 500_000 + b"1")),
        ("sensor", "21,000 lanes of nothing", lanes % (b"{}," * 21_000)),
    ]  # fmt: skip
    return made + [("gbt32960", what, one * (LARGEST // len(one))) for what, one in frames.items()]


def _denm(location: bool, extended: bool) -> encode_etsi.Writer:
    """A DENM up to the end of its management, or, with a location, of its situation."""
    made = encode_etsi.Writer(DENM, 1)
    made.put((location, 1), (location, 1), (0, 1), (extended, 1), (0, 5), (1, 32), (7, 16), (0, 42), (TIME - EPOCH, 42))
    made.put((0, 31), (0, 32), (0, 60), (5, 8))
    if location:
        made.put((0, 6), (0, 1), (94, 8), (2, 8))
    return made


def _traces(traces: int, points: int) -> bytes:
    made = _denm(True, False)
    made.put((0, 4), (traces - 1, 3))
    for _ in range(traces):
        made.put((points, 6), *[(1 << 51, 52), (0, 17)] * points)
    return made.octets()


def _additions(count: int, size: int) -> bytes:
    made = _denm(False, True)
    made.put((0, 1), (count - 1, 6), ((1 << count) - 1, count), *[(size, 8), (0, 8 * size)] * count)
    return made.octets()
