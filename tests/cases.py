"""Malformed messages, as data (tests/malformed): each with the one reason for which it must be refused."""

from __future__ import annotations

from pathlib import Path

import msgspec

from dataflows.formats.base import Reason


class Case(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    format: str
    reason: Reason
    text: str | None = None
    hex: str | None = None
    fill: str = ""  # stands, so many `times`, where the text or the hex says <fill>
    times: int = 0
    padding: int = 0  # spaces after the message
    arrival: int = -1  # ms; -1: unknown
    rows: int = 0  # that the good part of the message makes

    @property
    def message(self) -> bytes:
        assert (self.text is None) != (self.hex is None), f"{self.name}: give either text or hex"
        said = str(self.text if self.hex is None else self.hex)
        assert ("<fill>" in said) == bool(self.fill and self.times), f"{self.name}: fill and times go with a <fill>"
        said = said.replace("<fill>", self.fill * self.times)
        return (said.encode() if self.hex is None else bytes.fromhex(said)) + b" " * self.padding


FILES = sorted(Path(__file__).with_name("malformed").glob("*.json"))
CASES = [case for file in FILES for case in msgspec.json.decode(file.read_bytes(), type=list[Case])]
