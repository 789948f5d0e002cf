"""Recorded files in every dress: lines, hex, one document, one binary message, packed or not, whole or broken."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard

from dataflows.decode import DecodedRow, Recognised, RefusedRecord, Undated, Unknown, decode_file, messages
from dataflows.decode_command import MOST, decode_files
from dataflows.formats import FORMATS, encode
from dataflows.formats.base import Reason
from dataflows.formats.gbt32960_frames import LARGEST
from dataflows.formats.observation import MEANT, Observation
from dataflows.recorded import LONGEST, WINDOW, RecordingError, recorded
from dataflows.settings_reader import load
from detectors.model import OBSERVATION, Sign
from tests.wire import CONTEXT, TIME, VALID, VIN, a_reading, bsm

PACKERS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}
OBSERVATIONS = FORMATS["observation"]
SETTINGS = load(None, {"privacy": {"key": "sixteen-byte-key"}})
LINES = VALID["observation"][0] + b"\r\n\n  \n" + VALID["observation"][1] + b"\nnonsense\n" + VALID["observation"][0]


def written(folder: Path, content: bytes, name: str = "recording") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def by_length(frames: bytes) -> list[bytes]:
    """Frames of GB/T 32960 that follow one another without fault."""
    found = []
    while frames:
        size = 25 + int.from_bytes(frames[22:24])
        found.append(frames[:size])
        frames = frames[size:]
    return found


def test_each_file_ends_with_what_became_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, mixed = written(tmp_path, VALID["observation"][0], "good.jsonl"), written(tmp_path, LINES, "mixed.jsonl")
    assert decode_files([(mixed, "observation"), (good, "observation")], SETTINGS) == 1
    out, said = capsys.readouterr()
    assert len(out.splitlines()) == 4
    assert [line for line in said.splitlines() if "rows" in line] == [
        f"{mixed}: rows 3, refused 1",
        f"{good}: rows 1, refused 0",
    ]


@pytest.mark.parametrize(("every", "shown"), [(False, MOST), (True, MOST + 3)])
def test_refusals_of_the_same_kind_do_not_flood(
    every: bool, shown: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever names the wrong format sees why, and what else is wrong is seen beside it."""
    path = written(tmp_path, b"nonsense\n" * (MOST + 3) + b"{}\n")
    assert decode_files([(path, "observation")], SETTINGS, every) == 1
    *refused, last = capsys.readouterr().err.splitlines()
    assert sum(": unreadable: " in line for line in refused) == shown
    assert sum(": wrong_shape: " in line for line in refused) == 1
    assert [line for line in refused if "not shown" in line] == (
        [] if every else [f"{path}: not shown: 3 unreadable, as above; --every shows all"]
    )
    assert last == f"{path}: rows 0, refused {MOST + 4}"


def test_a_field_under_another_name_is_told_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Such as those that decode itself prints."""
    said = {key: value for key, value in json.loads(VALID["observation"][0]).items() if key != "v"} | {
        "Speed": 3.0,
        "odd": 1,
        "Ts": 1,
    }
    path = written(tmp_path, json.dumps(said).encode())
    assert decode_files([(path, "observation")], SETTINGS) == 0
    assert "Speed (1), here v" in (text := capsys.readouterr().err)
    assert "Ts (1), here ts" in text
    assert "odd (1), here" not in text


def test_what_a_traffic_sensor_does_not_say_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key that is written otherwise is ignored, and the loop is never judged."""
    good = encode.traffic_sensor(
        time=TIME, id="a", lat=22.5, lon=114.1, heading=74.0, speed=20.0, volume=1200.0, lanes=[(600.0, 20.0), (600.0, 20.0)]
    )
    weather = encode.road_weather(time=TIME, id="b", lat=22.5, lon=114.1, friction=0.5)
    bad = (
        good.replace(b'"volume_vph"', b'"volume"').replace(b'"heading_deg":74.0', b'"x":1').replace(b"eastbound", b"Eastbound")
    )
    told = {b"": good + b"\n" + weather, b"of 2": b"\n".join((good, bad, weather))}
    for what, lines in told.items():
        decode_files([(written(tmp_path, lines), "sensor")], SETTINGS)
        said = [line for line in capsys.readouterr().err.splitlines() if "do not say" in line]
        assert bool(said) == bool(what)
    assert said[0].endswith(
        "of 2 traffic sensors some do not say, or not so that it counts: heading (1), volume (1), lane_volume (1)"
    )


