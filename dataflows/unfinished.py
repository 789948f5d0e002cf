"""What an epoch that was never completed left in the store is taken out before the engine reads it.

A worker that is killed between the rows of an epoch and its completion leaves some of these rows. The engine resumes before
them and runs the epoch anew, but only what is fed then gets a new row. Once the epoch is complete, in that life, the next one
takes the old rows for the truth: state that knows of input which is still to come, and believes that it told what never left
the process. Alerts were lost that way:
docs/decisions.md#what-an-epoch-left-that-was-never-complete-is-taken-out-first.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from dataflows.store_check import Progress, connections

log = structlog.get_logger(__name__)


def forget_unfinished(directory: Path) -> int:
    """How many rows were taken out; only whoever has the store alone may. What is asked for twice is done once.

    Raises sqlite3.Error.
    """
    with connections(directory) as files:
        resumes, forgotten = Progress.of(files).resumes, 0
        for part in files:
            with part:  # a transaction
                forgotten += part.execute("DELETE FROM snaps WHERE snap_epoch >= ?", (resumes,)).rowcount
    if forgotten:
        log.info("rows of an epoch that was never completed are forgotten", epoch=resumes, rows=forgotten)
    return forgotten
