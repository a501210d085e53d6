"""Every answer of whatever stands where an API server should: named, never fatal, and over when it is over.

One table of answers, three readers of it: a call, an informer and a controller that writes.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.api import KeylessError, Permanent, Transient
from keyless.kube import Controller, Event, Informer, keep_in_touch
from keyless.kube.contact import BEAT_SECONDS
from keyless.kube.errors import LONGEST_WAIT_SECONDS
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONFIGMAPS
from keyless.kube.untrusted import event_of, object_of, stored_of, token_of
from kube_answers import ANSWERS, Sick, status

answers = pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())


CALLS = {
    "get": lambda kube: kube.get(CONFIGMAPS, "a", "default"),
    "list": lambda kube: kube.list(CONFIGMAPS, "default"),
    "apply": lambda kube: kube.apply(CONFIGMAPS, {"metadata": {"name": "a"}}, "default", field_manager="m"),
    "patch": lambda kube: kube.patch(CONFIGMAPS, "a", {}, "default"),
    "replace": lambda kube: kube.replace(CONFIGMAPS, {"metadata": {"name": "a"}}, "default"),
    "token": lambda kube: kube.token("a", "default", audiences=(), expiration_seconds=600),
}


@answers
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_a_call_ends_in_an_object_or_in_one_of_our_failures(call, answer) -> None:
    kube = Sick()
    kube.answer = answer
    found = (await asyncio.gather(call(kube), return_exceptions=True))[0]
    if isinstance(found, Transient | Permanent):
        assert 0 < len(str(found)) < 2000
    else:
        # Only a list may be this empty: an object without a name is refused.
        assert (call, answer[0]) == (CALLS["list"], 200)
        assert found.items == []


@answers
async def test_an_informer_lives_through_it_says_so_and_recovers(answer) -> None:
    kube = Sick()
    kube.put(CONFIGMAPS, {"metadata": {"name": "old", "namespace": "default"}})
    informer = Informer(kube, CONFIGMAPS)
    task = asyncio.create_task(informer.run())
    await asyncio.wait_for(informer.synced(), 1000)
    kube.answer = answer
    kube.drop_watches()
    kube.asked = 0
    await asyncio.sleep(600)
    assert not task.done()
    assert informer.get("old", "default") is not None, "old facts rather than none"
    assert kube.asked < 120, "no storm"
    kube.answer = None
    kube.put(CONFIGMAPS, {"metadata": {"name": "new", "namespace": "default"}})
    await asyncio.sleep(LONGEST_WAIT_SECONDS + 60)
    assert informer.get("new", "default") is not None
    assert informer.trouble() == ""
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize(
    "answer",
    [answer for name, answer in ANSWERS.items() if not name.startswith(("a list", "an empty"))],
    ids=[name for name in ANSWERS if not name.startswith(("a list", "an empty"))],
)
async def test_an_informer_that_cannot_begin_says_why(answer) -> None:
    kube = Sick()
    kube.answer = answer
    informer = Informer(kube, CONFIGMAPS)
    task = asyncio.create_task(informer.run())
    await asyncio.sleep(120)
    assert not task.done()
    assert not informer.has_synced
    kube.answer = None
    await asyncio.wait_for(informer.synced(), LONGEST_WAIT_SECONDS + 60)
    task.cancel()
    await asyncio.wait({task})


@answers
async def test_a_controller_lives_through_it_and_finishes_its_work_afterwards(answer) -> None:
    kube = Sick()
    done = asyncio.Event()

    async def reconcile(name: str) -> None:
        await kube.apply(CONFIGMAPS, {"metadata": {"name": name}, "data": {"k": "v"}}, "default", field_manager="m")
        done.set()

    controller = Controller("test", reconcile, resync_seconds=60.0)
    task = asyncio.create_task(controller.run())
    kube.answer = answer
    controller.enqueue("a")
    await asyncio.sleep(600)
    assert not task.done()
    assert kube.asked < 60, "no storm"
    kube.answer = None
    await asyncio.wait_for(done.wait(), LONGEST_WAIT_SECONDS + 60)
    task.cancel()
    await asyncio.wait({task})
    assert [each["metadata"]["name"] for each in kube.stored(CONFIGMAPS)] == ["a"]


UNHEARD = ["HTTP 401 with a Status", "HTTP 401 with a page", "HTTP 503 with nothing", "HTTP 302 with a page", "a page"]


@pytest.mark.parametrize("name", [*UNHEARD, *(name for name, it in ANSWERS.items() if isinstance(it, Exception))])
async def test_a_connection_that_is_not_heard_shows_within_seconds_though_nobody_asks(name: str) -> None:
    kube = Sick()
    task = asyncio.create_task(keep_in_touch(kube))
    await asyncio.sleep(60)
    assert kube.contact.trouble == ""
    kube.answer = ANSWERS[name]
    await asyncio.sleep(2 * BEAT_SECONDS)
    assert kube.contact.trouble
    kube.answer = None
    await asyncio.sleep(2 * BEAT_SECONDS)
    assert kube.contact.trouble == ""
    task.cancel()
    await asyncio.wait({task})


async def test_a_refusal_is_an_answer_too() -> None:
    kube = Sick()
    for code in (403, 404, 409, 422, 500):
        kube.answer = (code, status(code))
        with pytest.raises(KeylessError):
            await kube.get(CONFIGMAPS, "a", "default")
        assert kube.contact.trouble == ""


async def test_a_reader_that_cannot_bear_an_object_stops_no_other() -> None:
    kube, seen = MemoryKube(), []
    informer = Informer(kube, CONFIGMAPS)

    def stumbles(event):
        raise KeyError("labels")

    informer.on_change(stumbles)
    informer.on_change(lambda event: seen.append(event.object["metadata"]["name"]))
    task = asyncio.create_task(informer.run())
    kube.put(CONFIGMAPS, {"metadata": {"name": "a", "namespace": "default"}})
    await asyncio.wait_for(informer.synced(), 1000)
    assert seen == ["a"]
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", None),
        ("-3", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("1e9", LONGEST_WAIT_SECONDS),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
    ],
)
async def test_the_wait_that_a_server_asks_for_is_kept_within_bounds(header: str, seconds: float | None) -> None:
    kube = Sick()
    kube.answer, kube.headers = (429, b""), {"retry-after": header}
    with pytest.raises(Transient) as raised:
        await kube.get(CONFIGMAPS, "a", "default")
    assert raised.value.retry_after_seconds == seconds


async def test_a_wait_until_a_time_of_day_is_understood() -> None:
    kube = Sick()
    kube.answer, kube.headers = (503, b""), {"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=90))}
    with pytest.raises(Transient) as raised:
        await kube.get(CONFIGMAPS, "a", "default")
    assert 80 < raised.value.retry_after_seconds <= 90


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        _children := (
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["type", "object", "metadata", "name", "status", "token"]), inner, max_size=4
                )
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_the_bytes_the_readers_raise_nothing_but_our_failures(body: bytes) -> None:
    for read in (object_of, stored_of, partial(event_of, CONFIGMAPS)):
        with suppress(Transient, Permanent):
            assert isinstance(read(body, "GET /x"), dict | Event)
    with suppress(Transient):
        assert token_of(object_of(body, "POST /x"), "POST /x").token
