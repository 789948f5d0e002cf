"""Which Kafka cluster a recovery store stands in: an offset says nothing in the topics of another one."""

from __future__ import annotations

from pathlib import Path

from dataflows.store import RecoveryError
from dataflows.whole_file import write_whole

NOTE = "kafka.cluster"  # in the recovery directory: the id of the cluster that was read


def keep_to(cluster: str, servers: str, directory: Path) -> None:
    """Remember the cluster at the first start; at the next ones raise RecoveryError if the servers belong to another.

    `cluster` is its id as the broker says it, empty where it does not: then nobody can tell.
    """
    note = directory / NOTE
    try:
        known = note.read_text("utf-8") if note.exists() else ""
        if cluster and not known:
            write_whole(note, cluster)
    except (OSError, ValueError) as error:
        raise RecoveryError(f"cannot use the recovery store in {directory}: {NOTE}: {error}; check the disk") from None
    if cluster and known and cluster != known:
        raise RecoveryError(
            f"the recovery store in {directory} stands in the topics of the Kafka cluster {known}, and the broker at {servers} "
            f"belongs to {cluster}; "
            f"name another recovery.directory, or, if the topics came over with their offsets, delete {note}"
        )
