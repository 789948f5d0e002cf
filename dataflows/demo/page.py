"""The worker's metrics page, read as any scraper would read it."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
PREFIX = "roadwatch_"


@dataclass(frozen=True)
class Page:
    """The samples of one page: (name without prefix, labels, value)."""

    samples: list[tuple[str, dict[str, str], float]] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> Page:
        """
        >>> Page.parse('roadwatch_late_records_total{topic="a"} 3.0').total("late_records_total", topic="a")
        3.0
        """
        found = [sample for sample in map(SAMPLE.match, text.splitlines()) if sample]
        return cls([(m[1].removeprefix(PREFIX), dict(LABEL.findall(m[2] or "")), float(m[3])) for m in found])

    def values(self, name: str, **labels: str) -> list[float]:
        """Of all series of this name that have these labels."""
        return [value for n, own, value in self.samples if n == name and labels.items() <= own.items()]

    def total(self, name: str, **labels: str) -> float:
        """Their sum, 0 of none."""
        return sum(self.values(name, **labels))

    def by(self, name: str, label: str) -> dict[str, float]:
        """Sums by the values of one label, without the zeros."""
        sums: dict[str, float] = {}
        for n, own, value in self.samples:
            if n == name and value:
                sums[own.get(label, "")] = sums.get(own.get(label, ""), 0.0) + value
        return sums


def scrape(url: str) -> Page | None:
    """The page at `url`/metrics, or None where nobody answers."""
    text = get(f"{url}/metrics")
    return None if text is None else Page.parse(text)


def get(url: str) -> str | None:
    """The body of a page that answers with success, else None."""
    try:
        with urllib.request.urlopen(url, timeout=5.0) as answer:
            body: bytes = answer.read()
    except (urllib.error.URLError, OSError):
        return None
    return body.decode()
