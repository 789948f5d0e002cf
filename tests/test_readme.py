"""What README.md tells to type does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

from dataflows.formats import FORMATS
from dataflows.recorded import messages
from dataflows.settings_reader import load
from dataflows.tap import Reader
from tests.living import PATIENCE, broker_or_skip, roadwatch, wait_for

ROOT = Path(__file__).parents[1]
OWN_BROKER = (ROOT / "README.md").read_text("utf-8").split("\n## With a broker of your own\n")[1].split("\n## ")[0]


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
        program.write_text(found[1].replace(variable[2], broker))
        subprocess.run([sys.executable, str(program)], input=b"\n".join(lines) + b"\n", check=True, timeout=PATIENCE)
        received: list[bytes | None] = []
        with Reader(load(None, {"kafka": {"bootstrap_servers": broker}}), "v2x.observations") as reader:

            def look() -> bool:
                received.extend(message.value for message in reader.read(1.0))
                return len(received) >= len(lines)

            wait_for(look, "all messages are there")
    assert sorted(received, key=str) == sorted(lines, key=str)
