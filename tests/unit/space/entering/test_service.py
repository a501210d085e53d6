"""The loop that signs, at a host in memory: each request ends signed or refused, whenever the operator is killed."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keyless.kube import KubeObject, condition_of
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CERTIFICATESIGNINGREQUESTS, CONTROLPLANES, NAMESPACES, SECRETS
from keyless.kube.transport import Request
from keyless.space.entering.service import REVIEWS, Entering
from keyless.space.kubernetes import issuing
from keyless.space.place import Place
from unit.space.entering.requests import request

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PLACE = Place("ctp1", "default", "u", "id-1", "ctp1-host")


class Killed(Exception):
    """The operator ended here."""


class Host:
    """A host with control plane ``ctp1``, whose operator may be killed at a write."""

    def __init__(self) -> None:
        self.kube = MemoryKube(now=lambda: NOW)
        self.kube.put(NAMESPACES, {"metadata": {"name": PLACE.host_namespace}})
        status = {"controlPlaneID": PLACE.control_plane_id, "hostNamespace": PLACE.host_namespace}
        metadata = {"name": PLACE.name, "namespace": PLACE.group, "uid": PLACE.uid}
        self.plane = {"metadata": metadata, "spec": {}, "status": {**status, "api": {"mode": "kubernetes"}}}
        self.kube.put(CONTROLPLANES, self.plane)
        self.keys = issuing.keys_item(PLACE, NOW).object
        self.kube.put(SECRETS, self.keys)
        self.reviewed: list[KubeObject] = []
        self.allowed = True
        self.kube.answers["subjectaccessreviews"] = self._review
        self.loop = Entering(self.kube, now=lambda: NOW)

    def ask(self, **more: Any) -> None:
        self.kube.put(CERTIFICATESIGNINGREQUESTS, request("jane", ("team-a", "system:authenticated"), **more))

    def kill_at(self, write: int) -> None:
        left = [write]

        def hook(sent: Request) -> None:
            if sent.method == "PUT":
                left[0] -= 1
                if left[0] == 0:
                    raise Killed

        self.kube.before = hook

    def conditions(self) -> list[str]:
        return [each["type"] for each in self._status().get("conditions") or ()]

    def message(self, kind: str) -> str:
        return str((condition_of(self._status().get("conditions"), kind) or {})["message"])

    def certificate(self) -> x509.Certificate | None:
        found = self._status().get("certificate")
        return x509.load_pem_x509_certificate(base64.b64decode(found)) if found else None

    def _status(self) -> KubeObject:
        (found,) = self.kube.stored(CERTIFICATESIGNINGREQUESTS)
        return found.get("status") or {}

    def _review(self, review: KubeObject) -> KubeObject:
        self.reviewed.append(review["spec"])
        return {"status": {"allowed": self.allowed}}


@pytest.fixture
def host() -> Host:
    return Host()


async def test_a_certificate_names_who_asked_for_an_hour_by_the_control_planes_own_authority(host: Host) -> None:
    host.ask(uid="7", extra={"scopes": ["a"]})
    assert await host.loop.reconcile("r") is None
    found = host.certificate()
    assert found is not None
    names = {oid: [each.value for each in found.subject.get_attributes_for_oid(oid)] for oid in (
        NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)}  # fmt: skip
    assert names == {NameOID.COMMON_NAME: ["jane"], NameOID.ORGANIZATION_NAME: ["team-a"]}
    assert found.not_valid_after_utc == NOW + timedelta(hours=1)
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(base64.b64decode(host.keys["data"]["ca.crt"])))
    uses = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    (asked,) = host.reviewed
    assert asked == {
        "user": "jane", "uid": "7", "groups": ["team-a", "system:authenticated"], "extra": {"scopes": ["a"]},
        "resourceAttributes": {
            "verb": "create", "group": "spaces.upbound.io", "resource": "controlplanes", "subresource": "kubeconfig",
            "namespace": "default", "name": "ctp1",
        },
    }  # fmt: skip


async def test_who_may_not_is_denied_with_what_would_let_him(host: Host) -> None:
    host.ask()
    host.allowed = False
    await host.loop.reconcile("r")
    assert host.conditions() == ["Denied"]
    assert "controlplanes/kubeconfig" in host.message("Denied")
    assert host.certificate() is None


@pytest.mark.parametrize("write", [1, 2])
async def test_an_operator_that_is_killed_leaves_what_the_next_one_ends(host: Host, write: int) -> None:
    host.ask()
    host.kill_at(write)
    with pytest.raises(Killed):
        await host.loop.reconcile("r")
    host.kube.before = lambda _: None
    await Entering(host.kube, now=lambda: NOW).reconcile("r")
    assert host.conditions() == ["Approved"]
    assert host.certificate() is not None


async def test_what_a_person_approved_is_judged_all_the_same(host: Host) -> None:
    asker = request("jane", ["team-a"])
    asker["spec"]["groups"] = []
    asker["status"] = {"conditions": [{"type": "Approved", "status": "True", "reason": "x"}]}
    host.kube.put(CERTIFICATESIGNINGREQUESTS, asker)
    await host.loop.reconcile("r")
    assert host.conditions() == ["Approved", "Failed"]
    assert host.certificate() is None


async def test_what_is_answered_is_not_answered_again(host: Host) -> None:
    host.ask()
    await host.loop.reconcile("r")
    host.kube.calls.clear()
    await host.loop.reconcile("r")
    assert host.kube.calls == [f"GET {CERTIFICATESIGNINGREQUESTS.path(name='r')}"]


async def test_requests_to_other_signers_are_not_touched(host: Host) -> None:
    host.ask(signerName="kubernetes.io/kube-apiserver-client")
    await host.loop.reconcile("r")
    assert host.conditions() == []
    assert host.reviewed == []


async def test_keys_that_are_another_control_planes_sign_nothing(host: Host) -> None:
    labels = {**host.keys["metadata"]["labels"], "keyless.dev/control-plane-id": "another"}
    host.kube.put(SECRETS, {**host.keys, "metadata": {**host.keys["metadata"], "labels": labels}})
    host.ask()
    assert await host.loop.reconcile("r") is not None
    assert host.conditions() == []


async def test_a_review_that_does_not_say_yes_is_a_no(host: Host) -> None:
    host.kube.answers["subjectaccessreviews"] = lambda _: {"status": {"allowed": "true"}}
    host.ask()
    await host.loop.reconcile("r")
    assert host.conditions() == ["Denied"]


def test_the_review_is_asked_where_kubernetes_answers_it() -> None:
    assert REVIEWS == "/apis/authorization.k8s.io/v1/subjectaccessreviews"
