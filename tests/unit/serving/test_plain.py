import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.serving.plain import answer, body_untrusted, header_untrusted


def received(*messages):
    waiting = iter(messages)

    async def receive():
        return next(waiting)

    return receive


def part(body, more):
    return {"type": "http.request", "body": body, "more_body": more}


def run(coroutine):
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    return done.value.value


@effort(100)
@given(st.lists(st.binary(max_size=20), min_size=1, max_size=6))
def test_a_body_in_parts_is_the_whole_body(parts):
    last = len(parts) - 1
    messages = [part(each, number < last) for number, each in enumerate(parts)]
    assert run(body_untrusted(received(*messages))) == b"".join(parts)


@effort(100)
@given(st.lists(st.binary(max_size=20), max_size=6))
def test_a_client_that_goes_away_leaves_no_half_of_a_body(parts):
    messages = [*(part(each, True) for each in parts), {"type": "http.disconnect"}]
    assert run(body_untrusted(received(*messages))) == b""


def test_a_header_is_the_first_of_its_name():
    scope = {"headers": [(b"host", b"a"), (b"authorization", b"one"), (b"authorization", b"two")]}
    assert header_untrusted(scope, b"authorization") == "one"
    assert header_untrusted(scope, b"content-type") == ""


def test_an_answer_says_how_long_it_is():
    sent = []

    async def send(message):
        sent.append(message)

    run(answer(send, 200, b"{}", b"application/json"))
    assert sent[0]["status"] == 200
    assert dict(sent[0]["headers"]) == {b"content-length": b"2", b"content-type": b"application/json"}
    assert sent[1]["body"] == b"{}"
