"""Every link from a page or a comment of this repository to another page leads somewhere, to the very heading that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("deploy/**/*.md")),
]
CODE = [path for folder in ("dataflows", "detectors", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
ELSEWHERE = ("http://", "https://", "mailto:")


@cache
def anchors(page: Path) -> frozenset[str]:
    """What GitHub makes of the page's headings: lower case, punctuation dropped, spaces to hyphens."""
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.+)$", prose, re.M)
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)


def links() -> Iterator[tuple[Path, str, Path, str]]:
    """Where a link stands and what it says, the file that it leads to, and the heading there."""
    for page in PAGES:
        for said in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
            if not said.startswith(ELSEWHERE):
                name, _, heading = said.partition("#")
                yield page, said, (page.parent / name).resolve() if name else page, heading
    for module in CODE:
        for said in re.findall(r"docs/\w+\.md#[\w-]+", module.read_text("utf-8")):
            name, _, heading = said.partition("#")
            yield module, said, ROOT / name, heading


def test_all_links_lead_somewhere() -> None:
    there = list(links())
    assert len(there) > 100
    broken = [
        f"{origin.relative_to(ROOT)}: {said}"
        for origin, said, target, heading in there
        if not target.exists() or (heading and heading not in anchors(target))
    ]
    assert broken == []
