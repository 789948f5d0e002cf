"""What README.md and docs/formats.md tell to type and to send does what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from dataflows.decode import DecodedRow, decode_file
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym, Reason
from dataflows.formats.observation_plain import SIGN_OF
from dataflows.recorded import messages
from dataflows.settings_reader import load
from dataflows.tap import Reader
from detectors.model import OBSERVATION
from tests.living import PATIENCE, broker_or_skip, roadwatch, wait_for

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
FORMATS_PAGE = (ROOT / "docs" / "formats.md").read_text("utf-8")
OWN_BROKER = README.split("\n## With a broker of your own\n")[1].split("\n## ")[0]


def rows(path: Path, title: str, form: str, language: str) -> list[dict[str, object]]:
    """What the examples under a title decode to, each on a line of a file at `path` as the page tells."""
    examples = re.findall(rf"^```{language}\n(.*?)```", FORMATS_PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0], re.M | re.S)
    path.write_text("\n".join(" ".join(example.split()) for example in examples))
    found = list(decode_file(FORMATS[form], path, Context(Pseudonym(b"a key"))))
    assert len(found) == len(examples)
    return [row.values for row in found if isinstance(row, DecodedRow)]


def test_the_roadside_says_all_that_is_needed(tmp_path: Path) -> None:
    loop, weather = rows(tmp_path / "sensors.jsonl", "sensor", "sensor", "json")
    assert (loop["lane_volume"], loop["interval"]) == ([1320.0, 2280.0], 30.0)
    assert (weather["surface"], weather["surface_temperature"], weather["friction"]) == ("ice", -1.5, 0.21)
    assert (weather["visibility"], weather["wind"], weather["air_temperature"]) == (180.0, 7.0, 0.5)


@pytest.mark.parametrize(
    ("title", "form", "language", "accel"),
    [
        ("ode-json", "ode-json", "json", -4.2),
        ("j2735", "j2735", "text", -4.2),
        ("ydt3709", "ydt3709", "text", None),
        ("etsi and etsi-json", "etsi", "text", -4.2),
    ],
)
def test_the_same_vehicle_in_every_format(title: str, form: str, language: str, accel: float | None, tmp_path: Path) -> None:
    (seen,) = rows(tmp_path / "cars", title, form, language)
    assert (seen["time"], seen["lat"], seen["lon"]) == ("2025-03-04T07:30:05.000Z", 22.553258, 114.098824)
    assert (seen["speed"], seen["heading"], seen.get("accel")) == (27.4, 60.6, accel)
    assert seen["signs"] == (["brake", "hard_brake"] if form == "ode-json" else [])


def test_the_electric_car_is_read_whole(tmp_path: Path) -> None:
    (seen,) = rows(tmp_path / "cars", "gbt32960", "gbt32960", "text")
    assert (seen["time"], seen["lat"], seen["lon"]) == ("2025-03-04T07:30:05.000Z", 22.553258, 114.098824)
    assert (seen["speed"], seen["soc"]) == (pytest.approx(27.4, abs=0.02), 0.57)


def test_the_names_that_decode_prints_are_told_with_those_of_the_message() -> None:
    told = FORMATS_PAGE.split("\n## observation\n")[1].split("\n## ")[0].split("`roadwatch decode` prints")[1]
    assert {name for name in OBSERVATION.names or () if name not in ("cell", "lat", "lon")} <= set(
        re.findall("`([a-z]+)`", told)
    )
    signs = dict(re.findall(r"`(\w+)` \(`(\w+)`\)", told)) | {"abs": "abs"}
    assert signs == {str(sign.name).lower(): flag for flag, sign in SIGN_OF.items()}


def test_every_reason_for_refusing_is_explained() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8").split("\n## Why something is refused\n")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", page, re.M)) == sorted(Reason)


def test_every_format_is_on_its_page() -> None:
    formats = re.findall(r"^\| \[`([\w-]+)`\]\(#([\w-]+)\) \|", FORMATS_PAGE, re.MULTILINE)
    assert {name for name, _ in formats} == set(FORMATS)
    titles = {title.replace(" ", "-") for title in re.findall(r"^## (.+)$", FORMATS_PAGE, re.MULTILINE)}
    assert {anchor for _, anchor in formats} == titles


def test_the_cam_and_the_denm_are_read_whole(tmp_path: Path) -> None:
    seen, said = rows(tmp_path / "etsi.jsonl", "etsi and etsi-json", "etsi-json", "json")
    assert seen["time"] == said["time"] == "2025-03-04T07:30:05.000Z"
    assert (seen["speed"], seen["heading"], seen["accel"]) == (27.4, 60.6, -4.2)
    assert (said["onset"], said["cause"], said["ended"]) == ("2025-03-04T07:30:04.000Z", 94, False)
    assert seen["reporter"] == said["reporter"]


def test_the_producer_brings_every_message_of_a_recording_into_the_topic(tmp_path: Path) -> None:
    recording = ROOT / "dataflows" / "demo" / "recording" / "observations.jsonl.zst"
    lines = list(islice(messages(recording, FORMATS["observation"]), 3000))
    found = re.search(r"```python\n(.*?)```", OWN_BROKER, re.DOTALL)
    variable = re.search(r"export (\w+)=([\w.:]+)", OWN_BROKER)
    assert found
    assert variable
    with broker_or_skip() as broker:
        environment = os.environ | {variable[1]: broker}
        subprocess.run(roadwatch("topics"), cwd=ROOT, env=environment, check=True, timeout=PATIENCE)
        program = tmp_path / "producer.py"
        program.write_text(found[1])
        subprocess.run(
            [sys.executable, str(program)], input=b"\n".join(lines) + b"\n", env=environment, check=True, timeout=PATIENCE
        )
        received: list[bytes | None] = []
        with Reader(load(None, {"kafka": {"bootstrap_servers": broker}}), "v2x.observations") as reader:

            def look() -> bool:
                received.extend(message.value for message in reader.read(1.0))
                return len(received) >= len(lines)

            wait_for(look, "all messages are there")
    assert sorted(received, key=str) == sorted(lines, key=str)
