"""Asks a running Prometheus every question of the dashboard and of the alert rules, and says which get no answer.

    python deploy/check_dashboard.py http://127.0.0.1:9090

Four outcomes: answered, which of a rule means that it holds now; quiet (the metrics are there and there is nothing to show,
such as refusals in clean traffic); missing (a metric that nobody serves); failed (Prometheus cannot answer). Exit 1 for
missing and failed ones.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

DASHBOARD = Path(__file__).with_name("grafana") / "dashboards" / "roadwatch.json"
NAME = re.compile(r"\b(?:roadwatch|process)_\w+|\bup\b(?=\{)")  # the metrics that an expression names


class Question(NamedTuple):
    where: str  # "panel Messages by topic" or "rule RoadwatchDown"
    expression: str
    trouble: str = ""  # what Prometheus itself says is wrong with a rule, such as a template that fails


class Answer(NamedTuple):
    question: Question
    outcome: str  # answered, quiet, missing, failed
    detail: str


class Prometheus:
    """The query API of one Prometheus; `at`: seconds since the epoch at which to ask, now if None."""

    def __init__(self, url: str, at: float | None = None) -> None:
        self._url = url.rstrip("/")
        self._at = at

    def get(self, path: str, **parameters: str) -> Any:
        """The `data` of the answer. Raises RefusedError with Prometheus' own words, and OSError if it cannot be reached."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{query}", timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise RefusedError(json.load(error).get("error", error.reason)) from error

    def series(self, expression: str) -> int:
        """How many series come back, those that are not a number left out."""
        at = {} if self._at is None else {"time": str(self._at)}
        found = self.get("query", query=expression, **at)["result"]
        return sum(each["value"][1] != "NaN" for each in found)


class RefusedError(Exception):
    """Prometheus did not take the question."""


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels that show something, those in collapsed rows too."""
    for panel in dashboard["panels"]:
        yield from (each for each in [panel, *panel.get("panels", ())] if each["type"] != "row")


def questions(dashboard: dict[str, Any], interval: str = "5m") -> list[Question]:
    """The dashboard's queries with its variables filled in: every cluster and worker, `interval` for the window of rates."""
    filled = {"$cluster": ".*", "$instance": ".*", "$__rate_interval": interval, "$__range": "1h"}
    found = []
    for panel in panels(dashboard):
        for target in panel["targets"]:
            expression = target["expr"]
            for variable, value in filled.items():
                expression = expression.replace(variable, value)
            found.append(Question(f"panel {panel['title']}", expression))
    return found


def rules(prometheus: Prometheus) -> list[Question]:
    """The alert rules that this Prometheus has loaded."""
    groups = prometheus.get("rules", type="alert")["groups"]
    return [
        Question(f"rule {rule['name']}", rule["query"], rule.get("lastError", ""))
        for group in groups
        for rule in group["rules"]
    ]


def ask(prometheus: Prometheus, question: Question) -> Answer:
    if question.trouble:
        return Answer(question, "failed", question.trouble)
    try:
        count = prometheus.series(question.expression)
        if count:
            return Answer(question, "answered", f"{count} series")
        absent = [name for name in sorted(set(NAME.findall(question.expression))) if not prometheus.series(f"count({name})")]
    except RefusedError as error:
        return Answer(question, "failed", str(error))
    if absent:
        return Answer(question, "missing", f"nobody serves {', '.join(absent)}")
    return Answer(question, "quiet", "nothing to show now")


def check(prometheus: Prometheus, interval: str = "5m", dashboard: Path = DASHBOARD) -> list[Answer]:
    """Every panel and every rule, asked once."""
    asked = questions(json.loads(dashboard.read_text("utf-8")), interval) + rules(prometheus)
    return [ask(prometheus, question) for question in asked]


def report(answers: list[Answer], may_be_missing: frozenset[str] = frozenset()) -> bool:
    """Print one line each and a summary; True if nothing is missing or failed beside metrics that may be."""
    bad = 0
    for answer in answers:
        excused = answer.outcome == "missing" and set(NAME.findall(answer.detail)) <= may_be_missing
        bad += answer.outcome in ("missing", "failed") and not excused
        print(f"{answer.outcome:9}{answer.question.where}: {answer.detail}{', as was said' if excused else ''}")
    counts = {outcome: sum(a.outcome == outcome for a in answers) for outcome in ("answered", "quiet", "missing", "failed")}
    print(f"{len(answers)} questions: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return not bad


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("url", help="where Prometheus answers")
    options.add_argument("--interval", default="5m", help="window of the dashboard's rates (5m)")
    options.add_argument("--may-be-missing", action="append", default=[], metavar="METRIC", help="no fault if absent")
    given = options.parse_args()
    try:
        answers = check(Prometheus(given.url), given.interval)
    except OSError as error:
        print(f"No Prometheus answers at {given.url} ({error}): start it, or name the right address.", file=sys.stderr)
        return 2
    return 0 if report(answers, frozenset(given.may_be_missing)) else 1


if __name__ == "__main__":
    sys.exit(main())
