"""Which control plane holds which version, and what is wrong with it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.kube import timestamp
from keyless.shared_secrets.fleet.model import Plane
from keyless.shared_secrets.fleet.plan import fleet

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD, NEW = "old", "new"


def plane(name, *objects, group="default"):
    stores = ({"metadata": {"name": "aws", "labels": {"keyless.dev/shared-from": "aws-shared"}}},)
    spread = ({"metadata": {"name": "db", "uid": "c", "labels": {"keyless.dev/shared-from": "database"}}},)
    return Plane(name, group, tuple(objects), spread, stores)


def external(*, version=NEW, since=NOON, read=NOON, ready="True", interval="1h", kind="ClusterSecretStore", **more):
    row = {"store": "aws", "storeKind": kind, "key": "prod/db", "version": version}
    row |= {"versionTime": timestamp(since), "readTime": timestamp(read), **more}
    conditions = [{"type": "Ready", "status": ready, "reason": "SecretSynced", "message": "words"}]
    owner = {"kind": "ClusterExternalSecret", "name": "db", "uid": "c"}
    return {
        "metadata": {"name": "db", "namespace": "app", "ownerReferences": [owner]},
        "spec": {"refreshInterval": interval, "target": {"name": "creds"}},
        "status": {"refreshTime": timestamp(read), "conditions": conditions, "sources": [row]},
    }


def states(*planes, now=NOON):
    return {row.control_plane: row.state for row in fleet(planes, now)}


def test_a_row_says_where_what_and_how_fresh():
    row = fleet([plane("ctp1", external())], NOON)[0].document()
    assert row == {
        "group": "default",
        "controlPlane": "ctp1",
        "state": "Current",
        "namespace": "app",
        "externalSecret": "db",
        "sharedExternalSecret": "database",
        "secret": "creds",
        "store": "aws",
        "storeKind": "ClusterSecretStore",
        "sharedStore": "aws-shared",
        "key": "prod/db",
        "version": "new",
        "versionTime": "2026-01-01T12:00:00Z",
        "readTime": "2026-01-01T12:00:00Z",
        "nextReadTime": "2026-01-01T13:00:00Z",
        "ready": "True",
        "reason": "SecretSynced",
        "authorized": "Unknown",
    }


def test_a_control_plane_with_an_older_version_is_behind_the_one_that_turned_last():
    rows = fleet(
        [plane("ctp1", external(version=OLD, since=NOON - timedelta(hours=5))), plane("ctp2", external())], NOON
    )
    assert [(row.control_plane, row.state) for row in rows] == [("ctp1", "Behind"), ("ctp2", "Current")]
    assert rows[0].message == "ctp2 holds new since 2026-01-01T12:00:00Z"


def test_versions_of_stores_that_are_not_shared_or_of_other_groups_are_not_compared():
    older = {"version": OLD, "since": NOON - timedelta(hours=5)}
    own = external(kind="SecretStore", **older)
    assert states(plane("ctp1", own), plane("ctp2", external())) == {"ctp1": "Current", "ctp2": "Current"}
    elsewhere = plane("ctp1", external(**older), group="other")
    assert states(elsewhere, plane("ctp2", external())) == {"ctp1": "Current", "ctp2": "Current"}


@pytest.mark.parametrize(
    ("minutes", "state"), [(0, "Current"), (61, "Current"), (73, "Current"), (75, "Stale"), (600, "Stale")]
)
def test_a_read_whose_time_went_by_is_stale(minutes, state):
    assert states(plane("ctp1", external()), now=NOON + timedelta(minutes=minutes)) == {"ctp1": state}


@pytest.mark.parametrize("interval", ["0", "-1m", "9999999999h", "nonsense"])
def test_what_is_read_once_is_never_stale(interval):
    assert states(plane("ctp1", external(interval=interval)), now=NOON + timedelta(days=9)) == {"ctp1": "Current"}


def test_failures_and_planes_that_do_not_answer_are_rows_too():
    failing = external(ready="False", failure={"class": "Denied", "code": "AccessDeniedException"})
    assert states(plane("a", failing), Plane("b", "default", unreachable="no answer")) == {
        "a": "Failing",
        "b": "Unreachable",
    }
    unread = {"metadata": {"name": "db", "namespace": "app"}, "spec": {}}
    assert states(plane("a", unread)) == {"a": "NotRead"}
    assert states(plane("a", external(ready="False"))) == {"a": "NotSynced"}


@given(st.lists(st.tuples(st.sampled_from([OLD, NEW]), st.integers(0, 9)), min_size=1, max_size=6))
def test_never_are_all_behind_and_who_holds_what_the_newest_holds_is_current(held):
    planes = [
        plane(f"ctp{at}", external(version=version, since=NOON - timedelta(hours=hours)))
        for at, (version, hours) in enumerate(held)
    ]
    rows = fleet(planes, NOON)
    newest = max(rows, key=lambda row: row.version_time)
    assert {row.state for row in rows if row.version == newest.version} in ({"Current"}, {"Behind"})
    assert "Current" in {row.state for row in rows}
    assert len({row.version for row in rows if row.state == "Current"}) == 1
