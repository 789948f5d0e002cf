"""The fuzzer of one format, in a process of its own: python -m tests.fuzzer FORMAT RUNS SEED TALLY; see tests/fuzz.py."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["dataflows.formats", "dataflows.intake"]):  # so these must come first
    from tests import hostile
    from tests.fuzz import ROOT, Entrance, arrival_of

KEPT = ROOT / "var" / "fuzz"  # messages that failed


def fuzz(name: str, runs: int, seed: int, tally: Path) -> None:
    """Ends the process; what came of it is in `tally`."""
    entrance, left = Entrance(name), runs

    def one(message: bytes) -> None:
        nonlocal left
        try:
            entrance.judge(message, arrival_of(message))
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is the finding
            KEPT.mkdir(parents=True, exist_ok=True)
            kept = KEPT / f"{name}-{seed}.bin"
            kept.write_bytes(message)
            end(tally, {"error": f"{error!r}; again with: python -m tests.fuzz --format {name} --message {kept}"})
        left -= 1
        if not left:
            end(tally, {"accepted": entrance.accepted, "refused": entrance.refused, "slowest": entrance.slowest})

    def bend(message: bytes, longest: int, dice: int) -> bytes:
        return hostile.bent(name, message, longest, dice, atheris.Mutate)

    with tempfile.TemporaryDirectory() as folder:
        for number, message in enumerate(hostile.seeds(name)):
            (Path(folder) / f"{number:04}").write_bytes(message)
        flags = [f"-seed={seed}", f"-max_len={2 * hostile.LONGEST_SEED}", "-len_control=0", "-rss_limit_mb=2048", "-timeout=60"]
        atheris.Setup([sys.argv[0], folder, *flags], one, custom_mutator=bend)
        atheris.Fuzz()


def end(tally: Path, found: dict[str, Any]) -> None:
    """libFuzzer knows no other way to stop and to say what was."""
    tally.write_text(json.dumps(found))
    os._exit(0)


if __name__ == "__main__":
    fuzz(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
