"""What was lately seen is what a list of it would say, however often it is packed in between, and nothing else is kept."""

from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.lately import Lately
from tests.test_formats_fuzz import tried

ROW = np.dtype([("time", "i8"), ("name", "u8")])
steps = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 40), st.sampled_from([30, 200]), st.booleans()), max_size=40)


@tried(150)
@given(steps)
def test_it_holds_what_was_taken_in_and_is_not_too_old(given: list[tuple[int, int, int, bool]]) -> None:
    lately, plain, now = Lately(ROW), list[tuple[int, int]](), 0
    for at, (later, count, lasts, packed) in enumerate(given):
        now += later
        lately.forget(now - lasts)
        plain = [row for row in plain if row[0] > now - lasts]
        new = np.array([(now, 1000 * at + k + 1) for k in range(count)], ROW)
        before = lately.rows
        said = before.tolist()
        lately.take(new)
        plain += new.tolist()
        assert before.tolist() == said, "who still holds what was there before keeps it"
        if packed:
            lately = pickle.loads(pickle.dumps(lately))
        assert lately.rows.tolist() == plain
        assert set(lately._buffer["name"].tolist()) <= {0, *(name for _, name in plain)}
