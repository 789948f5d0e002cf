"""What is said at the end of a replay: what became of the records, and of what is odd about them what may be the reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dataflows.ahead import Disorder, why_late
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Reason
from dataflows.likely import advice, another_format
from dataflows.metrics import METRICS
from dataflows.recorded import spot
from dataflows.settings import Settings
from dataflows.span import Span
from detectors.model import Doubt

MANY_LATE = 0.01  # of the records
MANY_REFUSED = 0.1  # of a file's records
MANY_DOUBTED = 0.1  # of the accepted ones: ten times what the alert rule calls many
ASKS = {  # a Doubt that many share: what a feed may have wrong for all
    Doubt.POSITION_CHANGE_TOO_SMALL: "they get on less than they say: is v in m/s?",
    Doubt.POSITION_CHANGE_TOO_LARGE: "they get on farther than they say: is v in m/s, and has each vehicle an id of its own?",
    Doubt.HEADING_AGAINST_MOVEMENT: "they go another way than they say: is hdg clockwise from north, in degrees?",
    Doubt.CONSTANT_POSITION: "they drive and stay where they are: are lat and lon rounded?",
    Doubt.LONG_ACC_VALUE_TOO_LARGE: "no tyre speeds up so: is ax in m/s2?",
}


@dataclass(frozen=True)
class Played:
    """Files that were replayed."""

    formats: Mapping[Path, str]  # their names
    totals: Mapping[Path, int]  # messages
    spans: Mapping[Path, Span]
    seconds: float

    def count(self, what: str) -> int:
        """Records of all files: received, accepted, late or recognised ones."""
        return sum(self.count_of(path, what) for path in self.totals)

    def count_of(self, path: Path, what: str) -> int:
        return round(METRICS.value(f"{what}_records_total", topic=str(path)))


def summary(played: Played, out: Path, settings: Settings, context: Context) -> Iterator[str]:
    """Sentences for a person; the alerts are in `out`."""
    received, accepted, late = (played.count(what) for what in ("received", "accepted", "late"))
    total, seconds = sum(played.totals.values()), played.seconds
    yield (
        f"{total} messages in {seconds:.1f} s ({total / max(seconds, 1e-9):,.0f}/s): {received} records, "
        f"{accepted} accepted, {late} late, {received - accepted - late} refused"
    )
    for path, span in played.spans.items():
        if span.rows:
            yield f"accepted of {path}: {span}"
    if copies := round(METRICS.value("duplicate_records_total")):
        yield f"copies, which count once: {copies} of the accepted"
    if late > MANY_LATE * received:
        said = f"{100 * late // received}% came too late, and nothing is made of them: "
        said += f"window.lateness is {settings.window.lateness} ms"
        said += f" and window.max_behind {behind} ms" if (behind := settings.window.max_behind) else ""
        yield f"{said}. {_why_late(played, settings.window.lateness, context)}"
    if recognised := played.count("recognised"):
        yield f"{recognised} of the accepted carry nothing that is looked at; roadwatch decode says what they are"
    yield from _what_was_refused(played, context)
    yield from _what_is_not_believed(METRICS.by_label("implausible_reports_total", "reason"), accepted)
    for detector, count in METRICS.by_label("detector_errors_total", "detector").items():
        what = f"{detector} failed {'once' if count == 1 else f'{count} times'}, and began afresh without what it had learned"
        yield f"{what}: a defect of roadwatch, so report it with the log above"
    yield _incidents(out)
    yield from _what_is_missing(played)


def why_nothing(played: Played, max_behind: int, context: Context) -> str | None:
    """Why of one of the files no record was accepted; None if of each some were."""
    for path, name in played.formats.items():
        if played.count_of(path, "accepted"):
            continue
        if not played.totals[path]:
            return f"there is no message in {path}; see what should have written it, or leave it out"
        if late := played.count_of(path, "late"):  # the first of a file is never late by another
            what = f"nothing in {path} was accepted: {late} records are more than window.max_behind ({max_behind} ms) behind"
            return f"{what} their arrival, a limit for live feeds; replay it with --set window.max_behind=0"
        said = advice(path, name, context) or "roadwatch decode says what is wrong with it"
        return f"nothing in {path} could be read as {name}; {said}"
    return None


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())


def _why_late(played: Played, lateness: int, context: Context) -> str:
    """What to ask of the file of which most came too late, and what to do with it."""
    path = max(played.formats, key=lambda path: played.count_of(path, "late"))
    asked = "Is the file in the order of arrival"
    why = why_late(path, FORMATS[played.formats[path]], context, lateness)
    if why is None:
        return f"{asked}?"
    by = f"{why.by / 1000:,.1f} s"
    if isinstance(why, Disorder):
        return f"{asked}? Times in {path} go back by up to {by}: sort it by arrival, or raise window.lateness"
    return (
        f"{asked}, and no time in it far ahead of the others, as {spot(why.line)} of {path} is, {by} ahead of "
        f"{spot(why.behind)}, the first of {why.late} that are late by it? Leave such ones out, or give each its arrival"
    )


def _what_was_refused(played: Played, context: Context) -> Iterator[str]:
    refused = METRICS.by_label("refused_records_total", "reason")
    if not refused:
        return
    yield f"refused: {_listed(refused)}; roadwatch decode says where and why"
    if refused.get(Reason.IMPOSSIBLE_POSITION, 0) > MANY_DOUBTED * played.count("received"):
        yield "so many are nowhere on Earth: are latitude and longitude swapped?"
    for path, name in played.formats.items():
        missing = round(METRICS.value("refused_records_total", topic=str(path), reason=Reason.NO_TIME))
        if missing and not FORMATS[name].dated:
            what = f"{missing} messages of {path} do not say when they arrived, and only that tells when they were sent"
            yield f"{what}: begin each line with it, in ms since 1970"
        received, accepted, late = (played.count_of(path, what) for what in ("received", "accepted", "late"))
        lost = received - accepted - late
        if accepted and lost > MANY_REFUSED * received and (other := another_format(path, name, context)):
            yield f"{lost} of {received} records of {path} were refused as {name}, and {other}"


def _what_is_not_believed(doubted: Mapping[str, int], accepted: int) -> Iterator[str]:
    """Which of the accepted observations no detector got, and what may be wrong with the feed if there are many."""
    if not doubted:
        return
    yield f"not believed, so that no detector got them: {_listed(doubted)}"
    commonest = Doubt[next(iter(doubted)).upper()]
    if sum(doubted.values()) > MANY_DOUBTED * accepted and commonest in ASKS:
        yield ASKS[commonest]


def _what_is_missing(played: Played) -> Iterator[str]:
    """What the records do not say and the detectors would need."""
    for path, total in played.totals.items():
        silent = METRICS.value("observations_without_speed_total", topic=str(path))
        if silent > total / 2:
            what = f"{silent:,.0f} observations of {path} say no speed"
            yield f"{what}, without which hardly anything is found; see roadwatch decode"
    for path, span in played.spans.items():
        if span.undirected > span.tables["sensors"] / 2:
            what = f"most traffic sensors in {path} do not say which way they watch"
            yield f"{what}, without which no queue is found; give each its direction"
        if hours := span.hours_behind:
            yield f"all times in {path} are {hours} hours behind their arrivals: are they in the time zone that is said?"
    warn = [path for path, span in played.spans.items() if span.tables["notices"]]
    if warn and not any(span.tables["observations"] for span in played.spans.values()):
        what = f"{warn[0]} has warnings of stations that nobody sees drive, and these count as one station"
        yield f"{what}: give their positions, too (CAMs), or what two have to say is not told: docs/topics.md, Warnings"


def _incidents(out: Path) -> str:
    """One line: how many incidents of which kind, each counted under the last kind it had."""
    kinds: dict[str, str] = {}
    with out.open("rb") as lines:
        for line in lines:
            alert = json.loads(line)
            kinds[alert["incident_id"]] = alert["kind"]
    found = ", ".join(f"{count} {kind}" for kind, count in Counter(kinds.values()).most_common()) or "none"
    return f"incidents: {len(kinds)} ({found}); alerts in {out}"
