"""What a user would pick instead, at the windowing alone, on the same messages through the same broker, beside roadwatch whole.

    python -m benchmarks.peers_brokered [--minutes 4] [--copies 20] [--rounds 3] [--only QUIX] [--note TEXT]

The job: read the JSON, find the H3 cell of resolution 9, and give for each cell and second of event time the count, the sum of
the speeds and the number of hard brakes. Each peer has a script in benchmarks/peers_own and an environment of its own under
var/peers, made at the first run (PyFlink needs Java and Maven too); roadwatch runs with every detector. Results go to
benchmarks/results/peers.md with the commit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from h3.api.basic_int import latlng_to_cell
from rich.console import Console

from benchmarks import brokered
from benchmarks.load import Measure, city, measured
from benchmarks.machine import ROOT, commit, versions
from benchmarks.peers_chosen import PEERS, Peer
from benchmarks.table import Table
from dataflows.formats.observation import Observation

SCRIPTS = Path(__file__).parent / "peers_own"
ENVIRONMENTS = ROOT / "var" / "peers"
RESULTS = Path(__file__).parent / "results" / "peers.md"
TIMEOUT = 600  # s for one run: a peer that hangs is not to take the others with it
OURS = "roadwatch, all detectors"
ABSENT = "does not install here"
Outcome = Measure | str  # a measure, or the sentence that says why there is none
console = Console()


class NoPeerError(Exception):
    """One sentence: why a peer does not run here."""


def environment(peer: Peer) -> Path:
    """The Python to run the peer with; made at the first call and whenever the pins have changed. Raises NoPeerError."""
    if not peer.pins:
        return Path(sys.executable)
    folder = ENVIRONMENTS / peer.pins[0].partition("==")[0]
    python, note, wanted = folder / "bin" / "python", folder / "installed", "\n".join((*peer.pins, peer.jar))
    if not note.exists() or note.read_text() != wanted:
        console.print(f"making {folder.relative_to(ROOT)} with {', '.join(peer.pins)}: a minute or two, once")
        shutil.rmtree(folder, ignore_errors=True)
        _must([sys.executable, "-m", "venv", folder], "its environment cannot be made")
        _must([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.pins], "pip cannot install it")
        if peer.jar:
            maven = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={peer.jar}", f"-DoutputDirectory={folder / 'jars'}"]
            _must(maven, f"Maven cannot fetch {peer.jar}")
        note.write_text(wanted)
    return python


def _must(command: Sequence[str | Path], otherwise: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ENVIRONMENTS.parent.parent)
    except OSError as error:
        raise NoPeerError(f"{otherwise}: {error}") from error
    if done.returncode:
        raise NoPeerError(f"{otherwise}: {last_words(done.stderr + done.stdout)}")


def run(peer: Peer, broker: str, count: int, turn: int) -> Outcome:
    """Once, as a process of its own; what its last line says."""
    try:
        python = environment(peer)
    except NoPeerError as error:
        return f"{ABSENT}: {error}"
    with tempfile.TemporaryDirectory() as folder:
        group = f"{peer.script}-{os.getpid()}-{turn}"
        command = [python, SCRIPTS / f"{peer.script}.py", broker, brokered.TOPIC, str(count), folder, group]
        jars = [str(jar) for jar in (python.parents[1] / "jars").glob("*.jar")]
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                timeout=TIMEOUT,
                env=inherited | {"JARS": ":".join(jars)},
            )
        except subprocess.TimeoutExpired:
            return f"does not come to the end on this broker within {TIMEOUT} s"
    said = done.stdout.strip().splitlines()
    try:
        measure: Measure = json.loads(said[-1])
    except (IndexError, ValueError):
        return f"does not run on this broker: {last_words(done.stderr)}"
    return measure | {"messages": count}


def last_words(text: str) -> str:
    """The last line that a reader can use: not a Java stack frame, and not too long."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("at ", "..."))]
    return lines[-1][:200] if lines else "it said nothing"


