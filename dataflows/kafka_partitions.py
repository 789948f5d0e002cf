"""Partitions that are added to a topic later: noticed while the worker runs, and read from their beginning after its restart.

The graph knows its partitions when it starts: a pane closes when all of them have passed it. So a new one needs a new start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import structlog

from dataflows.cluster import START_AGAIN
from dataflows.disk import kept
from dataflows.kafka_admin import BrokerError
from dataflows.told import ToldError
from dataflows.whole_file import write_whole

log = structlog.get_logger(__name__)

MEANT = "first"  # ends the name of the file which says what a topic's first start was to read


class PartitionsAddedError(ToldError):
    """One sentence: which partitions are not read yet, and that the next start reads them."""

    exit_code = START_AGAIN


def added(known: Mapping[str, int], there: Mapping[str, int]) -> list[str]:
    """The partitions that are there and not known, both as numbers of partitions by topic.

    >>> added({"v2x": 2, "ev": 1}, {"v2x": 4, "ev": 1, "road.alerts": 1})
    ['v2x/2', 'v2x/3']
    """
    return [f"{topic}/{number}" for topic, count in known.items() for number in range(count, there.get(topic, 0))]


class Lookout:
    """Asks the broker every so often for its partitions, on a thread of its own, until there are some that nobody reads."""

    def __init__(
        self, known: Mapping[str, int], ask: Callable[[], Mapping[str, int]], every: float, tell: Callable[[str], None]
    ) -> None:
        """`ask` gives the number of partitions by topic or raises BrokerError; `every` is seconds; `tell` hears it once."""
        self._known, self._ask, self._every, self._tell = dict(known), ask, every, tell
        self._never = threading.Event()  # nobody sets it: what waits for it sleeps

    def start(self) -> None:
        threading.Thread(target=self._watch, name="roadwatch-partitions", daemon=True).start()

    def look(self) -> bool:
        """Whether there are partitions that nobody reads; then they have been told of."""
        try:
            unread = added(self._known, self._ask())
        except BrokerError as error:  # the source says so, and asks again
            log.debug("partitions not looked for", error=str(error))
            return False
        if unread:
            self._tell(
                f"partitions that were added are not read yet ({', '.join(unread)}): the worker ends in order, "
                "and its next start reads them from their beginning"
            )
        return bool(unread)

    def _watch(self) -> None:
        while not self._never.wait(self._every):
            if self.look():
                return


class Starts:
    """Where each partition was read first: a small file each beside the recovery store, so that `latest` skips nothing later.

    Without it a partition that was added, or one that was read and never got into a snapshot, would look like a new topic.
    A file a topic says which partitions its first start was to read: if that was cut short, the others are not new ones.
    """

    def __init__(self, recovery: Path | None) -> None:
        """To be made before any process of the cluster reads. None: there is no recovery store."""
        self._folder = recovery and recovery / "starts"
        self._noted: dict[str, dict[int, int]] = {}
        self._meant: dict[str, set[int]] = {}
        for path in sorted(self._folder.iterdir()) if self._folder and self._folder.is_dir() else ():
            topic, _, number = path.name.rpartition(".")
            numbers = path.read_text("ascii", "replace").split()
            whole = all(each.isdecimal() for each in numbers)  # half a note is none
            if number == MEANT and whole:
                self._meant[topic] = {int(each) for each in numbers}
            elif number.isdecimal() and whole and len(numbers) == 1:
                self._noted.setdefault(topic, {})[int(number)] = int(numbers[0])

    def begin(self, partitions: Iterable[tuple[str, int]]) -> None:
        """These will be read now: at a topic's first start they are remembered as those that it had."""
        meant: dict[str, list[int]] = {}
        for topic, number in partitions:
            meant.setdefault(topic, []).append(number)
        for topic, numbers in meant.items():
            if topic not in self._noted and topic not in self._meant:
                self._write(f"{topic}.{MEANT}", " ".join(map(str, numbers)))

    def first(self, topic: str, partition: int) -> int | None:
        """The offset at which to begin without a snapshot; None where kafka.start decides, at a topic's first start."""
        noted = self._noted.get(topic)
        if not noted:
            return None
        if partition not in noted and partition in self._meant.get(topic, ()):
            return None
        return noted.get(partition, 0)  # added later: all of it, and what retention took of it is named as lost

    def others(self, partitions: Collection[str]) -> dict[str, tuple[str, int, int]]:
        """What was read before and is not among these names: topic, number and first offset of each, by its name."""
        return {
            name: (topic, number, first)
            for topic, noted in self._noted.items()
            for number, first in noted.items()
            if (name := f"{topic}/{number}") not in partitions
        }

    def note(self, topic: str, partition: int, offset: int) -> None:
        """Remember it, once."""
        if partition not in self._noted.get(topic, ()):
            self._write(f"{topic}.{partition}", str(offset))

    def _write(self, name: str, text: str) -> None:
        if self._folder is not None:
            with kept():
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_whole(self._folder / name, text)
