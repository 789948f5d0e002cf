"""The end of the consumers, in bounded time: a client that is closed waits for its broker, and for one that hangs for ever.

What it waits for is the answer to the offsets that were noted for lag tools. The partitions are assigned by hand, so nobody in
the group has to be told that we go, and whoever does not come to his end in time is left to the end of the process.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

PATIENCE = 0.5  # s for all consumers of the process: a broker that answers takes some milliseconds for each


class Client(Protocol):
    def close(self) -> None: ...


class Closing:
    """One for each process."""

    def __init__(self) -> None:
        self._patience = PATIENCE  # s that are left

    def close(self, client: Client) -> None:
        """Returns when the client is closed, or patience is over. Whoever hangs is kept by a thread of its own: to forget a
        client is to wait for its broker, too, as long as for an answer (measured: 10 s each)."""
        thread = threading.Thread(target=client.close, name="roadwatch-close", daemon=True)
        thread.start()
        started = time.monotonic()
        thread.join(self._patience)
        self._patience = max(0.0, self._patience - (time.monotonic() - started))


CLOSING = Closing()
