"""The decisions alone: facts in, steps and findings out."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject
from keyless.kube.resources import DEPLOYMENTS, LOGICALCLUSTERS, NAMESPACES, SECRETS
from keyless.space import components
from keyless.space.control_planes import tenant, tokens
from keyless.space.control_planes.api import api_of
from keyless.space.control_planes.model import (
    FINALIZER,
    Claim,
    Create,
    Facts,
    Pending,
    Remove,
    Served,
    SetFinalizers,
    Tell,
)
from keyless.space.control_planes.plan import plan
from keyless.space.control_planes.tokens import Issued
from keyless.space.items import Key
from keyless.space.values import Values
from unit.space.world import BILLING, CA, NOON

ID = "0c1de7a4-0000-4000-8000-000000000000"
HOST = f"mxp-{ID}-system"
GROUP: KubeObject = {"metadata": {"name": "default", "labels": {"spaces.upbound.io/group": "true"}}}
SERVED = Served("https://127.0.0.1:1/clusters/x", CA)


def _facts(*, placed: bool = True, deleted: bool = False, **more: Any) -> Facts:
    metadata: KubeObject = {"name": "ctp1", "namespace": "default", "uid": "u", "resourceVersion": "1"}
    if placed:
        metadata["finalizers"] = [FINALIZER]
    if deleted:
        metadata["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    status = {"controlPlaneID": ID, "hostNamespace": HOST} if placed else {}
    control_plane = {"metadata": metadata, "spec": more.pop("spec", {}), "status": status}
    return Facts(control_plane, GROUP, more.pop("values", Values(billing=BILLING)), NOON, ID, **more)


def _logical(status: KubeObject, *, owner: str = ID, **metadata: Any) -> dict[Key, KubeObject]:
    labels = {"keyless.dev/control-plane-id": owner}
    live = {"metadata": {"name": HOST, "labels": labels, **metadata}, "status": status}
    return {Key(LOGICALCLUSTERS, HOST): live}


READY = [{"type": "Ready", "status": "True"}]
BUNDLE = base64.b64encode(CA.encode()).decode()


def test_nothing_is_made_before_the_finalizer_holds_the_object() -> None:
    facts = _facts(placed=False)
    assert plan(facts).steps == (SetFinalizers((FINALIZER,)),)
    held = {**facts.control_plane, "metadata": {**facts.control_plane["metadata"], "finalizers": ["a/b", FINALIZER]}}
    assert plan(replace(facts, control_plane=held)).steps == (Claim(ID, HOST),)


def test_the_finalizers_of_others_are_kept() -> None:
    facts = _facts(placed=False)
    facts.control_plane["metadata"]["finalizers"] = ["a/b"]
    assert plan(facts).steps == (SetFinalizers(("a/b", FINALIZER)),)


@pytest.mark.parametrize(
    ("status", "pending"),
    [
        ({}, True),
        ({"server": "https://x", "caBundle": BUNDLE}, True),
        ({"server": "https://x", "conditions": READY}, True),
        ({"server": "https://x", "caBundle": "no base64", "conditions": READY}, True),
        ({"caBundle": BUNDLE, "conditions": READY}, True),
        ({"server": "https://x", "caBundle": BUNDLE, "conditions": READY}, False),
        ({"server": "https://x", "caBundle": CA, "conditions": READY}, False),
    ],
)
def test_an_api_is_served_when_address_authority_and_ready_are_there(status: KubeObject, pending: bool) -> None:
    found = api_of(_facts(host=_logical(status)))
    assert found == (Pending(f"waiting for LogicalCluster {HOST} to be served") if pending else Served("https://x", CA))


def test_a_logical_cluster_of_someone_else_is_refused() -> None:
    found = api_of(_facts(host=_logical({}, owner="other")))
    assert isinstance(found, Refusal)
    assert found.reason is Reason.API_TAKEN


def test_a_logical_cluster_on_its_way_out_is_waited_for() -> None:
    found = api_of(_facts(host=_logical({}, deletionTimestamp="2026-11-22T12:00:00Z")))
    assert found == Pending(f"LogicalCluster {HOST} is being deleted")


def test_an_attached_secret_is_told_what_it_lacks() -> None:
    facts = _facts(values=Values(mode="attached"))
    facts.control_plane["metadata"]["annotations"] = {"keyless.dev/attached-secret": "mine"}
    secret = {"metadata": {"name": "mine"}, "data": {"server": base64.b64encode(b"https://x").decode(), "token": "!"}}
    found = api_of(replace(facts, host={Key(SECRETS, "mine", "default"): secret}))
    assert found == Refusal(
        Reason.ATTACHED_SECRET_MISSING, "Secret mine in namespace default has no ca.crt, token; add them"
    )


def test_an_attached_secret_must_be_named() -> None:
    found = api_of(_facts(values=Values(mode="attached")))
    assert isinstance(found, Refusal)
    assert "keyless.dev/attached-secret" in found.detail


def test_a_host_namespace_that_someone_deletes_is_waited_for_and_made_again() -> None:
    key = Key(NAMESPACES, HOST)
    labels = {"keyless.dev/control-plane-id": ID}
    going = {"metadata": {"name": HOST, "labels": labels, "deletionTimestamp": "2026-11-22T12:00:00Z"}}
    waiting = plan(_facts(host={key: going}))
    assert waiting.steps == ()
    assert waiting.again_seconds
    assert isinstance(plan(_facts()).steps[0], Create)


def test_a_deleted_control_plane_that_was_never_placed_goes_at_once() -> None:
    facts = _facts(placed=False, deleted=True)
    assert plan(facts).steps == ()
    facts.control_plane["metadata"]["finalizers"] = [FINALIZER]
    assert plan(facts).steps == (SetFinalizers(()),)


def test_what_does_not_go_in_time_is_named_and_let_go() -> None:
    long_ago = (NOON - timedelta(seconds=61)).strftime("%Y-%m-%dT%H:%M:%SZ")
    host = _logical({}, deletionTimestamp=long_ago)
    steps = plan(_facts(deleted=True, host=host)).steps
    assert isinstance(steps[0], Tell)
    assert steps[0].reason is Reason.DELETION_TIMED_OUT
    assert steps[1] == SetFinalizers(())


def test_what_belongs_to_someone_else_is_not_deleted() -> None:
    host = _logical({}, owner="other")
    assert plan(_facts(deleted=True, host=host)).steps == (SetFinalizers(()),)


def test_what_is_being_deleted_is_waited_for() -> None:
    host = _logical({}, deletionTimestamp="2026-11-22T12:00:00Z")
    planned = plan(_facts(deleted=True, host=host))
    assert planned.steps == ()
    assert "waiting for LogicalCluster" in planned.findings[0].message


def test_the_deployment_goes_before_anything_that_it_stands_on() -> None:
    place = _facts().place
    assert place is not None
    deployment = {"metadata": {"name": "vector", "namespace": HOST}}
    key = components.deployment_key("vector", place)
    account = {"metadata": {"name": "vector", "namespace": HOST}}
    host = {key: deployment, components.remains("vector", place)[-1]: account}
    assert plan(_facts(deleted=True, host=host)).steps == (Remove(key, with_dependents=True),)


def test_an_api_that_is_ready_but_not_looked_into_is_waited_for() -> None:
    labels = {"keyless.dev/control-plane-id": ID}
    host = {
        **_logical({"server": "https://x", "caBundle": BUNDLE, "conditions": READY}),
        Key(NAMESPACES, HOST): {"metadata": {"name": HOST, "labels": labels}},
    }
    assert plan(_facts(host=host)).again_seconds == 0.5


def _written(**changes: Any) -> KubeObject:
    issued = Issued("word", "uid-1", NOON, NOON + timedelta(hours=1))
    written = tokens.secret_item(Key(SECRETS, "kubeconfig-vector", HOST), SERVED, issued).object
    return {**written, **changes}


def test_a_token_is_due_at_half_its_life() -> None:
    assert tokens.due_in_seconds(_written(), SERVED, "uid-1", NOON) == 1800
    assert tokens.due_in_seconds(_written(), SERVED, "uid-1", NOON + timedelta(minutes=31)) < 0


@pytest.mark.parametrize(
    ("secret", "served", "uid"),
    [
        (None, SERVED, "uid-1"),
        (_written(), SERVED, "uid-2"),
        (_written(), Served("https://elsewhere", CA), "uid-1"),
        (_written(), Served(SERVED.server, "another authority"), "uid-1"),
        (_written(metadata={"annotations": {tokens.ISSUED: "yesterday", tokens.EXPIRES: "today"}}), SERVED, "uid-1"),
        (_written(metadata={}), SERVED, "uid-1"),
        ({**_written(), "data": {**_written()["data"], "token": ""}}, SERVED, "uid-1"),
    ],
)
def test_a_token_that_no_longer_fits_is_due_now(secret: KubeObject | None, served: Served, uid: str) -> None:
    assert tokens.due_in_seconds(secret, served, uid, NOON) == 0


def test_no_token_is_shown_in_a_representation() -> None:
    shown = repr(Issued("s3cret", "u", NOON, NOON)) + repr(Served("https://x", CA, "s3cret"))
    assert "s3cret" not in shown


def test_the_collector_may_count_kinds_that_nobody_knows_yet_and_change_none() -> None:
    role = next(each for each in tenant.identity("vector") if each.key.name == "keyless:vector").object
    assert role["rules"][-1] == {"apiGroups": ["*"], "resources": ["*"], "verbs": ["list", "watch"]}
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}


def _refused(deleted_ago: int) -> Facts:
    facts = _facts(deleted=True)
    said = {
        "type": "BillingStored",
        "status": "False",
        "reason": "AccessDenied",
        "message": "usage from A to B is not stored: no",
    }
    facts.control_plane["status"]["conditions"] = [said]
    deleted = NOON - timedelta(seconds=deleted_ago)
    facts.control_plane["metadata"]["deletionTimestamp"] = deleted.strftime("%Y-%m-%dT%H:%M:%SZ")
    deployment = {"metadata": {"name": "vector", "namespace": HOST, "uid": "d"}}
    return replace(facts, host={Key(DEPLOYMENTS, "vector", HOST): deployment})


def test_usage_that_is_refused_is_waited_for_before_its_identity_goes() -> None:
    found = plan(_refused(30))
    assert found.steps == ()
    told = next(each for each in found.findings if each.type == "UsageFlushed")
    assert (told.status, told.reason) == (False, Reason.USAGE_NOT_FLUSHED)
    assert "AccessDenied: usage from A to B is not stored: no; it is waited for until 2026-" in told.message


def test_usage_that_stays_refused_is_given_up_and_that_is_told() -> None:
    found = plan(_refused(61))
    tell, remove = found.steps
    assert isinstance(tell, Tell)
    assert tell.reason == Reason.USAGE_NOT_FLUSHED
    assert "usage from A to B is not stored" in tell.message
    assert "it was given up at" in tell.message
    assert remove == Remove(Key(DEPLOYMENTS, "vector", HOST), with_dependents=True)
    assert any(each.type == "UsageFlushed" for each in found.findings)
