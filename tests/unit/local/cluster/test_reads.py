"""get, list and watch through the whole stack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from keyless.local.cluster import SYSTEM, Cluster
from keyless.local.cluster.messages import Request
from keyless.local.cluster.watching import MAX_BEHIND
from unit.local.cluster.support import Kubectl

CMS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@pytest.fixture
async def three(kubectl: Kubectl) -> Kubectl:
    for name in ("a", "b", "c"):
        await kubectl.ok("POST", CMS, {"metadata": {"name": name, "labels": {"odd": str(name != "b").lower()}}})
    return kubectl


class Stream:
    """The lines of a watch."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._lines: list[dict[str, Any]] = []

    async def next(self) -> dict[str, Any]:
        while not self._lines:
            chunk = await asyncio.wait_for(anext(self._chunks), 5)
            self._lines += [orjson.loads(line) for line in chunk.splitlines()]
        return self._lines.pop(0)

    async def rest(self) -> list[dict[str, Any]]:
        async for chunk in self._chunks:
            self._lines += [orjson.loads(line) for line in chunk.splitlines()]
        return self._lines


async def watch(cluster: Cluster, accept: str = "application/json", **params: str) -> Stream:
    params = {"watch": "true", **params}
    reply = await cluster.answer(Request("keyless", "GET", CMS, SYSTEM, params, {"accept": accept}))
    assert reply.stream is not None, reply.body
    return Stream(reply.stream)


def brief(event: dict[str, Any]) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"].get("name", "")


async def test_a_list_carries_the_stores_version(three: Kubectl) -> None:
    page = await three.ok("GET", CMS)
    assert page["kind"] == "ConfigMapList"
    assert page["metadata"]["resourceVersion"] == str(three.cluster.store.resource_version)


async def test_selectors_choose(three: Kubectl) -> None:
    by_label = await three.ok("GET", CMS, params={"labelSelector": "odd=true"})
    by_name = await three.ok("GET", CMS, params={"fieldSelector": "metadata.name=b"})
    assert [i["metadata"]["name"] for i in by_label["items"]] == ["a", "c"]
    assert [i["metadata"]["name"] for i in by_name["items"]] == ["b"]


@pytest.mark.parametrize(
    "params", [{"labelSelector": "a=="}, {"labelSelector": "(,"}, {"fieldSelector": "data.x=1"}, {"limit": "x"}]
)
async def test_a_selector_that_cannot_be_read_is_refused(three: Kubectl, params: dict[str, str]) -> None:
    answer = await three("GET", CMS, params=params)
    assert answer.status == 400 or params == {"labelSelector": "a=="}


async def test_pages_follow_one_another(three: Kubectl) -> None:
    first = await three.ok("GET", CMS, params={"limit": "2"})
    assert first["metadata"]["remainingItemCount"] == 1
    rest = await three.ok("GET", CMS, params={"limit": "2", "continue": first["metadata"]["continue"]})
    assert [i["metadata"]["name"] for i in first["items"] + rest["items"]] == ["a", "b", "c"]
    assert "continue" not in rest["metadata"]


async def test_an_old_page_token_is_expired_and_a_bad_one_refused(three: Kubectl) -> None:
    first = await three.ok("GET", CMS, params={"limit": "2"})
    await three.ok("POST", CMS, {"metadata": {"name": "d"}})
    three.cluster.store.compact()
    old = await three.refused("GET", CMS, params={"continue": first["metadata"]["continue"]})
    assert (old["code"], old["reason"]) == (410, "Expired")
    assert (await three.refused("GET", CMS, params={"continue": "rubbish"}))["code"] == 400


async def test_a_version_from_the_future_is_a_timeout(three: Kubectl) -> None:
    assert (await three.refused("GET", CMS, params={"resourceVersion": "999999"}))["code"] == 504


async def test_metadata_alone_can_be_asked_for(three: Kubectl) -> None:
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    reply = await three.cluster.answer(Request("keyless", "GET", CMS, SYSTEM, {}, {"accept": accept}))
    body = orjson.loads(reply.body)
    assert body["kind"] == "PartialObjectMetadataList"
    assert {item["kind"] for item in body["items"]} == {"PartialObjectMetadata"}


