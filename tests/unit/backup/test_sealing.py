"""Which key is the newest that a snapshot names, and whether the keys beside it open it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.backup.sealing import Sealed, name_of, number_of
from unit.backup.stage import PLANE

OTHER = "0d7d7b4e-31a5-4d0c-8e6a-6f6d0b1c2d3e"
NAMES = ["first", f"of-{PLANE}", name_of(PLANE, 2), name_of(PLANE, 3), name_of(OTHER, 9), f"of-{OTHER}", "of-", "x.2"]


@pytest.mark.parametrize(("name", "number"), list(zip(NAMES, (1, 1, 2, 3, 0, 0, 0, 0), strict=True)))
def test_a_control_planes_own_keys_are_numbered_in_the_order_in_which_they_were_made(name: str, number: int) -> None:
    assert number_of(name, PLANE) == number


@given(
    st.lists(st.tuples(st.sampled_from((PLANE, OTHER)), st.integers(2, 999_999_999)), max_size=4),
    st.lists(st.integers(0, 2000)),
    st.binary(max_size=300),
)
def test_the_newest_is_found_however_a_snapshot_is_cut_into_pieces(
    held: list[tuple[str, int]], cuts: list[int], between: bytes
) -> None:
    body = between.join(b"\x2ak8s:enc:secretbox:v1:" + name_of(*each).encode() + b":\x00" for each in held)
    marks = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    sealed = Sealed(PLANE)
    for start, end in itertools.pairwise(marks):
        sealed.feed(body[start:end])
    newest = max((number for whose, number in held if whose == PLANE), default=0)
    assert sealed.newest == newest
    assert sealed.is_opened_by([name_of(PLANE, max(newest, 2)), "first"])
    assert newest == 0 or not sealed.is_opened_by([name_of(PLANE, newest - 1), name_of(OTHER, newest)])


@pytest.mark.parametrize("known", [["first"], [f"of-{PLANE}"], []])
def test_a_key_of_the_first_day_opens_what_names_no_newer_one(known: list[str]) -> None:
    sealed = Sealed(PLANE)
    sealed.feed(b"k8s:enc:secretbox:v1:first:" + b"k8s:enc:secretbox:v1:of-" + PLANE.encode() + b":")
    assert sealed.is_opened_by(known)