def test_observations_that_say_no_speed_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in a replay; of a car's battery and of a lane it is no fault."""
    fast, silent = VALID["observation"]
    for lines, told in ((b"\n".join((fast, silent, silent)), ["2 of 3 observations say no speed"]), (fast, [])):
        path = written(tmp_path, lines)
        assert decode_files([(path, "observation")], SETTINGS) == 0
        said = [line for line in capsys.readouterr().err.splitlines() if "no speed" in line]
        assert said == [f"{path}: {each}, without which hardly anything is found" for each in told]
    weather = written(tmp_path, encode.road_weather(time=TIME, id="b", lat=22.5, lon=114.1, friction=0.5))
    decode_files([(weather, "sensor")], SETTINGS)
    assert "no speed" not in capsys.readouterr().err


def test_lanes_are_shown_up_to_the_last_that_says_something(tmp_path: Path) -> None:
    lanes = [(1200.0, 25.0), (0.0, float("nan"))]
    path = written(tmp_path, encode.traffic_sensor(time=TIME, id="loop", lat=22.5, lon=114.1, lanes=lanes))
    row, _ = decode_file(FORMATS["sensor"], path, CONTEXT)
    assert isinstance(row, DecodedRow)
    assert (row.values["lane_volume"], row.values["lane_speed"]) == ([1200.0, 0.0], [25.0])


def test_every_field_of_a_row_is_told_its_name_in_the_message() -> None:
    rows = {"time_ms", "reporter", *(OBSERVATION.names or ())} - {"cell", "signs", "lat", "lon"}
    assert rows <= MEANT.keys()
    assert set(MEANT.values()) <= set(Observation.__struct_fields__)
    assert all(name.islower() for name in MEANT)


@pytest.mark.parametrize("suffix", PACKERS)
def test_json_lines(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, PACKERS[suffix](LINES), f"seen.jsonl{suffix}")
    assert list(messages(path, OBSERVATIONS)) == [*VALID["observation"], b"nonsense", VALID["observation"][0]]
    found = list(decode_file(OBSERVATIONS, path, CONTEXT))
    assert [type(one) for one in found] == [DecodedRow, DecodedRow, RefusedRecord, DecodedRow]
    assert [one.line for one in found if not isinstance(one, Recognised | Unknown)] == [1, 4, 5, 6]
    assert json.loads(json.dumps(found[0].values)) == {
        "kind": "observation",
        "time": "2025-03-06T07:29:59.784Z",
        "time_ms": 1741246199784,
        "reporter": f"{CONTEXT.pseudonym('b3d65c18'):016x}",
        "lat": 22.540897,
        "lon": 114.050292,
        "speed": 5.88,
        "heading": 74.4,
        "accel": -2.72,
        "signs": ["brake"],
    }
    assert set(found[1].values) == {"kind", "time", "time_ms", "reporter", "lat", "lon", "signs"}
    assert found[2].reason is Reason.UNREADABLE


@pytest.mark.parametrize("marked", [b"", b"\xef\xbb\xbf"], ids=["", "marked as UTF-8"])
@pytest.mark.parametrize("suffix", PACKERS)
def test_hex_lines(tmp_path: Path, suffix: str, marked: bytes) -> None:
    login = encode.gbt32960_login(time=TIME, vin=VIN)
    text = f"{a_reading().hex(' ').upper()}\n\n  {login.hex()}\t\nno hexadecimal\n{a_reading(reissued=True).hex()}"
    path = written(tmp_path, PACKERS[suffix](marked + text.encode()), f"cars.hex{suffix}")
    *found, recognised = decode_file(FORMATS["gbt32960"], path, CONTEXT)
    assert isinstance(recognised, Recognised)
    assert recognised.counts == {"login": 1}
    assert [type(one) for one in found] == [DecodedRow, RefusedRecord, DecodedRow]
    assert [one.values["reissued"] for one in found if isinstance(one, DecodedRow)] == [False, True]
    assert isinstance(found[1], RefusedRecord)
    assert (found[1].line, found[1].detail) == (4, "this is text and no hexadecimal")


