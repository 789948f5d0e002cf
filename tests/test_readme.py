"""What README.md and docs/formats.md tell to type and to send does what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

from dataflows.decode import DecodedRow, decode_file
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.recorded import messages
from dataflows.settings_reader import load
from dataflows.tap import Reader
from tests.living import PATIENCE, broker_or_skip, roadwatch, wait_for

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
FORMATS_PAGE = (ROOT / "docs" / "formats.md").read_text("utf-8")
OWN_BROKER = README.split("\n## With a broker of your own\n")[1].split("\n## ")[0]


def test_the_traffic_sensor_says_all_that_is_needed(tmp_path: Path) -> None:
    example = FORMATS_PAGE.split("\n## sensor\n")[1].split("```json\n")[1].split("```")[0]
    path = tmp_path / "sensors.jsonl"
    path.write_text(" ".join(example.split()))
    (row,) = decode_file(FORMATS["sensor"], path, Context(Pseudonym(b"a key")))
    assert isinstance(row, DecodedRow)
    assert row.values["lane_volume"] == [1320.0, 2280.0]
    assert row.values["interval"] == 30.0


def test_every_format_is_on_its_page() -> None:
    rows = re.findall(r"^\| \[`([\w-]+)`\]\(#([\w-]+)\) \|", FORMATS_PAGE, re.MULTILINE)
    assert {name for name, _ in rows} == set(FORMATS)
    titles = {title.replace(" ", "-") for title in re.findall(r"^## (.+)$", FORMATS_PAGE, re.MULTILINE)}
    assert {anchor for _, anchor in rows} == titles


def test_the_cam_and_the_denm_are_read_whole(tmp_path: Path) -> None:
    cam, denm = FORMATS_PAGE.split("\n## etsi and etsi-json\n")[1].split("```json\n")[1:3]
    path = tmp_path / "etsi.jsonl"
    path.write_text("\n".join(" ".join(example.split("```")[0].split()) for example in (cam, denm)))
    seen, said = decode_file(FORMATS["etsi-json"], path, Context(Pseudonym(b"a key")))
    assert isinstance(seen, DecodedRow)
    assert isinstance(said, DecodedRow)
    assert seen.values["time"] == said.values["time"] == "2025-03-04T07:30:05.000Z"
    assert (seen.values["speed"], seen.values["heading"], seen.values["accel"]) == (27.4, 60.6, -4.2)
    assert (said.values["onset"], said.values["cause"], said.values["ended"]) == ("2025-03-04T07:30:04.000Z", 94, False)
    assert seen.values["reporter"] == said.values["reporter"]


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
