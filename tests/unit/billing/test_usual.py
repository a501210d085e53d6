"""The quick reading of events: what it takes reads the same in the ordinary way, and the rest it leaves."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keyless.billing.ledger import usual
from keyless.billing.ledger.events import _head_untrusted, _read_untrusted
from keyless.billing.ledger.usual import usual_counts_untrusted
from unit.billing.bucket import event

PIECES = [
    b"[",
    b"]",
    b"{",
    b"}",
    b'"',
    b"\\",
    b",",
    b":",
    b" ",
    b"0",
    b".0",
    b"-",
    b"1e3",
    b"null",
    b'"tags":{}',
    b"\n",
]
PIECES += [b'},{"kind":', b',"timestamp":', b',"value":7', b'"mxp_id":"x"', b',"kind":"a"', b"\xff", "é".encode()]


def written(*events):
    return json.dumps(list(events), separators=(",", ":")).encode()


def quick(text):
    return usual_counts_untrusted(text, _head_untrusted)


def test_what_a_collector_writes_is_read_quickly():
    text = written(event(3.0), event(5), event(2.0), event(0.0, kind="Bucket"))
    assert list(quick(text).values()) == [5, 0]
    assert quick(text) == _read_untrusted("key", text)[0]


@given(
    st.lists(st.tuples(st.integers(0, 2**53), st.sampled_from(["VPC", "é", "B"])), max_size=4),
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 30), st.sampled_from(PIECES)), max_size=3),
)
@example([(1, "VPC"), (2, "VPC")], [(0, 1, b" ")])
def test_whatever_is_changed_in_it_the_quick_reading_agrees_or_declines(events, changes):
    text = written(*(event(value, kind=kind) for value, kind in events))
    for at, length, piece in changes:
        text = text[:at] + piece + text[at + length :]
    found = quick(text)
    if found is not None:
        assert _read_untrusted("key", text) == (found, True)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"[{}]",
        written(event(1.5)),
        written(event(-1.0)),
        written(event(1e16)),
        written(event(1.0) | {"more": 1}),
        written(event(1.0) | {"timestamp": None}),
        written(event(1.0) | {"timestamp": "2026-13-31T12:00:00Z"}),
        written(event(1.0, tags={"mxp_id": ""})),
        written(event(1.0, kind='"')),
        written(event(1.0, kind="K" * 1024)),
        written(event(1.0)) + b"\n",
        written(event(1.0))[:-1],
        written(event(1.0), event(2.0)).replace(b"},{", b"}, {"),
        written(event(1.0)).replace(b'{"kind"', b'{"kind":"a","kind"'),
        written(event(1.0)).replace(b'"value"', b'"value":2,"value"'),
    ],
)
def test_anything_else_is_left_to_the_ordinary_reading(text):
    assert quick(text) is None


def test_no_more_heads_are_kept_than_the_bound_allows(monkeypatch):
    monkeypatch.setattr(usual, "_HEADS", 2)
    monkeypatch.setattr(usual, "_heads", {})
    texts = [written(event(1.0, kind=kind)) for kind in "abc"]
    assert [quick(text) is not None for text in texts] == [True, True, False]
    assert len(usual._heads) == 2
