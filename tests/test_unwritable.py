"""Outputs that take nothing: for a moment here, for five minutes in `make torture`; and a record that is refused for good."""

from __future__ import annotations

from pathlib import Path

from tests import unwritable

SEED = 1


def test_a_record_that_is_refused_ends_the_worker_with_one_sentence(tmp_path: Path) -> None:
    assert unwritable.refuse(tmp_path, SEED).alerts


def test_a_worker_that_cannot_write_stands_still_and_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    outcome, _ = unwritable.stop(tmp_path, SEED)
    assert outcome.alerts
