"""Every byte that leaves the worker is searched for the identities that went in, whole and in pieces, in every format.

A real worker over the embedded broker, with one detector that raises and tells all it knows. Searched: keys, values and headers
of every output topic, all that it writes to stdout and stderr at level debug, its pages, and every file of its recovery store.
The values of dead letters are not: they are the messages as they came, by design; their topic is to be guarded like the inputs.
"""

from __future__ import annotations

import base64
import json
import signal
import stat
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dataflows.formats import encode, encode_etsi, encode_etsi_json
from dataflows.formats.base import Pseudonym
from dataflows.kafka_admin import create_missing, output_names
from dataflows.settings import Settings
from dataflows.settings_reader import load
from dataflows.tap import Reader, Writer
from tests.living import LivingWorker, broker_or_skip, wait_for
from tests.test_formats_fuzz import paths
from tests.wire import bsm, frame

CONFIG = """
[kafka]
bootstrap_servers = "{broker}"
[inputs]
topics = [
    {{topic = "own", format = "observation", idle_after = 2.0}},
    {{topic = "ode", format = "ode-json", idle_after = 2.0}},
    {{topic = "obu", format = "j2735", idle_after = 2.0}},
    {{topic = "lte", format = "ydt3709", idle_after = 2.0}},
    {{topic = "its", format = "etsi", idle_after = 2.0}},
    {{topic = "its-json", format = "etsi-json", idle_after = 2.0}},
    {{topic = "ev", format = "gbt32960", idle_after = 2.0}},
    {{topic = "sensors", format = "sensor", idle_after = 2.0}},
]
[privacy]
key_file = "{folder}/key/pseudonym.key"
[recovery]
directory = "{folder}/recovery"
interval = 0.3
[logs]
level = "debug"
"""
T0 = 1_741_073_400_000  # ms
SECONDS = 130  # of traffic: two minutes of cells
PLACE = {"lat": 22.540897, "lon": 114.050292}
METRE = 1 / 111_195  # degrees of latitude
VIN = "LSECRETVEHCLE0007"
SIM = "89860SECRETSIMCARD01"
NAME = "the-neighbours-red-car"
HEX = ("DEADC0DE", "FEEDFACE", "5AFE0000CAFEBABE", "C0FFEE42", "BADCAB1E")  # of an ODE, of OBUs in America, China and Europe
STATION = "the-secret-station"
IDENTITIES = (VIN, SIM, NAME, *HEX, STATION)
Sent = dict[str, list[tuple[int, bytes]]]  # (arrival, message) by topic


