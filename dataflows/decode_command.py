"""`roadwatch decode`: rows on stdout as JSON lines, refusals on stderr with place and reason."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from dataflows.decode import Recognised, RefusedRecord, Undated, Unknown, Unsaid, decode_file
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.likely import advice
from dataflows.recorded import Byte
from dataflows.secret_files import about_the_key, pseudonym_key
from dataflows.settings import Settings

MOST = 20  # unknown fields that are named, and refusals for one reason in one file


def decode_files(files: Sequence[tuple[Path, str]], settings: Settings, every: bool = False) -> int:
    """Print what is in the files, (path, format name) each; 1 if anything was refused, else 0. Raises RecordingError.

    Of refusals for one reason the first MOST of a file are printed, unless `every` is wanted. Whoever reads it may stop
    reading, as `head` does.
    """
    for sentence in about_the_key(settings):
        print(sentence, file=sys.stderr)
    try:
        return _print(files, Context(Pseudonym(pseudonym_key(settings)), settings.window.max_ahead), every)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter would complain when it flushes
        return 0


def _print(files: Sequence[tuple[Path, str]], context: Context, every: bool) -> int:
    anything = 0
    for path, name in files:
        rows, refused, with_speed = 0, Counter[str](), Counter[bool]()  # the last of observations
        for found in decode_file(FORMATS[name], path, context):
            if isinstance(found, RefusedRecord):
                refused[found.reason] += 1
                if every or refused[found.reason] <= MOST:
                    print(f"{path}:{found.line}: {found.reason}: {found.detail}", file=sys.stderr)
            elif isinstance(found, Recognised):
                counts = ", ".join(f"{count} {what}" for what, count in sorted(found.counts.items()))
                print(f"{path}: also recognised, without a row: {counts}", file=sys.stderr)
            elif isinstance(found, Undated):
                print(
                    f"{path}: {found.messages} messages do not say when they arrived, so the file's own time stands for it "
                    "here; to replay them begin each line with it, in ms since 1970",
                    file=sys.stderr,
                )
            elif isinstance(found, Unknown):
                keys = found.counts.most_common(MOST)
                counts = ", ".join(f"{_shown(key)} ({count}){_meant(key, FORMATS[name].meant)}" for key, count in keys)
                print(
                    f"{path}: nothing is made of these fields, see the fields of {name} in the README: {counts}",
                    file=sys.stderr,
                )
            elif isinstance(found, Unsaid):
                counts = ", ".join(f"{name} ({count})" for name, count in found.counts.most_common())
                print(
                    f"{path}: of {found.rows} traffic sensors some do not say, or not so that it counts: {counts}",
                    file=sys.stderr,
                )
            else:
                rows += 1
                if found.values["kind"] == "observation":
                    with_speed["speed" in found.values] += 1
                place = "byte" if isinstance(found.line, Byte) else "line"
                print(json.dumps({place: found.line} | found.values, ensure_ascii=False))
        if more := {} if every else {reason: count - MOST for reason, count in refused.items() if count > MOST}:
            counts = ", ".join(f"{count} {reason}" for reason, count in sorted(more.items()))
            print(f"{path}: not shown: {counts}, as above; --every shows all", file=sys.stderr)
        if with_speed[False]:
            silent = f"{with_speed[False]} of {with_speed.total()} observations say no speed"
            print(f"{path}: {silent}, without which hardly anything is found", file=sys.stderr)
        if refused and not rows and (said := advice(path, name, context)):
            print(f"{path}: {said}", file=sys.stderr)
        print(f"{path}: rows {rows}, refused {refused.total()}", file=sys.stderr)
        anything += refused.total()
    return 1 if anything else 0


def _meant(key: str, names: Mapping[str, str]) -> str:
    """What a stranger's name for a field is here, where that is known."""
    known = names.get(key.lower())
    return f", here {known}" if known else ""


def _shown(key: str) -> str:
    """A stranger's name for a field, as it is if it is harmless: others could move the cursor, or forge a line of ours."""
    return key if key.isidentifier() else json.dumps(key)
