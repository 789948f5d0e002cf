"""How validation sets were made, so that anybody can make the same bytes again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.recordings import OPEN, Place

GENERATOR = OPEN.parent / "gen" / "make.py"
MADE = (("dur", "dur_s", 5400), ("pen", "penetration", 0.2))  # option, its name in meta.json, what make.py takes by default


def again(found: Sequence[Place]) -> str:
    """Markdown: the commands, and the scenarios that a person must first add to the generator."""
    entries = {str(p.meta["scenario"]): _entry(p) for p in found if not _known(str(p.meta["scenario"]))}
    parts = ["In ../shared/scenarios, with what its README asks for installed, these make the sets again under DIR:"]
    parts.append(_code(line for place in found for line in _commands(place)))
    if entries:
        parts.append("`SCEN` in gen/make.py needs these entries first:")
        parts.append(_code(f'"{name}": {entry},' for name, entry in sorted(entries.items())))
    return "\n\n".join(parts)


def _commands(place: Place) -> list[str]:
    meta = place.meta
    options = "".join(f" --{option} {meta[key]}" for option, key, usual in MADE if meta[key] != usual)
    raw = f" --raw RAW/{place.name}" if place.exported else ""
    out = f"DIR/{place.name}"
    lines = [f"python gen/make.py --scenario {meta['scenario']} --seed {meta['seed']} --out {out} --normal-full{options}{raw}"]
    if place.exported:
        lines.append(f"python gen/export.py --raw RAW/{place.name} --out {out}/events_p100.jsonl.zst --pen 1.0")
        lines.append(f"python gen/export.py --raw RAW/{place.name}/normal --out {out}/normal_events_p100.jsonl.zst --pen 1.0")
    return lines


def _known(scenario: str) -> bool:
    return GENERATOR.exists() and f'"{scenario}":' in GENERATOR.read_text("utf-8")


def _entry(place: Place) -> str:
    """The scenario's figures as the generator writes them."""
    return "dict(" + ", ".join(f"{name}={_figure(value)}" for name, value in place.meta["config"].items()) + ")"


def _figure(value: object) -> str:
    if isinstance(value, dict):
        return "dict(" + ", ".join(f"{name}={_figure(one)}" for name, one in value.items()) + ")"
    if isinstance(value, list):
        return "(" + ", ".join(_figure(one) for one in value) + ("," if len(value) == 1 else "") + ")"
    return repr(value).replace("'", '"')


def _code(lines: Iterable[str]) -> str:
    return "\n".join(["```", *lines, "```"])
