"""`roadwatch replay`: recorded files through the same graph, with a progress bar and a summary."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from bytewax.run import cli_main
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dataflows import heap, logs, replay
from dataflows.ahead import Disorder, why_late
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym, Reason
from dataflows.incidents import flow
from dataflows.intake import Poll
from dataflows.likely import advice
from dataflows.metrics import METRICS
from dataflows.recorded import RecordingError, messages, spot
from dataflows.secret_files import about_the_key, pseudonym_key
from dataflows.settings import Settings
from dataflows.span import Span
from detectors.model import Doubt

MANY_LATE = 0.1  # of the records: twice what the alert rule calls many
MANY_DOUBTED = 0.1  # of the accepted ones: ten times what the alert rule calls many
ASKS = {  # a Doubt that many share: what a feed may have wrong for all
    Doubt.POSITION_CHANGE_TOO_SMALL: "they get on less than they say: is v in m/s?",
    Doubt.POSITION_CHANGE_TOO_LARGE: "they get on farther than they say: is v in m/s, and has each vehicle an id of its own?",
    Doubt.HEADING_AGAINST_MOVEMENT: "they go another way than they say: is hdg clockwise from north, in degrees?",
    Doubt.CONSTANT_POSITION: "they drive and stay where they are: are lat and lon rounded?",
    Doubt.LONG_ACC_VALUE_TOO_LARGE: "no tyre speeds up so: is ax in m/s2?",
}
say = Console(stderr=True)


def replay_files(
    files: Sequence[tuple[Path, str]], out: Path, cells: Path | None, dead_letters: Path | None, settings: Settings
) -> None:
    """Replay (path, format name) files; alerts go to `out`. Raises RecordingError, SettingsError."""
    logs.configure(settings.logs.level, settings.logs.format)
    written = [path for path in (out, cells, dead_letters) if path is not None]
    for path in written:
        if not path.parent.is_dir():
            raise RecordingError(f"there is no directory {path.parent} for {path.name}; make it, or name another place")
        if path.is_dir():
            raise RecordingError(f"{path} is a directory; name a file in it to write to")
    _apart([path for path, _ in files], written)
    for path in written:  # an empty file says that there was nothing; an old one would say what is not true
        if path.exists() and path.stat().st_size:
            say.print(f"{path} was there and is written anew", highlight=False, soft_wrap=True)
        try:
            path.write_bytes(b"")
        except OSError as error:
            raise RecordingError(f"cannot write {path}: {error.strerror}; name another place to write to") from None
    for sentence in about_the_key(settings):
        say.print(sentence, highlight=False, soft_wrap=True)
    context = Context(Pseudonym(pseudonym_key(settings)), settings.window.max_ahead)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=say, transient=True) as bar:
        counting = bar.add_task("counting messages", total=None)
        totals = {path: sum(1 for _ in messages(path, FORMATS[name])) for path, name in files}
        bar.remove_task(counting)
        tasks = {str(path): bar.add_task(path.name, total=total) for path, total in totals.items()}
        spans = {file: Span() for file in tasks}
        started = time.monotonic()

        def progressed(file: str, count: int, poll: Poll) -> None:
            bar.update(tasks[file], completed=count)
            spans[file].take(poll)

        ends = replay.ends(files, settings, out, cells, dead_letters, progressed)
        graph = flow(settings, ends, kept=False)
        heap.settle()
        cli_main(graph)
        seconds = time.monotonic() - started
    total = sum(totals.values())
    received, accepted, late = (
        round(sum(METRICS.value(f"{what}_records_total", topic=str(path)) for path in totals))
        for what in ("received", "accepted", "late")
    )
    say.print(
        f"{total} messages in {seconds:.1f} s ({total / max(seconds, 1e-9):,.0f}/s): {received} records, "
        f"{accepted} accepted, {late} late, {received - accepted - late} refused",
        highlight=False,
        soft_wrap=True,
    )
    for file, span in spans.items():
        if span.rows:
            say.print(f"accepted of {file}: {span}", highlight=False, soft_wrap=True)
    if copies := round(METRICS.value("duplicate_records_total")):
        say.print(f"copies, which count once: {copies} of the accepted", highlight=False, soft_wrap=True)
    if late > MANY_LATE * received:
        lateness = settings.window.lateness
        said = f"{100 * late // received}% came too late, and nothing is made of them: window.lateness is {lateness} ms"
        said += f" and window.max_behind {behind} ms" if (behind := settings.window.max_behind) else ""
        say.print(f"{said}. {_why_late(files, lateness, context)}", highlight=False, soft_wrap=True)
    if recognised := round(sum(METRICS.value("recognised_records_total", topic=str(path)) for path in totals)):
        what = f"{recognised} of the accepted carry nothing that is looked at"
        say.print(f"{what}; roadwatch decode says what they are", highlight=False, soft_wrap=True)
    if refused := METRICS.by_label("refused_records_total", "reason"):
        say.print(f"refused: {_listed(refused)}; roadwatch decode says where and why", highlight=False, soft_wrap=True)
        if refused.get(Reason.IMPOSSIBLE_POSITION, 0) > MANY_DOUBTED * received:
            say.print("so many are nowhere on Earth: are latitude and longitude swapped?", highlight=False, soft_wrap=True)
    for path, name in files:
        missing = round(METRICS.value("refused_records_total", topic=str(path), reason=Reason.NO_TIME))
        if missing and not FORMATS[name].dated:
            what = f"{missing} messages of {path} do not say when they arrived, and only that tells when they were sent"
            say.print(f"{what}: begin each line with it, in ms since 1970", highlight=False, soft_wrap=True)
    _tell_what_is_not_believed(METRICS.by_label("implausible_reports_total", "reason"), accepted)
    for detector, count in METRICS.by_label("detector_errors_total", "detector").items():
        what = f"{detector} failed {'once' if count == 1 else f'{count} times'}, and began afresh without what it had learned"
        say.print(f"{what}: a defect of roadwatch, so report it with the log above", highlight=False, soft_wrap=True)
    say.print(_incidents(out), highlight=False, soft_wrap=True)
    for path in totals:
        silent = METRICS.value("observations_without_speed_total", topic=str(path))
        if silent > totals[path] / 2:
            what = f"{silent:,.0f} observations of {path} say no speed"
            say.print(f"{what}, without which hardly anything is found; see roadwatch decode", highlight=False, soft_wrap=True)
    for path, name in files:
        if not METRICS.value("accepted_records_total", topic=str(path)):
            raise RecordingError(_why_nothing(path, name, totals[path], settings.window.max_behind, context))


def _why_nothing(path: Path, name: str, messages: int, max_behind: int, context: Context) -> str:
    """Of a file of which no record was accepted."""
    if not messages:
        return f"there is no message in {path}; see what should have written it, or leave it out"
    if late := round(METRICS.value("late_records_total", topic=str(path))):  # the first of a file is never late by another
        what = f"nothing in {path} was accepted: {late} records are more than window.max_behind ({max_behind} ms) behind their"
        return f"{what} arrival, a limit for live feeds; replay it with --set window.max_behind=0"
    said = advice(path, name, context) or "roadwatch decode says what is wrong with it"
    return f"nothing in {path} could be read as {name}; {said}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())


def _why_late(files: Sequence[tuple[Path, str]], lateness: int, context: Context) -> str:
    """What to ask of the file of which most came too late, and what to do with it."""
    path, name = max(files, key=lambda file: METRICS.value("late_records_total", topic=str(file[0])))
    asked = "Is the file in the order of arrival"
    why = why_late(path, FORMATS[name], context, lateness)
    if why is None:
        return f"{asked}?"
    by = f"{why.by / 1000:,.1f} s"
    if isinstance(why, Disorder):
        return f"{asked}? Times in {path} go back by up to {by}: sort it by arrival, or raise window.lateness"
    return (
        f"{asked}, and no time in it far ahead of the others, as {spot(why.line)} of {path} is, {by} ahead of "
        f"{spot(why.behind)}, the first of {why.late} that are late by it? Leave such ones out, or give each its arrival"
    )


def _tell_what_is_not_believed(doubted: Mapping[str, int], accepted: int) -> None:
    """Which of the accepted observations no detector got, and what may be wrong with the feed if there are many."""
    if not doubted:
        return
    say.print(f"not believed, so that no detector got them: {_listed(doubted)}", highlight=False, soft_wrap=True)
    commonest = Doubt[next(iter(doubted)).upper()]
    if sum(doubted.values()) > MANY_DOUBTED * accepted and commonest in ASKS:
        say.print(ASKS[commonest], highlight=False, soft_wrap=True)


def _apart(read: Sequence[Path], written: Sequence[Path]) -> None:
    """Nothing that is read, or written for another purpose, may be written anew, nor anything be read twice.

    Raises RecordingError.
    """
    for number, path in enumerate(read):
        if any(_same(path, other) for other in read[:number]):
            raise RecordingError(f"{path} is named twice, and a recording goes in once; leave one of them out")
    for number, path in enumerate(written):
        if any(_same(path, other) for other in read):
            raise RecordingError(f"{path} is one of the recordings, and would be written anew; name another file to write to")
        if any(_same(path, other) for other in written[:number]):
            raise RecordingError(f"{path} is to be written for two purposes; name another file for one of them")


def _same(path: Path, other: Path) -> bool:
    """Whether both are one file, by whatever name or link."""
    return path.resolve() == other.resolve() or (path.exists() and other.exists() and path.samefile(other))


def _incidents(out: Path) -> str:
    """One line: how many incidents of which kind, each counted under the last kind it had."""
    kinds: dict[str, str] = {}
    with out.open("rb") as lines:
        for line in lines:
            alert = json.loads(line)
            kinds[alert["incident_id"]] = alert["kind"]
    found = ", ".join(f"{count} {kind}" for kind, count in Counter(kinds.values()).most_common()) or "none"
    return f"incidents: {len(kinds)} ({found}); alerts in {out}"