def expected(messages: Sequence[bytes]) -> Measure:
    """What a peer should find, computed without windows that close: the judge of all of them."""
    read, windows, brakes = msgspec.json.Decoder(Observation).decode, set(), 0
    for message in messages:
        row = read(message)
        windows.add((latlng_to_cell(row.lat, row.lon, 9), row.ts // 1000))
        brakes += row.ev
    return {"windows": len(windows), "observations": len(messages), "brakes": brakes}


def verdict(measure: Measure, right: Measure) -> str:
    """Whether its windows hold what they should; fewer observations is what it left open at the end, all else is wrong."""
    if "windows" not in measure:
        return "-"
    if all(measure[key] == right[key] for key in right):
        return "all"
    share = measure["observations"] / right["observations"]
    wrong = share >= 1 or any(measure[key] > right[key] for key in right)
    return "WRONG" if wrong else f"{share:.0%}"


def row(name: str, outcomes: Sequence[Outcome], right: Measure) -> list[str]:
    """Medians of the rounds that came to the end; if none did, why not."""
    measures = [each for each in outcomes if not isinstance(each, str)]
    if not measures:
        return [name, "-", "-", "-", str(outcomes[-1])]
    rates = sorted(each["messages"] / each["seconds"] / 1000 for each in measures)
    spent = statistics.median(each["cpu"] / each["messages"] * 1e6 for each in measures)
    judged = sorted({verdict(each, right) for each in measures})
    failed = len(outcomes) - len(measures)
    closed = ", ".join([*judged, *([f"{failed} of {len(outcomes)} rounds failed"] if failed else [])])
    return [name, f"{statistics.median(rates):.1f}", f"{rates[0]:.1f} to {rates[-1]:.1f}", f"{spent:.1f}", closed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="peers whose name has this in it; nothing is written then")
    parser.add_argument("--note", default="", help="a sentence for the results: what else the machine was doing")
    asked, measured_at = parser.parse_args(), commit()  # before the run: somebody may commit while it takes its time
    messages = city(asked.minutes, asked.copies)
    peers = [peer for peer in PEERS if asked.only.lower() in peer.name.lower()]
    found: dict[str, list[Outcome]] = {name: [] for name in (OURS, *(peer.name for peer in peers))}
    counts = {peer.name: min(peer.most, len(messages)) for peer in peers}
    with brokered.filled(messages) as flags:
        broker = str(flags["kafka"]["bootstrap_servers"])
        for turn in range(asked.rounds):
            found[OURS].append(measured(brokered.worker, messages, **flags))
            for peer in peers:
                outcomes = found[peer.name]
                absent = turn > 0 and str(outcomes[-1]).startswith(ABSENT)  # and then it is not tried again
                outcomes.append(outcomes[-1] if absent else run(peer, broker, counts[peer.name], turn))
                console.print(f"round {turn + 1}, {peer.name}: {outcomes[-1]}", highlight=False)
    right = {count: expected(messages[:count]) for count in {*counts.values(), len(messages)}}
    title = f"The city through the broker: {len(messages):,} messages, median of {asked.rounds}"
    rates = Table(title, ("", "k messages/s", "lowest to highest", "CPU us a message", "windows given out"))
    rates.rows = [row(name, outcomes, right[counts.get(name, len(messages))]) for name, outcomes in found.items()]
    rates.note = NOTE
    about = Table("What each was given, and what it does less than roadwatch", ("", "settings", "does less"))
    about.rows = [(peer.name + _share(peer), peer.settings, peer.lacks) for peer in peers]
    console.print(rates.rich(), about.rich())
    if not asked.only:
        head = f"# Peers\n\n`python -m benchmarks.peers_brokered` at commit {measured_at}; {versions()}."
        RESULTS.write_text("\n\n".join([head, *filter(None, [asked.note]), rates.markdown(), about.markdown()]))


def _share(peer: Peer) -> str:
    return "" if peer.most == sys.maxsize else f" (the first {peer.most:,} messages)"


NOTE = """\
The peers do the windowing alone: per cell and second the count, the sum of the speeds and the number of hard brakes. Windows
wait 15 s of event time, so that nobody drops a message as late (the latest is 14 s behind). The clock runs from the first
message to the last window; for roadwatch to the last message that is taken in, since what a worker has open when it stops stays
open. 'Windows given out' compares with a plain sum over all messages: 'all' says that windows, observations and hard brakes are
the same. CPU is that of the peer alone, without the broker, over the same span."""


if __name__ == "__main__":
    main()
