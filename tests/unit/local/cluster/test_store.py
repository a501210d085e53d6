"""The store: one counter, durable commits, rings for watches."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from keyless.local.cluster import Cluster, ClusterSettings
from keyless.local.cluster.store import RING_SIZE, Change, Key, Store
from keyless.local.state import State, StateTooNew


def key(name: str, namespace: str = "ns", cluster: str = "host") -> Key:
    return Key(cluster, "", "configmaps", namespace, name)


def obj(name: str, **more: object) -> dict[str, object]:
    return {"metadata": {"name": name}, **more}


@pytest.fixture
def store(database: sqlite3.Connection) -> Store:
    return Store(database)


def test_each_commit_takes_the_next_number_of_one_counter_for_all_clusters(store: Store) -> None:
    first = store.put(key("a"), obj("a"))
    second = store.put(key("a", cluster="tenant"), obj("a"))
    assert (first.rv, second.rv) == (1, 2)
    assert first.object["metadata"]["resourceVersion"] == "1"


def test_lists_are_sorted_by_namespace_and_name(store: Store) -> None:
    for namespace, name in (("b", "x"), ("a", "z"), ("a", "b"), ("a-b", "c")):
        store.put(key(name, namespace), obj(name))
    assert [(e.key.namespace, e.key.name) for e in store.list("host", "", "configmaps")] == [
        ("a", "b"),
        ("a", "z"),
        ("a-b", "c"),
        ("b", "x"),
    ]
    assert [e.key.name for e in store.list("host", "", "configmaps", "a")] == ["b", "z"]


def test_a_store_opened_again_holds_everything_that_was_answered(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    first = sqlite3.connect(path, isolation_level=None)
    store = Store(first)
    store.put(key("kept"), obj("kept", data={"a": "b"}))
    store.put(key("gone"), obj("gone"))
    store.delete(key("gone"))
    second = sqlite3.connect(path, isolation_level=None)  # the first is never closed: as after kill -9
    again = Store(second)
    assert [e.key.name for e in again.list("host", "", "configmaps")] == ["kept"]
    assert again.get(key("kept")) == store.get(key("kept"))
    assert again.resource_version == 3
    first.close()
    second.close()


async def test_a_cluster_opens_the_state_of_its_own_version_again_and_refuses_a_newer_one(
    tmp_path: Path, settings: ClusterSettings
) -> None:
    with closing(State.open(tmp_path / "state")) as state:
        opened = replace(settings, database=state.database, migrate=state.migrate)
        for _ in range(2):
            await Cluster(opened).aclose()
        state.database.execute("UPDATE part SET version = 99 WHERE name = 'cluster'")
        with pytest.raises(StateTooNew, match="part 'cluster'"):
            Cluster(opened)


def test_the_counter_never_goes_back_even_when_the_newest_object_was_deleted(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    store = Store(database)
    store.put(key("a"), obj("a"))
    store.delete(key("a"))
    database.execute("DELETE FROM cluster_log")
    assert Store(database).put(key("b"), obj("b")).rv == 3
    database.close()


def test_a_watch_can_resume_across_a_restart(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    store = Store(database)
    store.put(key("a"), obj("a"))
    store.put(key("a"), obj("a", data={}))
    store.delete(key("a"))
    changes = Store(database).since(key("a").bucket, 1)
    assert changes is not None
    assert [change.type for change in changes] == ["MODIFIED", "DELETED"]
    assert changes[1].old is not None
    database.close()


def test_changes_older_than_the_ring_are_expired(store: Store) -> None:
    for number in range(RING_SIZE + 2):
        store.put(key("a"), obj("a", n=number))
    assert store.since(key("a").bucket, 1) is None
    assert len(store.since(key("a").bucket, 2) or ()) == RING_SIZE


def test_a_compacted_store_expires_all_that_was_before(store: Store) -> None:
    store.put(key("a"), obj("a"))
    store.put(key("a"), obj("a", n=1))
    store.compact()
    assert store.since(key("a").bucket, 1) is None
    assert store.since(key("a").bucket, 2) == []


def test_subscribers_hear_a_change_only_after_it_is_stored_and_can_leave(store: Store) -> None:
    heard: list[tuple[str, bool]] = []

    def listen(change: Change) -> None:
        heard.append((change.type, store.get(change.entry.key) is not None))

    leave = store.subscribe(listen)
    store.put(key("a"), obj("a"))
    store.delete(key("a"))
    leave()
    store.put(key("a"), obj("a"))
    assert heard == [("ADDED", True), ("DELETED", False)]


def test_a_write_that_fails_on_disk_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    database = sqlite3.connect(path, isolation_level=None)
    store = Store(database)
    store.put(key("a"), obj("a"))
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages}")
    heard: list[Change] = []
    store.subscribe(heard.append)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.put(key("big"), obj("big", data="x" * 1_000_000))
    assert store.get(key("big")) is None
    assert (store.resource_version, heard) == (1, [])
    database.execute(f"PRAGMA max_page_count = {pages + 1000}")
    assert store.put(key("b"), obj("b")).rv == 2
    database.close()


def test_dropping_a_cluster_leaves_the_others(store: Store) -> None:
    store.put(key("a", cluster="tenant"), obj("a"))
    store.put(key("a"), obj("a"))
    store.drop_cluster("tenant")
    assert store.list("tenant", "", "configmaps") == []
    assert [e.key.cluster for e in store.list(None, "", "configmaps")] == ["host"]
