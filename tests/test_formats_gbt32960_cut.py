"""A file that is one run of GB/T 32960 frames is cut at each, whatever lies between, and in whatever blocks it is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.formats import encode
from dataflows.formats.gbt32960_cut import cut
from dataflows.formats.gbt32960_frames import LARGEST
from tests.wire import VIN, a_reading, a_reading_of_2025

FRAMES = (a_reading(), a_reading_of_2025(), encode.gbt32960_frame(7, VIN, b""), encode.gbt32960_frame(7, VIN, b"\x09##\x03"))
LARGE = encode.gbt32960_frame(0x82, VIN, b"#" * 0xFFFF)  # the largest there is
STRAY = (b"\x00", b"#", b"##", b"$$$", b"no frame", b"\x00" * 400, FRAMES[0][:50], b"##" + b"\xff" * 30)


def cut_at(parts: list[bytes], block: int) -> list[bytes]:
    """The messages of a file that is read so; each must lie where it is said to."""
    whole = b"".join(parts)
    found = list(cut(whole[at : at + block] for at in range(0, len(whole), block)))
    assert all(whole.startswith(message, at) for at, message in found)
    return [message for _, message in found]


@given(st.lists(st.sampled_from([*FRAMES, LARGE])), st.integers(20, 1 << 20))
def test_every_frame_is_a_message(parts: list[bytes], block: int) -> None:
    assert cut_at(parts, block) == parts


@given(st.lists(st.sampled_from(FRAMES)), st.sampled_from(STRAY), st.lists(st.sampled_from(FRAMES)), st.integers(20, 1 << 20))
def test_what_is_no_frame_costs_no_frame(before: list[bytes], stray: bytes, behind: list[bytes], block: int) -> None:
    parts = [*before, stray, *behind]
    assert cut_at(parts, block) == parts


def test_a_stray_byte_that_looks_like_a_start_is_none_though_its_length_leads_to_a_frame() -> None:
    """One more # before a frame that is not encrypted: read from there the length is 256, and a frame begins just there."""
    first = FRAMES[0]
    assert first[21:23] == b"\x01\x00"
    fill = encode.gbt32960_frame(7, VIN, bytes(24 + 256 + 1 - 1 - len(first) - 25))
    parts = [b"#", first, fill, first]
    assert cut_at(parts, 20) == parts
    parts = [b"#", first, first, FRAMES[2], first]  # here the BCC fits, too: one # more and one less
    assert cut_at(parts, 20) == parts


@pytest.mark.parametrize("at", range(len(FRAMES[0])))
def test_a_damaged_byte_costs_its_own_frame_only(at: int) -> None:
    """Wherever it stands: in the start or the length, too."""
    damaged = FRAMES[0][:at] + bytes([FRAMES[0][at] ^ 0x55]) + FRAMES[0][at + 1 :]
    assert cut_at([FRAMES[1], damaged, FRAMES[1], FRAMES[2]], 1 << 20) == [FRAMES[1], damaged, FRAMES[1], FRAMES[2]]


@pytest.mark.parametrize("block", [1000, 1 << 20])
def test_no_message_is_larger_than_what_is_read(block: int) -> None:
    """However much there is that is no frame; and the next frame begins where two pieces of it would meet."""
    for size in (LARGEST - 1, LARGEST, LARGEST + 1, 3 * LARGEST):
        found = cut_at([stray := b"\x00" * size, FRAMES[0]], block)
        assert (b"".join(found[:-1]), found[-1]) == (stray, FRAMES[0])
        assert max(map(len, found)) <= LARGEST


def test_the_ends_of_lines_between_frames_are_passed_over() -> None:
    """As dead letters have them, which are written one a line."""
    assert cut_at([frame + b"\r\n" for frame in FRAMES], 1 << 20) == list(FRAMES)
