"""What a server sends is a whole answer, or none: however it is cut, and whatever stands around it."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.kube.answering import HEAD_BYTES, Answer, Broken

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: a\r\nx-one: b\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def told(*pieces: bytes, end: bool = False):
    chunks: deque[bytes] = deque()
    answer = Answer(chunks)
    for piece in pieces:
        answer.feed(piece)
    if end:
        answer.end()
    return answer, b"".join(chunks)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:stop] for start, stop in pairwise(edges)]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(0, 2000), max_size=8))
@effort(100)
def test_a_body_in_chunks_is_the_same_however_its_bytes_come(bodies, places):
    data = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(body), body) for body in bodies) + b"0\r\n\r\n"
    answer, body = told(*cut(data, places))
    assert (answer.ended, answer.keeps, body) == (True, True, b"".join(bodies))
    assert answer.head is not None
    assert (answer.head.status, answer.head.headers) == (200, {"transfer-encoding": "chunked"})


@given(st.integers(0, len(OK) - 1), st.lists(st.integers(0, 2000), max_size=4))
@effort(60)
def test_an_answer_that_was_cut_off_is_none(length, places):
    answer, _ = told(*cut(OK[:length], places))
    assert not answer.ended
    with pytest.raises(Broken, match="closed the connection in the middle"):
        answer.end()


@given(st.binary(min_size=1, max_size=60), st.lists(st.integers(0, 2000), max_size=4))
@effort(100)
def test_whatever_comes_is_an_answer_or_broken_and_never_anything_else(data, places):
    for before in (b"", b"HTTP/1.1 200 OK\r\n", CHUNKED, OK):
        answer = Answer(deque())
        try:
            for piece in cut(before + data, places):
                answer.feed(piece)
            answer.end()
        except Broken:
            continue
        assert answer.ended
        assert answer.head is not None


@pytest.mark.parametrize(
    "data",
    [
        OK + OK,
        OK + b"x",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x",
        b"<html>",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * HEAD_BYTES,
        CHUNKED + b"zz\r\n",
    ],
    ids=["another answer", "more", "another protocol", "two lengths", "no HTTP", "an endless head", "no chunk"],
)
def test_what_nobody_asked_for_is_broken(data):
    with pytest.raises(Broken):
        told(*(data[start : start + 8192] for start in range(0, len(data), 8192)))


def test_what_comes_after_an_answer_in_a_piece_of_its_own_is_broken_too():
    with pytest.raises(Broken, match="without being asked"):
        told(OK, b"x")


def test_a_word_before_the_answer_is_not_the_answer():
    answer, body = told(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n", OK)
    assert answer.head is not None
    assert (answer.head.status, answer.head.headers, body) == (200, {"content-length": "2", "x-one": "b"}, b"{}")


def test_a_body_without_a_length_ends_with_its_connection_which_is_then_used_up():
    answer, body = told(b"HTTP/1.1 200 OK\r\n\r\n", b"{", b"}", end=True)
    assert (answer.ended, answer.keeps, body) == (True, False, b"{}")


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200 OK\r\nconnection: close\r\n"])
def test_a_server_that_ends_after_it_is_not_asked_again_there(head):
    answer, body = told(head + b"content-length: 2\r\n\r\n{}")
    assert (answer.ended, answer.keeps, body) == (True, False, b"{}")


def test_an_answer_without_a_body_is_whole():
    answer, body = told(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (answer.ended, answer.keeps, body) == (True, True, b"")