def forms(identity: str) -> dict[str, bytes]:
    """The ways in which an identity may be written."""
    text = identity.encode()
    found = {"text": text, "lower": text.lower(), "upper": text.upper(), "bytes as text": repr(text)[2:-1].encode()}
    found |= {"hex": text.hex().encode(), "HEX": text.hex().upper().encode(), "UTF-16": identity.encode("utf-16-le")}
    for skip in range(3):  # where it begins within three bytes decides how base64 writes it
        found[f"base64, {skip} on"] = base64.b64encode(text[skip:])[: 4 * (len(text[skip:]) // 3)]
    if identity in HEX:
        number = int(identity, 16)
        size = len(identity) // 2
        found |= {"decimal": str(number).encode(), "big-endian": number.to_bytes(size, "big")}
        found["little"] = number.to_bytes(size, "little")
    return found


def honest() -> Sent:
    """Six vehicles of each radio format drive and one of them crashes; an EV whose battery burns; a station in fog."""
    made: Sent = {"own": [], "ode": [], "obu": [], "lte": [], "its": [], "its-json": [], "ev": [], "sensors": []}
    for at in range(SECONDS):
        time = T0 + at * 1000
        for k in range(6):
            lat, lon = PLACE["lat"] + (at * 15.0 + 40 * k) * METRE, PLACE["lon"]
            own: dict[str, Any] = {"id": f"car-{k}", "ts": time, "lat": lat, "lon": lon, "v": 15.0, "hdg": 0.0}
            if k == 0:
                stands = {"lat": PLACE["lat"] + 900.0 * METRE, "v": 0.0, "ab": 1, "ax": -9.0}
                own |= {"id": NAME} | (stands if at > 60 else {})
            made["own"].append((time + 100, json.dumps(own).encode()))
            id = f"{int(HEX[0], 16) + k:08X}"
            made["ode"].append(
                (time + 100, encode.ode_json(time=time, id=id, lat=lat, lon=lon + 0.01, speed=15.0, heading=0.0))
            )
            where = {
                "lat": round(lat * 1e7),
                "long": round((lon + 0.02) * 1e7),
                "secMark": time % 60_000,
                "speed": 750,
                "heading": 0,
            }
            made["obu"].append((time + 100, frame(bsm(id=int(HEX[1], 16) + k, **where))))
            id = f"{int(HEX[2], 16) + k:016X}"
            car = encode.ydt3709_bsm(time=time, id=id, lat=lat, lon=lon + 0.03, speed=15.0, heading=0.0)
            made["lte"].append((time + 100, car))
            for topic, write, name, east in (("its", encode_etsi, HEX[3], 0.04), ("its-json", encode_etsi_json, HEX[4], 0.05)):
                there: dict[str, Any] = {"station": int(name, 16) + k, "lat": lat, "lon": lon + east}
                made[topic].append((time + 100, write.cam(time=time, speed=15.0, heading=0.0, **there)))
                if k == 0 and at > 60:
                    seen = {"detected": time - 1000, "referred": time, "number": 7, "cause": 12}
                    made[topic].append((time + 100, write.denm(**seen, **there)))
        if not at % 10:
            hot = {"temperatures": [80.0], "alarms": 1 << 1, "alarm_level": 3}
            made["ev"].append(
                (time + 100, encode.gbt32960_realtime(time=time, vin=VIN, soc=0.5, cells=[3.3] * 20, **PLACE, **hot))
            )
            fog = encode.road_weather(time=time, id=STATION, visibility=40.0, **PLACE)
            made["sensors"].append((time + 100, fog))
    login = encode.gbt32960_frame(1, VIN, bytes((25, 3, 4, 15, 30, 0, 0, 1)) + SIM.encode() + b"\1\0")
    made["ev"].append((T0 + 100, login))
    return made


def malformed(made: Sent) -> Sent:
    """Of each format's messages: cut off, bent, beyond the possible, and with identities where they do not belong."""
    wrong: Sent = {}
    for topic, messages in made.items():
        arrival, message = messages[0]
        cuts = [message[:length] for length in range(1, len(message), 1 + len(message) // 40)]
        bent = [message[:place] + b"\xff" + message[place + 1 :] for place in range(0, len(message), 1 + len(message) // 40)]
        wrong[topic] = [(arrival, each) for each in [*cuts, *bent, message + VIN.encode(), VIN.encode(), NAME.encode()]]
        if topic in ("own", "ode", "its-json", "sensors"):
            for way in paths(json.loads(message)):
                for identity in (VIN, {NAME: VIN}, int(HEX[0], 16)):
                    document = inside = json.loads(message)
                    for step in way[:-1]:
                        inside = inside[step]
                    inside[way[-1]] = identity
                    wrong[topic].append((arrival, json.dumps(document).encode()))
    far = {"ts": T0 + 3_600_000, "lat": 91.0, "v": 4e5, "hdg": 999, "ax": 1e9}
    for name, value in far.items():
        own = {"id": NAME, "ts": T0, "v": 15.0, "hdg": 0.0} | PLACE | {name: value}
        wrong["own"].append((T0 + 100, json.dumps(own).encode()))
    wrong["ev"].append((T0 + 100, encode.gbt32960_realtime(time=T0, vin=VIN, soc=1.5, **PLACE)))
    return wrong


@dataclass
class Left:
    """All that came out, by where it was found."""

    found: dict[str, bytes]
    alerts: list[bytes]
    folder: Path
    key: bytes


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    folder = tmp_path_factory.mktemp("privacy")
    (folder / "recovery").mkdir(mode=0o755)  # as a volume may be
    with broker_or_skip() as broker:
        config, settings = configure(folder, broker)
        create_missing(settings, 1, 1)
        made = honest()
        wrong = malformed(made)
        count = send(settings, wrong) + send(settings, made)
        with LivingWorker(config, folder / "log", module="tests.indiscreet") as worker:
            worker.page(lambda page: page.total("received_messages_total") == count, "everything is read")
            worker.page(lambda page: page.values("partition_idle") == [1.0] * len(made), "everybody is silent")
            worker.page(lambda page: page.total("snapshots_total") > 0, "snapshots are taken")
            found = {page: get(f"{worker.url}/{page}") for page in ("metrics", "livez", "readyz", "nothing")}
            assert worker.stop(signal.SIGTERM) == 0
        alerts, letters = [], 0
        with Reader(settings, *output_names(settings)) as reader:

            def look() -> bool:
                nonlocal letters
                got = reader.read(1.0)
                for message in got:
                    dead = message.topic == settings.outputs.dead_letters
                    letters += dead
                    if message.topic == settings.outputs.alerts:
                        alerts.append(message.value or b"")
                    parts = [message.key, *(name.encode() + b"=" + value for name, value in message.headers.items())]
                    parts += [] if dead else [message.value or b""]
                    found[message.topic] = found.get(message.topic, b"") + b"\n".join(parts) + b"\n"
                return not got and letters > 100

            wait_for(look, "all of the output is read")
    found["log"] = (folder / "log").read_bytes()
    for path in sorted((folder / "recovery").rglob("*")):
        if path.is_file():
            found[f"recovery/{path.name}"] = path.read_bytes()
    return Left(found, alerts, folder, (folder / "key" / "pseudonym.key").read_bytes())


def configure(folder: Path, broker: str) -> tuple[Path, Settings]:
    path = folder / "roadwatch.toml"
    path.write_text(CONFIG.format(broker=broker, folder=folder))
    return path, load(path)


def send(settings: Settings, sent: Sent) -> int:
    writer = Writer(settings)
    for topic, messages in sent.items():
        for arrival, message in messages:
            writer.write(topic, b"", message, arrival, 0)
    writer.flush()
    return sum(map(len, sent.values()))


def get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return bytes(error.read())


def searched(left: Left) -> str:
    return "searched " + ", ".join(f"{len(content)} bytes of {where}" for where, content in left.found.items())


def test_something_came_out_of_every_way(left: Left) -> None:
    said = b"".join(left.alerts)
    for kind in (b"accident", b"obstacle", b"battery_anomaly", b"visibility"):
        assert b'"kind":"' + kind in said, searched(left)
    assert {"road.alerts", "road.incidents", "road.cells", "road.dead-letters"} <= left.found.keys()
    assert b"detector reset" in left.found["log"], "the detector that tells all has raised"
    assert sum(len(content) for where, content in left.found.items() if where.startswith("recovery/")) > 100_000, searched(left)


@pytest.mark.parametrize("identity", IDENTITIES)
def test_no_identity_is_in_what_left(identity: str, left: Left) -> None:
    leaks = {
        (where, form): content[max(0, content.find(written) - 60) : content.find(written) + 60]
        for where, content in left.found.items()
        for form, written in forms(identity).items()
        if written in content
    }
    assert not leaks, searched(left)


def test_nor_is_the_name_under_which_it_is_counted(left: Left) -> None:
    """Only the recovery store holds the hash; without the key it says nothing, and the key is not in it."""
    hide = Pseudonym(left.key)
    for identity in IDENTITIES:
        number = hide(identity)
        written = [str(number).encode(), f"{number:x}".encode(), f"{number:X}".encode(), number.to_bytes(8, "big")]
        leaks = [
            where for where, content in left.found.items() if not where.startswith("recovery/") for w in written if w in content
        ]
        assert not leaks, f"{identity}: {searched(left)}"
    assert not [where for where, content in left.found.items() if left.key in content or left.key.hex().encode() in content]


def test_the_hash_needs_the_key() -> None:
    assert Pseudonym(b"one key")(VIN) != Pseudonym(b"another key")(VIN)


def test_files_are_for_their_user_only(left: Left) -> None:
    assert stat.S_IMODE((left.folder / "key" / "pseudonym.key").stat().st_mode) == 0o600
    files = [path for path in (left.folder / "recovery").rglob("*") if path.is_file()]
    assert files
    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in files if path.stat().st_mode & 0o077} == {}


def test_a_decoder_that_raises_tells_nothing(tmp_path: Path) -> None:
    """It never should, see tests/fuzz.py; if it does, that message is a dead letter, and all that is said of it is searched."""
    with broker_or_skip() as broker:
        config, settings = configure(tmp_path, broker)
        create_missing(settings, 1, 1)
        own = {"id": "a-car", "ts": T0, "v": 15.0, "hdg": 0.0} | PLACE
        poison = {"id": NAME, "ts": T0, "poison": [VIN, HEX[0]]} | PLACE
        send(settings, {"own": [(T0 + 100, json.dumps(each).encode()) for each in (own, poison, own)]})
        with LivingWorker(config, tmp_path / "log", module="tests.indiscreet") as worker:
            page = worker.page(lambda page: page.total("received_messages_total") == 3, "all are read")
            assert [page.total(f"{part}_records_total") for part in ("accepted", "refused")] == [2, 1]
            said = get(f"{worker.url}/metrics")
            assert worker.stop(signal.SIGTERM) == 0
        with Reader(settings, settings.outputs.dead_letters) as reader:
            letter = wait_for(lambda: next(iter(reader.read(1.0)), None), "the dead letter is there")
    assert letter.value == json.dumps(poison).encode()
    assert letter.headers["reason"] == b"decoder_failed"
    assert b"the decoder raised ValueError at indiscreet.py:" in letter.headers["detail"], "or nobody would know why"
    said += (tmp_path / "log").read_bytes() + b"".join(letter.headers.values())
    leaks = [form for identity in (NAME, VIN, HEX[0]) for form, written in forms(identity).items() if written in said]
    assert not leaks, f"searched {len(said)} bytes: {said.decode()[-2000:]}"
