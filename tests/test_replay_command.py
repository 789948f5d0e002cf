"""What `roadwatch replay` says to a person, and how it ends, when the input is not what he thinks."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import subprocess
from itertools import accumulate
from pathlib import Path

import pytest
from bytewax.testing import run_main

from dataflows import replay
from dataflows.ahead import Ahead, Disorder, why_late
from dataflows.formats import FORMATS, encode, encode_etsi
from dataflows.formats.base import Context, Pseudonym
from dataflows.incidents import flow
from dataflows.recorded import RecordingError
from dataflows.replay_command import _apart, replay_files
from dataflows.settings_reader import load
from dataflows.window import ShardWindow
from tests import road
from tests.forked import Forked
from tests.living import PATIENCE, roadwatch
from tests.wire import a_reading, bsm, frame

ROOT = Path(__file__).parents[1]
OBSERVATION = {"id": "a", "ts": road.T0, "lat": road.LAT, "lon": road.LON, "v": 20.0, "hdg": 0.0}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording.jsonl"
    path.write_text(json.dumps(OBSERVATION) + "\n")
    return path


def say(folder: Path, *arguments: str, module: str = "dataflows.cli") -> tuple[int, str]:
    """Exit code and what it said."""
    ended = Forked(module, "replay", *arguments, f"--set=privacy.key_file={folder}/key", cwd=folder)
    said = ended.communicate(PATIENCE)[1].decode()
    return ended.wait(), said


def test_a_new_key_is_mentioned_once(recording: Path) -> None:
    said = [say(recording.parent, str(recording)) for _ in range(2)]
    assert [(code, "a new key is made in" in text) for code, text in said] == [(0, True), (0, False)]


def test_a_file_of_which_nothing_can_be_read_ends_with_an_error(recording: Path) -> None:
    code, text = say(recording.parent, str(recording), "--format", "ode-json")
    assert code == 1
    advice = f"it looks like observation: write {recording}=observation\n"
    assert text.endswith(f"roadwatch: nothing in {recording} could be read as ode-json; {advice}")
    assert say(recording.parent, f"{recording}=observation")[0] == 0
    recording.write_text("{}")
    assert say(recording.parent, str(recording))[1].endswith("as observation; roadwatch decode says what is wrong with it\n")


def test_a_file_of_which_much_is_refused_may_be_of_another_format(recording: Path) -> None:
    """BSMs of SAE and of LTE-V2X are both hexadecimal digits."""
    here = {"lat": road.LAT, "lon": road.LON, "speed": 20.0, "heading": 0.0}
    ours = f"{road.T0} {encode.ydt3709_bsm(time=road.T0, id='5AFE0000B3D65C18', **here).hex()}\n"
    theirs = f"{road.T0} {frame(bsm(lat=225_500_000, long=1_140_600_000, id=5)).hex()}\n"
    recording.write_text(6 * theirs + 10 * ours)
    code, text = say(recording.parent, f"{recording}=j2735")
    assert code == 0
    told = f"10 of 16 records of {recording} were refused as j2735, and it looks like ydt3709: write {recording}=ydt3709"
    assert told in text
    assert "it looks like" not in say(recording.parent, f"{recording}=ydt3709")[1]


def test_times_of_another_zone_are_asked_for(recording: Path) -> None:
    car = encode.gbt32960_realtime(time=road.T0, vin="LRWSUETSTVEHICLE0", lat=road.LAT, lon=road.LON, speed=20.0, soc=0.5)
    for behind, asked in ((8 * 3_600_000 + 900, True), (900, False), (1_800_000, False), (30 * 3_600_000, False)):
        recording.write_text(f"{road.T0 + behind} {car.hex()}\n")
        text = say(recording.parent, f"{recording}=gbt32960")[1]
        assert (f"all times in {recording} are 8 hours behind their arrivals" in text) == asked


def test_traffic_sensors_that_do_not_say_which_way_they_watch_are_mentioned(recording: Path) -> None:
    counted = {
        "core_details": {"device_type": "traffic-sensor", "device_status": "ok", "road_direction": "unknown"},
        "collection_interval_start_date": "2025-03-04T07:30:00Z",
        "collection_interval_end_date": "2025-03-04T07:31:00Z",
        "average_speed_kph": 80.0,
        "volume_vph": 1800,
    }
    place = {"type": "Point", "coordinates": [road.LON, road.LAT]}
    recording.write_text(json.dumps({"id": "L1", "type": "Feature", "properties": counted, "geometry": place}) + "\n")
    told = f"most traffic sensors in {recording} do not say which way they watch"
    assert told in say(recording.parent, f"{recording}=sensor")[1]
    counted["core_details"]["road_direction"] = "eastbound"
    recording.write_text(json.dumps({"id": "L1", "type": "Feature", "properties": counted, "geometry": place}) + "\n")
    assert told not in say(recording.parent, f"{recording}=sensor")[1]


def test_warnings_of_stations_that_nobody_sees_drive_are_mentioned(recording: Path) -> None:
    warning = encode_etsi.denm(station=7, number=1, detected=road.T0, referred=road.T0, lat=road.LAT, lon=road.LON, cause=6)
    recording.write_text(f"{road.T0 + 50} {warning.hex()}\n")
    code, text = say(recording.parent, f"{recording}=etsi")
    assert code == 0
    assert f"{recording} has warnings of stations that nobody sees drive, and these count as one station" in text


@pytest.mark.parametrize(
    ("written", "told"), [("ode-jsn", "did you mean 'ode-json'?"), ("x", "there are observation, ode-json, ")]
)
def test_a_format_that_there_is_not(recording: Path, written: str, told: str) -> None:
    code, text = say(recording.parent, str(recording), "--format", written)
    assert code == 1
    assert f"roadwatch: format: there is no {written!r}; {told}" in text


def test_a_recording_without_arrivals_is_told_its_remedy(recording: Path) -> None:
    """And what carries nothing is counted, too."""
    car = encode.ydt3709_bsm(time=road.T0, id="5AFE0000B3D65C18", lat=road.LAT, lon=road.LON, speed=20.0, heading=0.0)
    recording.write_text(f"{car.hex()}\n{road.T0 + 50} {car.hex()}\n{road.T0 + 50} 10020c00\n")
    code, text = say(recording.parent, f"{recording}=ydt3709")
    assert code == 0
    assert f"1 messages of {recording} do not say when they arrived" in text
    assert "begin each line with it, in ms since 1970" in text
    assert "1 of the accepted carry nothing that is looked at; roadwatch decode says what they are" in text


def test_observations_that_say_no_speed_are_mentioned(recording: Path) -> None:
    """As where the sender calls it otherwise: then nothing will be found, and somebody should know why."""
    assert "say no speed" not in say(recording.parent, str(recording))[1]
    recording.write_text(recording.read_text().replace('"v"', '"speed"'))
    code, text = say(recording.parent, str(recording))
    assert (code, f"1 observations of {recording} say no speed, without which hardly anything is found" in text) == (0, True)


@pytest.mark.parametrize(
    ("unit", "asked"), [(1.0, None), (3.6, "they get on less than they say: is v in m/s?"), (0.1, "they get on farther")]
)
def test_speeds_in_another_unit_are_asked_for(unit: float, asked: str | None, recording: Path) -> None:
    """They pass for speeds, and nothing would be found."""
    seen = [OBSERVATION | {"ts": road.T0 + 1000 * t, "lat": road.LAT + 20.0 * t * road.METRE} for t in range(60)]
    recording.write_text("".join(json.dumps(each | {"v": 20.0 * unit}) + "\n" for each in seen))
    text = say(recording.parent, str(recording))[1]
    assert ("not believed" in text) == (asked is not None)
    assert asked is None or asked in text


def test_many_late_records_are_mentioned_with_the_setting(recording: Path) -> None:
    """A lateness of 2 is 2 ms, not 2 s; and of a recording that is in order none are late, whatever it is."""
    lines = [json.dumps(OBSERVATION | {"ts": road.T0 + 100 * (number ^ 1)}) for number in range(20)]
    recording.write_text("\n".join(lines) + "\n")
    assert "came too late" not in say(recording.parent, str(recording))[1]
    code, text = say(recording.parent, str(recording), "--set=window.lateness=2")
    assert (
        code,
        "50% came too late, and nothing is made of them: window.lateness is 2 ms. Is the file in the order" in text,
    ) == (0, True)


def test_times_and_places_are_told_of_each_file(recording: Path) -> None:
    """Swapped coordinates and local times are possible ones: only whoever knows the recording sees that they are wrong."""
    other = recording.with_name("other.jsonl")
    other.write_text(json.dumps(OBSERVATION | {"lat": 24.057, "lon": 22.55, "ts": road.T0 + 28_800_000}) + "\n")
    far = OBSERVATION | {"ts": road.T0 + 60_000, "lat": road.LAT + 0.5, "lon": road.LON - 1.25}
    recording.write_text(json.dumps(OBSERVATION) + "\n" + json.dumps(far) + "\n" + json.dumps(far | {"lat": 91}) + "\n")
    text = say(recording.parent, str(recording), str(other))[1]
    for path, times, places in (
        (recording, "07:30:00.000Z to 2025-03-04T07:31:00.000Z", "lat 22.55 to 23.05, lon 112.81 to 114.06"),
        (other, "15:30:00.000Z to 2025-03-04T15:30:00.000Z", "lat 24.06 to 24.06, lon 22.55 to 22.55"),
    ):
        assert f"\naccepted of {path}: 2025-03-04T{times} (UTC), {places}\n" in text


def test_swapped_coordinates_are_asked_for_where_they_are_nowhere_on_earth(recording: Path) -> None:
    """And where both are possible the line of places shows them, above."""
    recording.write_text("".join(json.dumps(OBSERVATION | {"lat": lat}) + "\n" for lat in (22.5, 114.1)))
    assert "are latitude and longitude swapped?" in say(recording.parent, str(recording))[1]
    recording.write_text("".join(json.dumps(OBSERVATION | {"lat": lat}) + "\n" for lat in (*[22.5] * 20, 114.1)))
    assert "swapped?" not in say(recording.parent, str(recording))[1]


def test_of_cars_without_a_fix_no_place_is_told(recording: Path) -> None:
    recording.write_text(a_reading(lat=float("nan"), lon=float("nan")).hex())
    text = say(recording.parent, f"{recording}=gbt32960")[1]
    assert f"accepted of {recording}: 2025-03-06T07:30:00.000Z to 2025-03-06T07:30:00.000Z (UTC), no places\n" in text


def test_copies_are_counted(recording: Path) -> None:
    assert "copies, " not in say(recording.parent, str(recording))[1]
    recording.write_text(2 * recording.read_text())
    text = say(recording.parent, str(recording))[1]
    told = re.search(r"(\d+) accepted.*\ncopies, which count once: (\d+) of the accepted\n", text, re.DOTALL)
    assert told
    assert int(told[1]) == 2 * int(told[2])


def test_nearly_all_is_not_said_to_be_all(recording: Path) -> None:
    """That 100 % came too late stood beside what was accepted."""
    times = [3_600_000] + [1000] * 300
    recording.write_text("".join(json.dumps(OBSERVATION | {"ts": road.T0 + time}) + "\n" for time in times))
    assert "\n99% came too late" in say(recording.parent, str(recording))[1]


@pytest.mark.parametrize("at", [0, 5])
def test_the_line_is_named_whose_time_is_ahead(at: int, recording: Path) -> None:
    """By one clock that is an hour ahead all others are late; which one it is nobody would find in a million lines."""
    times = [road.T0 + 1000 * number + 3_600_000 * (number == at) for number in range(20)]
    other = recording.with_name("other.jsonl")
    other.write_text(recording.read_text())
    recording.write_text("\n" + "".join(json.dumps(OBSERVATION | {"ts": time}) + "\n" for time in times))
    text = say(recording.parent, str(other), str(recording))[1]
    told = f"as line {at + 2} of {recording} is, 3,599.0 s ahead of line {at + 3}, the first of {19 - at} that are late by it?"
    assert told in text


ORDERS = {
    "by vehicle": [1000 * second for vehicle in range(3) for second in range(60)],
    "newest first": [1000 * (60 - second) for second in range(60)],
    "shuffled": random.Random(1).sample(range(0, 60_000, 1000), 60),
    "one late day": [*range(86_400_000, 86_430_000, 1000), *range(0, 30_000, 1000)],
}


@pytest.mark.parametrize("times", ORDERS.values(), ids=ORDERS)
def test_a_file_in_no_order_of_time_is_told_to_be_sorted(times: list[int], recording: Path) -> None:
    """A line was named that is as right as the others."""
    recording.write_text("".join(json.dumps(OBSERVATION | {"ts": road.T0 + time}) + "\n" for time in times))
    back = max(newest - time for newest, time in zip(accumulate(times, max), times, strict=True))
    assert why_late(recording, FORMATS["observation"], Context(Pseudonym(b"a key")), lateness=2000) == Disorder(back)
    text = say(recording.parent, str(recording))[1]
    told = f"Times in {recording} go back by up to {back / 1000:,.1f} s: sort it by arrival, or raise window.lateness\n"
    assert f"window.lateness is 2000 ms. Is the file in the order of arrival? {told}" in text


def test_one_vehicle_whose_clock_is_ahead_is_no_disorder(recording: Path) -> None:
    """It moves time on with each message, so that without the first of them as many are late."""
    frames = [a_reading(time=road.T0 + 1000 * n + 3_600_000 * (n % 10 == 0)) for n in range(100)]
    recording.write_bytes(b"".join(frames))
    ahead = why_late(recording, FORMATS["gbt32960"], Context(Pseudonym(b"a key")), lateness=2000)
    assert ahead == Ahead(0, len(frames[0]), 3_599_000, 9)
    text = say(recording.parent, f"{recording}=gbt32960")[1]
    told = f"as byte 0 of {recording} is, 3,599.0 s ahead of byte {len(frames[0])}, the first of 9 that are late by it? Leave"
    assert told in text


def test_with_its_arrival_a_clock_that_is_ahead_makes_nobody_late(recording: Path) -> None:
    times = [(road.T0 + 1000 * number + 9_000 * (number == 5), road.T0 + 1000 * number) for number in range(20)]
    recording.write_text("".join(json.dumps(OBSERVATION | {"ts": ts, "rx": rx}) + "\n" for ts, rx in times))
    assert "20 accepted, 0 late" in say(recording.parent, str(recording))[1]
    assert why_late(recording, FORMATS["observation"], Context(Pseudonym(b"a key")), lateness=2000) is None


def test_a_detector_that_failed_is_named(recording: Path) -> None:
    """What it had learned is gone, and incidents may be missing."""
    assert "began afresh" not in say(recording.parent, str(recording))[1]
    code, text = say(recording.parent, str(recording), module="tests.indiscreet")
    assert code == 0
    assert "\nWrongWay failed once, and began afresh without what it had learned: a defect of roadwatch" in text


def test_alerts_of_before_do_not_go_unmentioned(recording: Path) -> None:
    out = recording.parent / "alerts.jsonl"
    assert "is written anew" not in say(recording.parent, str(recording))[1]
    out.write_text("{}\n")
    assert f"{out.name} was there and is written anew" in say(recording.parent, str(recording))[1]
    assert out.read_text() == ""


def test_a_reader_of_decode_may_stop_reading(recording: Path) -> None:
    """As `head` does; there is more than a pipe holds."""
    recording.write_text(recording.read_text() * 3000)
    order = roadwatch("decode", str(recording), f"--set=privacy.key_file={recording.parent}/key")
    child = subprocess.Popen(order, cwd=recording.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    said, code = child.stderr.read().decode().splitlines(), child.wait(PATIENCE)
    assert ([line.partition(" is made")[0] for line in said], code) == (["a new key"], 0)
    child.stderr.close()


def test_a_pipe_is_decoded_and_not_replayed(recording: Path) -> None:
    """What comes once cannot be counted first."""
    *all_decoded, replayed = [
        subprocess.run(
            roadwatch(command, name, f"--set=privacy.key_file={recording.parent}/key"),
            cwd=recording.parent,
            input=recording.read_bytes(),
            capture_output=True,
            check=False,
        )
        for command, name in (("decode", "/dev/stdin"), ("decode", "-"), ("replay", "-"))
    ]
    for decoded in all_decoded:
        assert (decoded.returncode, json.loads(decoded.stdout)["line"]) == (0, 1)
    assert replayed.returncode == 1
    assert replayed.stderr.endswith(b"and what comes through a pipe comes once: put it into a file first\n")


def test_no_directory_is_made_for_what_is_written(recording: Path) -> None:
    code, text = say(recording.parent, str(recording), "--out", str(recording.parent / "typo" / "alerts.jsonl"))
    assert (code, (recording.parent / "typo").exists()) == (1, False)
    assert "roadwatch: there is no directory" in text
    code, text = say(recording.parent, str(recording), "--out", str(recording.parent))
    assert (code, text) == (1, f"roadwatch: {recording.parent} is a directory; name a file in it to write to\n")


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_ends_with_an_error(content: str, recording: Path) -> None:
    """Whoever asks for the exit code only would take it for an hour in which nothing happened."""
    empty = recording.with_name("empty.jsonl")
    empty.write_text(content)
    code, text = say(recording.parent, str(empty), str(recording))
    sentence = f"roadwatch: there is no message in {empty}; see what should have written it, or leave it out\n"
    assert (code, text.endswith(sentence)) == (1, True)
    assert "1 accepted" in text


def test_a_file_of_which_all_is_late_ends_with_an_error(recording: Path) -> None:
    """By the limit of a live feed, whose settings were taken; else the first of a file is never late."""
    recording.write_text(json.dumps(OBSERVATION | {"rx": road.T0 + 60_000}) + "\n{}\n")
    code, text = say(recording.parent, str(recording), "--set=window.max_behind=9000")
    assert code == 1
    assert "0 accepted, 1 late, 1 refused" in text
    assert "window.lateness is 2000 ms and window.max_behind 9000 ms. Is the file in the order of arrival?\n" in text
    assert text.endswith(
        f"\nroadwatch: nothing in {recording} was accepted: 1 records are more than window.max_behind (9000 ms) behind their "
        "arrival, a limit for live feeds; replay it with --set window.max_behind=0\n"
    )
    assert say(recording.parent, str(recording), "--set=window.max_behind=0")[0] == 0


@pytest.mark.parametrize("where", ["--out", "--cells", "--dead-letters"])
def test_a_recording_is_not_written_over(where: str, recording: Path) -> None:
    """It was emptied before it was read."""
    before = recording.read_bytes()
    code, text = say(recording.parent, str(recording), where, recording.name)
    assert (code, recording.read_bytes()) == (1, before)
    assert text.startswith(
        f"roadwatch: {recording.name} is one of the recordings, and would be written anew; name another file"
    )


@pytest.mark.parametrize("name", ["link.jsonl", "hard.jsonl", "../recording/recording.jsonl"])
def test_a_recording_is_known_by_other_names(name: str, recording: Path) -> None:
    folder = recording.parent / "recording"
    folder.mkdir()
    moved = recording.rename(folder / recording.name)
    (folder / "link.jsonl").symlink_to(moved)
    (folder / "hard.jsonl").hardlink_to(moved)
    with pytest.raises(RecordingError, match="is one of the recordings"):
        _apart([moved], [folder / "other.jsonl", folder / name])


def test_a_recording_that_is_named_twice_is_refused(recording: Path) -> None:
    """It was read once, without a word."""
    code, text = say(recording.parent, str(recording), f"{recording}=observation")
    sentence = f"roadwatch: {recording} is named twice, and a recording goes in once; leave one of them out\n"
    assert (code, text) == (1, sentence)
    with pytest.raises(RecordingError, match="twice"):
        _apart([recording, recording.parent / "." / recording.name], [])


def test_one_file_is_not_written_for_two_purposes(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="two purposes"):
        _apart([], [tmp_path / "a.jsonl", tmp_path / "." / "a.jsonl"])


def test_a_directory_is_no_recording(recording: Path) -> None:
    code, text = say(recording.parent, str(recording.parent))
    assert (code, text) == (1, f"roadwatch: {recording.parent} is a directory; name the recordings in it\n")


def test_a_pipe_is_not_written_to_for_the_alerts_are_read_again(recording: Path) -> None:
    pipe = recording.parent / "pipe"
    os.mkfifo(pipe)
    code, text = say(recording.parent, str(recording), "--out", str(pipe))
    assert code == 1
    assert f"{pipe} is no ordinary file, and it is read again at the end; name one" in text
    assert say(recording.parent, str(recording), "--out", "/dev/null")[0] == 0


def test_a_disk_that_is_full_breaks_a_replay_off_with_one_sentence(recording: Path) -> None:
    """The limit is that of a file's size: the engine has none here, and no other is filled."""
    recording.write_text(json.dumps(OBSERVATION) + "\n" + 12_000 * (json.dumps(OBSERVATION) + "x\n"))
    out, dead = (str(recording.parent / name) for name in ("out", "dead"))
    words = *roadwatch("replay"), str(recording), "--out", out, "--dead-letters", dead, f"--set=privacy.key_file={out}.key"
    command = f"ulimit -f 1000; exec {shlex.join(words)}"
    ended = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"cannot write {dead}: File too large; the replay is broken off" in ended.stderr
    assert len(ended.stderr.splitlines()) < 10


def test_a_place_that_cannot_be_written_to_is_one_sentence(recording: Path) -> None:
    """By nobody: a link to where nothing is."""
    out = recording.with_name("out")
    out.symlink_to(recording.with_name("nowhere") / "out")
    with pytest.raises(RecordingError, match=r"^cannot write .*/out: .*; name another place to write to$"):
        replay_files([(recording, "observation")], out, None, None, load())


@pytest.mark.parametrize("kept", [True, False])
def test_no_state_is_packed_that_nobody_keeps(kept: bool, recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine asks every shard for a snapshot, if only at the end of the files."""
    pack, packed = ShardWindow.snapshot, []

    def snapshot(window: ShardWindow) -> bytes:
        packed.append(window.shard)
        return pack(window)

    monkeypatch.setattr(ShardWindow, "snapshot", snapshot)
    settings = load(None, {"privacy": {"key": "a key"}})
    ends = replay.ends([(recording, "observation")], settings, recording.parent / "alerts.jsonl")
    run_main(flow(settings, ends, kept=kept))
    assert len(packed) == settings.window.shards * kept