def test_a_hex_line_may_begin_with_its_arrival(tmp_path: Path) -> None:
    """Of what says no more than the second of a minute."""
    said = VALID["ydt3709"][0].hex()
    text = f"{TIME + 20} {said}\n{TIME + 3_600_020}\t{said}\n{TIME} \n{TIME} no hexadecimal\n123 {said}"
    path = written(tmp_path, text.encode(), "cars.hex")
    *found, undated = decode_file(FORMATS["ydt3709"], path, CONTEXT)
    assert undated == Undated(3)
    assert [one.values["time_ms"] for one in found[:2] if isinstance(one, DecodedRow)] == [TIME, TIME + 3_600_000]
    assert [one.line for one in found[2:]] == [3, 4, 5]
    assert all(isinstance(one, RefusedRecord) for one in found[2:])
    assert [arrival for _, _, arrival in recorded(path, FORMATS["ydt3709"])] == [TIME + 20, TIME + 3_600_020, -1, -1, -1]


@pytest.mark.parametrize("form", ["ydt3709", "etsi", "gbt32960", "j2735"])
@pytest.mark.parametrize("stamp", [TIME // 1000, TIME * 1000, f"{TIME / 1000:.3f}", 10**20 - 1])
def test_an_arrival_in_another_unit_is_told(form: str, stamp: float | str, tmp_path: Path) -> None:
    """In seconds it would pass for the bytes of another message."""
    text = "".join(f"{stamp} {each.hex()}\n" for each in VALID[form])
    path = written(tmp_path, text.encode(), "cars.hex")
    found = [one for one in decode_file(FORMATS[form], path, CONTEXT) if isinstance(one, RefusedRecord)]
    assert {one.detail for one in found} == {
        "the digits in front of the message are no arrival in ms since 1970, which has 13 of them"
    }
    assert len(found) == len(VALID[form])


@pytest.mark.parametrize("form", [name for name, form in FORMATS.items() if form.framing != "lines"])
@pytest.mark.parametrize("damage", ["no hexadecimal", "00zz", "\x00\x01\x02", "\u4e00", "2025-03-04T07:30:00Z 0014"])
def test_damaged_lines_of_hexadecimal_are_refused_one_by_one(form: str, damage: str, tmp_path: Path) -> None:
    """Wherever they stand; a file with one of them was taken for one message in binary."""
    good = [f"{TIME + 20} {VALID[form][0].hex()}"] * 6
    path = written(tmp_path, "\n".join([damage, *good[:3], damage, *good[3:], damage]).encode(), "cars.hex")
    found = [one for one in decode_file(FORMATS[form], path, CONTEXT) if isinstance(one, DecodedRow | RefusedRecord)]
    assert [one.line for one in found if isinstance(one, RefusedRecord)] == [1, 5, 9]
    assert len(found) == len(good) + 3


@pytest.mark.parametrize("form", [name for name, form in FORMATS.items() if form.framing != "lines"])
def test_no_message_in_binary_is_taken_for_lines(form: str, tmp_path: Path) -> None:
    """A login of GB/T 32960 is mostly digits: of its vehicle and of its card; and ten o'clock looks like the end of a line."""
    login = encode.gbt32960_login(time=TIME - 5 * 3_600_000, vin="20250304073000123")
    assert b"\n" in login
    for message in (*VALID[form], login) if form == "gbt32960" else VALID[form]:
        parts = by_length(message) if form == "gbt32960" else [message]
        assert list(messages(written(tmp_path, message, "one.bin"), FORMATS[form])) == parts


@pytest.mark.parametrize("suffix", PACKERS)
def test_one_binary_message(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, PACKERS[suffix](a_reading() + a_reading()), f"frames.bin{suffix}")
    assert len(list(decode_file(FORMATS["gbt32960"], path, CONTEXT))) == 2
    broadcast = bsm(lat=225_408_970, long=1_140_502_920, abs=3)
    for content in (broadcast, broadcast.hex().encode()):
        path = written(tmp_path, PACKERS[suffix](content), f"bsm.bin{suffix}")
        row, *rest = decode_file(FORMATS["j2735"], path, CONTEXT)
        assert rest == ([] if content is broadcast else [Undated(1)])
        assert isinstance(row, DecodedRow)
        assert row.values["signs"] == ["abs"]
        assert row.values["time_ms"] == int(path.stat().st_mtime * 1000)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_run_of_frames_may_be_of_any_size(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It was refused as one message that is too large; and what is no frame hid all behind it."""
    run = b"".join(a_reading(soc=0.01 * (number % 100)) for number in range(4000))
    assert len(run) > 5 * LARGEST
    stray, last = b"no frame", a_reading()
    path = written(tmp_path, PACKERS[suffix](run + stray + last + last[:40]), f"cars.bin{suffix}")
    assert decode_files([(path, "gbt32960")], SETTINGS) == 1
    out, said = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["byte"], row["soc"]) for row in rows] == [
        *((number * len(last), pytest.approx(0.01 * (number % 100))) for number in range(4000)),
        (len(run + stray), pytest.approx(0.57)),
    ]
    assert said.splitlines() == [
        f"{path}:byte {len(run)}: unreadable: this is text and no hexadecimal",
        f"{path}:byte {len(run + stray + last)}: truncated: the frame at byte 0 is {len(last) - 40} bytes shorter than its "
        "length says",
        f"{path}: rows 4001, refused 2",
    ]


@pytest.mark.parametrize("suffix", PACKERS)
def test_what_lte_v2x_says_takes_its_minute_from_the_file(suffix: str, tmp_path: Path) -> None:
    """In hexadecimal, one message a line, or one message in binary."""
    for content in (VALID["ydt3709"][1].hex().encode() + b"\n", VALID["ydt3709"][1]):
        path = written(tmp_path, PACKERS[suffix](content), f"cars.uper{suffix}")
        row, *rest = decode_file(FORMATS["ydt3709"], path, CONTEXT)
        assert rest == ([Undated(1)] if content.endswith(b"\n") else [])
        assert isinstance(row, DecodedRow)
        assert row.values["signs"] == ["hard_brake", "hazard_lights"]
        time, latest = row.values["time_ms"], int(path.stat().st_mtime * 1000) + CONTEXT.max_ahead
        assert isinstance(time, int)
        assert latest - 60_000 < time <= latest
        assert time % 60_000 == 784


@pytest.mark.parametrize("suffix", PACKERS)
def test_one_document_over_several_lines(tmp_path: Path, suffix: str) -> None:
    pretty = json.dumps(json.loads(VALID["ode-json"][0]), indent=2).encode()
    path = written(tmp_path, PACKERS[suffix](b"\xef\xbb\xbf" + pretty + b"\n"), f"bsm.json{suffix}")
    (row,) = decode_file(FORMATS["ode-json"], path, CONTEXT)
    assert isinstance(row, DecodedRow)
    assert row.values["signs"] == ["brake", "abs"]


def test_a_sensor_and_a_reading_as_people_see_them(tmp_path: Path) -> None:
    weather = encode.road_weather(time=TIME, id="rw-1", lat=22.5, lon=114.1, friction=0.31)
    path = written(tmp_path, weather.replace(b'"unknown"', b'"ice"'))
    (row,) = decode_file(FORMATS["sensor"], path, CONTEXT)
    assert isinstance(row, DecodedRow)
    assert row.values.items() >= {"kind": "sensor", "surface": "ice", "friction": 0.31}.items()
    (row,) = decode_file(FORMATS["gbt32960"], written(tmp_path, a_reading(alarm_level=255)), CONTEXT)
    assert isinstance(row, DecodedRow)
    assert row.values.items() >= {"kind": "reading", "soc": 0.57, "insulation": 5e6, "state": 1}.items()
    assert not {"alarms", "alarm_level", "cell"} & set(row.values)


def test_every_sign_has_a_name(tmp_path: Path) -> None:
    everything = dict.fromkeys(("brk", "ev", "abs", "tc", "scs", "hz", "ab", "dis", "wip", "fog"), 1)
    line = json.dumps(json.loads(VALID["observation"][1]) | everything).encode()
    (row,) = decode_file(OBSERVATIONS, written(tmp_path, line), CONTEXT)
    assert isinstance(row, DecodedRow)
    said = row.values["signs"]
    assert isinstance(said, list)
    assert {Sign[name.upper()] for name in said} == set(Sign) - {
        Sign.FLAT_TYRE,
        Sign.JACKKNIFE,
        Sign.LIGHTS_CHANGED,
        Sign.HAZARDOUS_GOODS,
        Sign.STOP_LINE_VIOLATION,
    }


def test_a_strangers_name_for_a_field_moves_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor does it forge a line of ours, or vanish."""
    said = json.loads(VALID["observation"][0]) | {"\x1b[31mred": 1, "a\nb.jsonl: rows 99": 1, "": 1, "a, b (7)": 1, "airbag": 1}
    path = written(tmp_path, json.dumps(said).encode(), "odd.jsonl")
    assert decode_files([(path, "observation")], SETTINGS) == 0
    named, last = capsys.readouterr().err.splitlines()
    for shown in (r'"\u001b[31mred" (1)', r'"a\nb.jsonl: rows 99" (1)', '"" (1)', '"a, b (7)" (1)', " airbag (1)"):
        assert shown in named
    assert last == f"{path}: rows 1, refused 0"


def test_a_misspelt_field_is_named(tmp_path: Path) -> None:
    """It is ignored like any other key: an airbag would be lost without a word, and a time is missing for no visible reason."""
    said = json.loads(VALID["observation"][0])
    renamed = {("timestamp" if key == "ts" else key): value for key, value in said.items()}
    lines = [said | {"airbag": 1, "speed": 3}, said | {"airbag": True}, said, renamed]
    unreadable = [b'{"broken": 1', b'["list"]', b'{"\xff": 1}', b"[" * 100_000]
    path = written(tmp_path, b"\n".join([*(json.dumps(line).encode() for line in lines), *unreadable]))
    *rows, unknown = decode_file(OBSERVATIONS, path, CONTEXT)
    assert len(rows) == len(lines) + len(unreadable)
    assert isinstance(unknown, Unknown)
    assert unknown.counts == {"airbag": 2, "speed": 1, "timestamp": 1}


def test_the_readme_lists_all_fields() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    page = readme.partition("## What to send")[2].partition("\n## ")[0]
    table = page.partition("| Field |")[2]
    listed = {
        name for line in table.splitlines() if line.startswith("| `") for name in re.findall("`([a-z]+)`", line.split("|")[1])
    }
    assert listed == set(Observation.__struct_fields__)
    example = re.search(r"```json\n(.*?)\n```", page)
    assert example
    assert len(OBSERVATIONS.decode([example[1].encode()], np.array([-1]), CONTEXT).observations) == 1


def test_a_line_without_end_is_one_refusal(tmp_path: Path) -> None:
    """What follows the longest line that is kept is passed over, and the next line is read as ever."""
    content = b"[" * (LONGEST + 70_000) + b"\n" + VALID["observation"][0]
    for suffix, pack in PACKERS.items():
        found = list(decode_file(OBSERVATIONS, written(tmp_path, pack(content), f"bomb{suffix}"), CONTEXT))
        assert isinstance(found[0], RefusedRecord)
        assert (found[0].reason, len(found)) == (Reason.TOO_LARGE, 2)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_packed_file_that_is_broken_says_so(tmp_path: Path, suffix: str) -> None:
    packed = PACKERS[suffix](LINES * 50)
    spoilt = packed[:20] + bytes([packed[20] ^ 0xFF]) + packed[21:]
    for content in (b"not packed at all", spoilt, packed[: len(packed) // 2], packed[:-1]):
        path = written(tmp_path, content, f"broken{suffix}")
        with pytest.raises(RecordingError, match=r"broken.*cannot be unpacked"):
            list(messages(path, OBSERVATIONS))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_packed_files_one_after_the_other_are_one(tmp_path: Path, suffix: str) -> None:
    packed = b"".join(PACKERS[suffix](VALID["observation"][0] + b"\n") for _ in range(300))
    assert len(list(messages(written(tmp_path, packed, f"many{suffix}"), OBSERVATIONS))) == 300


def test_a_window_that_asks_for_too_much_memory_is_refused(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=WINDOW.bit_length())
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    path = written(tmp_path, packer.compress(LINES) + packer.flush(), "window.zst")
    with pytest.raises(RecordingError, match="cannot be unpacked"):
        list(messages(path, OBSERVATIONS))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="does not exist"):
        list(messages(tmp_path / "nothing.jsonl", OBSERVATIONS))
    with pytest.raises(RecordingError, match="cannot be read"):
        list(messages(tmp_path, OBSERVATIONS))


def test_an_empty_file_has_no_messages(tmp_path: Path) -> None:
    for name in ("observation", "gbt32960", "sensor"):
        assert list(decode_file(FORMATS[name], written(tmp_path, b""), CONTEXT)) == []
