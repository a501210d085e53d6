"""Whether what went by was a whole snapshot."""

from __future__ import annotations

import hashlib
import itertools

from hypothesis import given
from hypothesis import strategies as st

from keyless.backup.checking import Checker
from unit.backup.stage import database


def fed(body: bytes, cuts: list[int]) -> Checker:
    checker = Checker()
    marks = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(marks):
        checker.feed(body[start:end])
    return checker


@given(st.integers(1, 6), st.lists(st.integers(0, 4000)))
def test_a_whole_snapshot_is_one_however_it_is_cut_into_pieces(pages: int, cuts: list[int]) -> None:
    body = database(pages)
    checker = fed(body, cuts)
    assert (checker.fault, checker.size, checker.sha256) == ("", len(body), hashlib.sha256(body).hexdigest())


@given(st.integers(0, 2079), st.lists(st.integers(0, 4000)))
def test_one_that_ends_early_is_none(length: int, cuts: list[int]) -> None:
    assert fed(database(4)[:length], cuts).fault


@given(st.integers(0, 2079), st.integers(1, 255))
def test_one_with_a_byte_that_changed_is_none(at: int, by: int) -> None:
    body = bytearray(database(4))
    body[at] ^= by
    assert "another one" in fed(bytes(body), []).fault
