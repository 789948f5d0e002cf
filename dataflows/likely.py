"""What a recorded file may be, where nothing in it could be read as the format that was named."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from dataflows.formats import FORMATS, Format
from dataflows.formats.base import Context
from dataflows.formats.guard import decode_safely
from dataflows.recorded import UNPACKED, arrived, messages

JSON_LINES = "observation"
COLUMNS = 3  # commas in a first line that is no JSON: even the least of an observation has four columns
BEGINNINGS = {  # of files that are no text, and what to do with them
    b"\x1f\x8b": "it is packed by gzip: give it a name that ends in .gz",
    b"\x28\xb5\x2f\xfd": "it is packed by zstd: give it a name that ends in .zst",
    b"\xff\xfe": "it is in UTF-16, as some shells write: make it UTF-8, as iconv -f UTF-16 -t UTF-8 does",
    b"\xfe\xff": "it is in UTF-16: make it UTF-8, as iconv -f UTF-16 -t UTF-8 does",
}
LOOKED_AT = 20  # messages: damaged ones are a few in a hundred
MOST = 0.5  # of them may be refused, or it is not the format either


def advice(path: Path, named: str, context: Context) -> str | None:
    """What it looks like, and what to do; None if nobody knows, or it comes through a pipe."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = b"" if path.suffix.lower() in UNPACKED else file.read(4)
    for beginning, what in BEGINNINGS.items():
        if head.startswith(beginning):
            return what
    if other := another_format(path, named, context):
        return other
    first = next(messages(path, FORMATS[JSON_LINES]), b"")
    if first.startswith(b"["):
        return "it looks like a JSON array: write one object a line, as jq -c '.[]' does"
    if first.count(b",") >= COLUMNS and _is_text(first) and not first.startswith(b"{"):
        return "it looks like CSV: write one JSON object a line"
    return None


def another_format(path: Path, named: str, context: Context) -> str | None:
    """One in which more of the first messages can be read than in the one that was named, and most of them."""
    if not path.is_file():
        return None
    refused = _refused(path, FORMATS[named], context)
    for form in (form for form in FORMATS.values() if form.name != named):
        if (share := _refused(path, form, context)) < refused and share < MOST:
            return f"it looks like {form.name}: write {path}={form.name}"
    return None


def _refused(path: Path, form: Format, context: Context) -> float:
    """Share of the first messages that cannot be read."""
    few = list(islice(messages(path, form), LOOKED_AT))
    decoded = decode_safely(form.decode, few, np.full(len(few), arrived(path, form), np.int64), context)
    return len(decoded.refusals) / max(decoded.records, 1) if decoded.records else 1.0


def _is_text(line: bytes) -> bool:
    """In UTF-8, whatever its language."""
    try:
        return "".join(line.decode().split()).isprintable()
    except UnicodeDecodeError:
        return False
