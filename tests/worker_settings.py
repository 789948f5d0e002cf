"""The settings file of a worker under test: three input topics, a key, and a store into which it writes often."""

from __future__ import annotations

from pathlib import Path

TOPICS = {"v": "v2x", "e": "ev", "s": "sensors"}  # by the first letter of a recording's name
TEXT = """
[kafka]
bootstrap_servers = "{broker}"
{kafka}
[inputs]
topics = [
    {{topic = "v2x", format = "observation", idle_after = {idle_after}}},
    {{topic = "ev", format = "gbt32960", idle_after = {idle_after}}},
    {{topic = "sensors", format = "sensor", idle_after = {idle_after}}},
]
[privacy]
key = "the key of the tests"
[recovery]
directory = "{folder}/recovery"
interval = 0.3
"""


def write(path: Path, broker: str, idle_after: float = 5.0, kafka: str = "connect_timeout = 2.0") -> Path:
    """Write it beside its recovery store; `kafka`: more lines of that section, `idle_after` in s."""
    path.write_text(TEXT.format(broker=broker, folder=path.parent, idle_after=idle_after, kafka=kafka))
    path.chmod(0o600)  # it holds a key, and the worker would say that others can read it
    return path
