"""Properties of S3's arithmetic: pages lose and repeat nothing, ranges stay inside, versions are a list."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.copying import copy_source
from keyless.local.cloud.s3.listing import page
from keyless.local.cloud.s3.ranges import copied_range, wanted_range
from keyless.local.cloud.s3.storage import Bucket, Storage, Stored
from keyless.local.cloud.s3.tags import header_tags
from keyless.local.cloud.s3.versions import NULL, Versions

KEYS = st.sets(st.text(alphabet="ab/~é", min_size=1, max_size=6), max_size=12)


def all_pages(keys: set[str], prefix: str, delimiter: str, limit: int) -> list[str]:
    """Keys and common prefixes, page after page, as a client walks them."""
    ordered = sorted(keys, key=str.encode)
    seen: list[str] = []
    after = ""

    def walk(start: str) -> Iterator[Stored]:
        return (Stored(key, 0.0, "", 0) for key in ordered if key > start and key.startswith(prefix))

    while True:
        found = page(walk, prefix=prefix, delimiter=delimiter, after=after, limit=limit)
        listed = [one.key for one in found.objects] + list(found.prefixes)
        assert len(listed) <= limit
        seen += sorted(listed, key=str.encode)
        if not found.truncated:
            return seen
        assert found.last == seen[-1]
        after = found.last


def answer(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns, or the refusal that it raises; any other error is the test's end."""
    try:
        return function(*arguments)
    except AwsError as refused:
        return refused


@settings(max_examples=60, deadline=None)
@given(KEYS, st.sampled_from(["", "a", "a/", "/"]), st.sampled_from(["", "/", "a", "/a"]), st.integers(1, 5))
def test_pages_together_are_the_listing_in_the_order_of_bytes(
    keys: set[str], prefix: str, delimiter: str, limit: int
) -> None:
    expected = set()
    for key in keys:
        if key.startswith(prefix):
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            expected.add(key if end < 0 else key[: end + len(delimiter)])
    assert all_pages(keys, prefix, delimiter, limit) == sorted(expected, key=str.encode)


@given(
    st.text(alphabet="bytes=-0123456789, ", max_size=16)
    | st.from_regex(r"bytes=[0-9]{0,4}-[0-9]{0,4}", fullmatch=True),
    st.integers(0, 50),
)
def test_a_range_lies_within_the_object_or_is_refused_or_ignored(text: str, size: int) -> None:
    found = answer(wanted_range, text, size)
    if isinstance(found, AwsError):
        assert (found.code, found.status) == ("InvalidRange", 416)
    else:
        assert found is None or 0 <= found[0] < found[1] <= size


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40), st.integers(0, 50))
def test_hostile_headers_are_read_or_refused(text: str, size: int) -> None:
    for read in (header_tags, copy_source, lambda given: copied_range(given, size)):
        found = answer(read, text)
        assert not isinstance(found, AwsError) or found.status == 400


@dataclass
class Kept:
    """A version as a plain list keeps it; ``body`` None is a delete marker."""

    version: str
    body: bytes | None


@dataclass
class Model:
    """One key: its versions, oldest first, and the bucket's setting."""

    status: str = ""
    kept: list[Kept] = field(default_factory=list)

    def add(self, version: str, body: bytes | None) -> None:
        if version == NULL:
            self.kept = [one for one in self.kept if one.version != NULL]
        self.kept.append(Kept(version, body))


class VersionsMachine(RuleBasedStateMachine):
    """Writes, deletes and settings in any order, beside a list that does the same."""

    @initialize()
    def begin(self) -> None:
        self.storage = Storage(Database(sqlite3.connect(":memory:", isolation_level=None)))
        self.storage.add_bucket(Bucket("b", 0.0, "us-west-2"))
        self.versions = Versions(self.storage)
        self.model = Model()
        self.count = 0

    @property
    def bucket(self) -> Bucket:
        found = self.storage.bucket("b")
        assert found is not None
        return found

    @rule(status=st.sampled_from(["Enabled", "Suspended"]))
    def set_versioning(self, status: str) -> None:
        self.storage.set_versioning("b", status)
        self.model.status = status

    @rule()
    def put(self) -> None:
        self.count += 1
        body = str(self.count).encode()
        made = self.versions.put(self.bucket, Stored("k", float(self.count), "", len(body)), body)
        assert bool(made) == bool(self.model.status)
        self.model.add(made or NULL, body)

    @rule()
    def delete(self) -> None:
        removed = self.versions.delete(self.bucket, "k", 0.0)
        if not self.model.status:
            self.model.kept.clear()
            assert not removed.marker
        else:
            assert removed.marker
            self.model.add(removed.version, None)

    @rule(which=st.integers(0, 20))
    def delete_version(self, which: int) -> None:
        if not self.model.kept:
            assert not self.versions.delete_version("b", "k", "x" * 32).marker
            return
        gone = self.model.kept.pop(which % len(self.model.kept))
        assert self.versions.delete_version("b", "k", gone.version).marker == (gone.body is None)

    @invariant()
    def every_version_is_listed_newest_first(self) -> None:
        listed = list(self.versions.walk("b", "", ""))
        assert [(one.stored.version, one.marker) for one in listed] == [
            (one.version, one.body is None) for one in reversed(self.model.kept)
        ]
        assert [one.latest for one in listed] == [True, *[False] * (len(listed) - 1)][: len(listed)]

    @invariant()
    def every_version_can_be_read(self) -> None:
        for one in self.model.kept:
            found = self.versions.find("b", "k", one.version)
            assert found is not None
            stored, marker = found
            assert marker == (one.body is None)
            if one.body is not None:
                assert self.versions.body("b", stored) == one.body

    @invariant()
    def the_newest_is_the_object(self) -> None:
        current = self.storage.object("b", "k")
        newest = self.model.kept[-1] if self.model.kept else None
        if newest is None or newest.body is None:
            assert current is None
            assert self.versions.newest_marker("b", "k") == (newest.version if newest else "")
        else:
            assert current is not None
            assert current.version == newest.version


VersionsMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestVersions = VersionsMachine.TestCase


def test_what_is_folded_away_is_not_read() -> None:
    read: list[str] = []

    def walk(start: str) -> Iterator[Stored]:
        for key in (f"{folder}/{number:04}" for folder in "abc" for number in range(1000)):
            if key > start:
                read.append(key)
                yield Stored(key, 0.0, "", 0)

    assert page(walk, prefix="", delimiter="/", after="", limit=1000).prefixes == ("a/", "b/", "c/")
    assert len(read) < 10