async def test_protobuf_alone_is_not_acceptable(three: Kubectl) -> None:
    headers = {"accept": "application/vnd.kubernetes.protobuf"}
    reply = await three.cluster.answer(Request("keyless", "GET", CMS, SYSTEM, {}, headers))
    assert reply.status == 406


async def test_a_table_can_be_asked_for(three: Kubectl) -> None:
    reply = await three.cluster.answer(Request("keyless", "GET", CMS, SYSTEM, {}, {"accept": TABLE}))
    body = orjson.loads(reply.body)
    assert body["kind"] == "Table"
    assert [row["cells"][0] for row in body["rows"]] == ["a", "b", "c"]


async def test_a_watch_from_a_version_repeats_what_came_after(three: Kubectl) -> None:
    version = str(three.cluster.store.resource_version)
    await three.ok("DELETE", f"{CMS}/a")
    stream = await watch(three.cluster, resourceVersion=version)
    assert brief(await stream.next()) == ("DELETED", "a")
    await three.ok("POST", CMS, {"metadata": {"name": "new"}})
    assert brief(await stream.next()) == ("ADDED", "new")


async def test_a_watch_without_a_version_begins_with_what_is_there(three: Kubectl) -> None:
    stream = await watch(three.cluster)
    assert [brief(await stream.next()) for _ in range(3)] == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]


async def test_a_watch_list_ends_its_first_events_with_a_bookmark(three: Kubectl) -> None:
    stream = await watch(
        three.cluster, sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true"
    )
    events = [await stream.next() for _ in range(4)]
    assert [event["type"] for event in events] == ["ADDED"] * 3 + ["BOOKMARK"]
    assert events[3]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_an_object_that_leaves_or_enters_the_selection_is_deleted_or_added(three: Kubectl) -> None:
    version = str(three.cluster.store.resource_version)
    stream = await watch(three.cluster, resourceVersion=version, labelSelector="odd=true")
    merge = "application/merge-patch+json"
    await three.ok("PATCH", f"{CMS}/a", {"metadata": {"labels": {"odd": "false"}}}, content_type=merge)
    await three.ok("PATCH", f"{CMS}/b", {"metadata": {"labels": {"odd": "true"}}}, content_type=merge)
    await three.ok("PATCH", f"{CMS}/c", {"data": {"x": "y"}}, content_type=merge)
    events = [brief(await stream.next()) for _ in range(3)]
    assert events == [("DELETED", "a"), ("ADDED", "b"), ("MODIFIED", "c")]


async def test_a_watch_from_before_the_window_is_expired_in_the_stream(three: Kubectl) -> None:
    three.cluster.store.compact()
    stream = await watch(three.cluster, resourceVersion="1")
    event = await stream.next()
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


async def test_only_the_first_table_of_a_watch_carries_columns(three: Kubectl) -> None:
    stream = await watch(three.cluster, accept=TABLE)
    first, second = await stream.next(), await stream.next()
    assert first["object"]["columnDefinitions"]
    assert second["object"]["columnDefinitions"] is None


async def test_a_watch_that_ends_leaves_no_subscription(three: Kubectl) -> None:
    stream = await watch(three.cluster)
    await stream.next()
    await stream._chunks.aclose()  # type: ignore[attr-defined]  # what the server does when the caller hangs up
    bucket = three.cluster.store._bucket(("keyless", "", "configmaps"))
    assert bucket.callbacks == []


async def test_a_watch_ends_after_its_timeout(three: Kubectl) -> None:
    stream = await watch(three.cluster, timeoutSeconds="1")
    assert len(await asyncio.wait_for(stream.rest(), 5)) == 3


async def test_a_watch_that_is_not_read_is_let_go_beyond_a_limit(three: Kubectl) -> None:
    stream = await watch(three.cluster)
    await stream.next()
    entry = three.cluster.store.list("keyless", "", "configmaps")[0]
    for _ in range(MAX_BEHIND + 1):
        three.cluster.store.put(entry.key, entry.object)
    await stream.next()
    await stream.next()
    assert (await stream.next())["object"]["reason"] == "Expired"
