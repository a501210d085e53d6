"""The Space's definitions on the local Kubernetes API: what users write is accepted, what would hurt is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from keyless.api import crds
from keyless.local.cluster import Cluster, ClusterSettings

AWS = {"service": "SecretsManager", "region": "us-west-2"}
EVERY = {"labelSelectors": [{"matchLabels": {"team": "a"}}]}
SPEC = {
    "secretStoreRef": {"name": "aws", "kind": "ClusterSecretStore"},
    "refreshInterval": "1h",
    "target": {"name": "db", "creationPolicy": "Owner", "deletionPolicy": "Retain"},
    "data": [{"secretKey": "password", "remoteRef": {"key": "prod/db", "property": "password"}}],
    "dataFrom": [{"extract": {"key": "prod/api"}}],
}
VALUE = {"secretKey": "k", "remoteRef": {"key": "x"}}
ALL = {"extract": {"key": "x"}}
STORE_REF = {"storeRef": {"name": "aws"}}


def _from(**more: str) -> dict[str, Any]:
    return {**SPEC, "target": {"template": {"templateFrom": [{"literal": "a: b", **more}]}}}


SHARED_STORE = {"provider": {"aws": AWS}, "controlPlaneSelector": EVERY, "namespaceSelector": {"names": ["default"]}}
ACCEPTED = [
    ("ControlPlane", {}),
    ("ControlPlane", {"crossplane": {"autoUpgrade": {"channel": "Rapid"}, "state": "Paused"}, "class": "small"}),
    ("ControlPlane", {"hostNamespace": {"name": "team-a", "deletionPolicy": "Orphan"}}),
    ("ControlPlane", {"writeConnectionSecretToRef": {"name": "kubeconfig"}}),
    ("SharedSecretStore", SHARED_STORE),
    ("SharedExternalSecret", {"externalSecretSpec": SPEC, "controlPlaneSelector": EVERY, "namespaceSelector": EVERY}),
    ("SecretStore", {"provider": {"aws": {**AWS, "auth": {"jwt": {"serviceAccountRef": {"name": "reader"}}}}}}),
    ("SecretStore", {"provider": {"aws": AWS}, "refreshInterval": 60}),
    ("ClusterSecretStore", {"provider": {"aws": AWS}, "conditions": [{"namespaces": ["default"]}]}),
    ("ClusterSecretStore", {"provider": {"upboundspaces": {"storeRef": {"name": "aws"}}}, "refreshInterval": "5m"}),
    ("ExternalSecret", SPEC),
    ("ClusterExternalSecret", {"externalSecretSpec": SPEC, "namespaceSelectors": [{"matchLabels": {"a": "b"}}]}),
    *(("ExternalSecret", {**SPEC, "refreshInterval": text}) for text in ("0", "1h30m", "0.5s", "-1m", "1h0m0s", "2us")),
    *(("ExternalSecret", _from(target=text)) for text in ("data", "LABELS", "Annotations")),
    ("ExternalSecret", {**SPEC, "data": [VALUE, VALUE], "target": {"deletionPolicy": "Delete"}}),
    ("ExternalSecret", {**SPEC, "data": [{"secretKey": f"k{n}", "remoteRef": {"key": "x"}} for n in range(300)]}),
    ("ExternalSecret", {**SPEC, "target": {"deletionPolicy": "Merge", "creationPolicy": "Merge"}}),
    ("ExternalSecret", {"data": [{**VALUE, "sourceRef": STORE_REF}], "dataFrom": [{**ALL, "sourceRef": STORE_REF}]}),
    ("SecretStore", {"provider": {"aws": AWS}, "retrySettings": {"maxRetries": 3, "retryInterval": "2s"}}),
    ("SecretStore", {"provider": {"aws": {**AWS, "sessionTagsPolicy": "None"}}, "controller": "another"}),
]
REFUSED = [
    ("ControlPlane", {"restore": {"source": {"kind": "Backup", "name": "b"}}}, "restore is not implemented"),
    ("ControlPlane", {"crossplane": {"version": "v1.18.0"}}, "must not start with a leading 'v'"),
    ("ControlPlane", {"crossplane": {"autoUpgrade": {"channel": "None"}}}, '"version" cannot be empty'),
    ("ControlPlane", {"hostNamespace": {"name": "Team_A"}}, "spec.hostNamespace.name"),
    ("SecretStore", {"provider": {"vault": {"server": "x"}}}, "of the providers only aws is implemented"),
    ("SecretStore", {"provider": {"upboundspaces": {"storeRef": {"name": "aws"}}}}, "only aws is implemented"),
    ("SecretStore", {"provider": {}}, "spec.provider"),
    ("SecretStore", {"provider": {"aws": {**AWS, "service": "CertificateManager"}}}, "CertificateManager"),
    ("SharedSecretStore", {**SHARED_STORE, "provider": {"gcpsm": {}}}, "of the providers only aws is implemented"),
    ("SharedSecretStore", {**SHARED_STORE, "namespaceSelector": {}}, "either names or a labelSelector"),
    ("SharedSecretStore", {"provider": {"aws": AWS}, "controlPlaneSelector": EVERY}, "namespaceSelector"),
    ("ExternalSecret", {"secretStoreRef": {"name": "aws"}}, "either data or dataFrom should be specified"),
    ("ExternalSecret", {**SPEC, "target": {"manifest": {"apiVersion": "v1", "kind": "ConfigMap"}}}, "target.manifest"),
    ("ExternalSecret", {**SPEC, "data": [], "dataFrom": []}, "either data or dataFrom should be specified"),
    *(
        ("ExternalSecret", {**SPEC, "target": {"deletionPolicy": "Delete", "creationPolicy": policy}}, "doesn't own")
        for policy in ("Merge", "None", "CreateOrMerge")
    ),
    ("ExternalSecret", {**SPEC, "target": {"deletionPolicy": "Merge", "creationPolicy": "None"}}, "no Secret to merge"),
    ("ExternalSecret", {**SPEC, "data": [VALUE, VALUE]}, "duplicate secretKey found"),
    ("ExternalSecret", {**SPEC, "data": [VALUE] * 2, "target": {"deletionPolicy": "Retain"}}, "duplicate secretKey"),
    ("ExternalSecret", {**SPEC, "dataFrom": [{**ALL, "find": {}}]}, "extract and find cannot be set at the same time"),
    ("ExternalSecret", {**SPEC, "dataFrom": [{}]}, "an item of dataFrom needs extract"),
    ("ExternalSecret", {"data": [VALUE]}, "secretStoreRef.name is missing"),
    ("ExternalSecret", {"secretStoreRef": {}, "dataFrom": [ALL]}, "secretStoreRef.name is missing"),
    (
        "ExternalSecret",
        {"data": [{**VALUE, "sourceRef": STORE_REF}], "dataFrom": [ALL]},
        "secretStoreRef.name is missing",
    ),
    *(
        ("ExternalSecret", _from(target=text), "expected Data, Labels or Annotations")
        for text in ("spec.a", "", "D ata")
    ),
    ("ExternalSecret", {**SPEC, "target": {"template": {"templateFrom": [{}]}}}, "give configMap, secret or literal"),
    *(
        ("ExternalSecret", {**SPEC, "refreshInterval": text}, "expected a duration")
        for text in ("1d", "1", "", "h", "1h ", "1 h", "1h\n", "one hour", "--1h")
    ),
    *(
        ("ExternalSecret", {**SPEC, "target": {"template": {"type": type_}}}, "is a credential of the cluster")
        for type_ in ("kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token")
    ),
    ("ClusterExternalSecret", {"externalSecretSpec": {"data": [VALUE]}}, "secretStoreRef.name is missing"),
    ("ClusterExternalSecret", {"externalSecretSpec": SPEC, "refreshTime": "1d"}, "expected a duration"),
    ("SharedSecretStore", {**SHARED_STORE, "retrySettings": {"retryInterval": "soon"}}, "expected a duration"),
    ("SecretStore", {"provider": {"aws": AWS}, "refreshInterval": "1d"}, "expected seconds, or a duration"),
    ("SecretStore", {"provider": {"aws": {**AWS, "externalID": "x"}}}, "are for a role"),
    ("SecretStore", {"provider": {"aws": {**AWS, "auth": {"jwt": {}, "secretRef": {}}}}}, "jwt or secretRef, not both"),
    (
        "ExternalSecret",
        {**SPEC, "dataFrom": [{"sourceRef": {"generatorRef": {"kind": "Webhook", "name": "u"}}}]},
        "spec.dataFrom[0].sourceRef.generatorRef.kind",
    ),
]


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    database = sqlite3.connect(":memory:", isolation_level=None)
    made = Cluster(ClusterSettings(database, "https://127.0.0.1:1", "admin", "kubelet", "", lambda: datetime.now(UTC)))
    for definition in crds.all():
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        answer = await made.call("keyless", "POST", path, definition)
        assert answer.status == 201, answer.body
        assert any(each["type"] == "Established" for each in answer.body["status"]["conditions"])
    yield made
    await made.aclose()
    database.close()


def _path(kind: str, name: str = "") -> tuple[str, str]:
    (definition,) = [each for each in crds.all() if each["spec"]["names"]["kind"] == kind]
    spec = definition["spec"]
    version = f"{spec['group']}/{spec['versions'][0]['name']}"
    namespace = "/namespaces/default" if spec["scope"] == "Namespaced" else ""
    return version, f"/apis/{version}{namespace}/{spec['names']['plural']}" + (f"/{name}" if name else "")


async def _create(cluster: Cluster, kind: str, spec: dict[str, Any]) -> Any:
    version, path = _path(kind)
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": "one"}, "spec": spec}
    return await cluster.call("keyless", "POST", path, body, params={"fieldValidation": "Strict"})


@pytest.mark.parametrize(("kind", "spec"), ACCEPTED)
async def test_what_users_write_is_stored_as_they_wrote_it(cluster: Cluster, kind: str, spec: dict[str, Any]) -> None:
    answer = await _create(cluster, kind, spec)
    assert answer.status == 201, answer.body
    assert answer.body["spec"] == spec


@pytest.mark.parametrize(("kind", "spec", "said"), REFUSED)
async def test_what_would_hurt_is_refused(cluster: Cluster, kind: str, spec: dict[str, Any], said: str) -> None:
    answer = await _create(cluster, kind, spec)
    assert answer.status == 422, answer.body
    assert said in answer.body["message"]


async def test_a_long_name_is_refused(cluster: Cluster) -> None:
    version, path = _path("ControlPlane")
    body = {"apiVersion": version, "kind": "ControlPlane", "metadata": {"name": "a" * 64}, "spec": {}}
    answer = await cluster.call("keyless", "POST", path, body)
    assert answer.status == 422
    assert "cannot exceed 63 characters" in answer.body["message"]


@pytest.mark.parametrize(
    ("before", "after"),
    [({}, {"hostNamespace": {"name": "a"}}), ({"hostNamespace": {"name": "a"}}, {"hostNamespace": {"name": "b"}})],
)
async def test_a_host_namespace_is_chosen_once(cluster: Cluster, before: dict, after: dict) -> None:
    made = await _create(cluster, "ControlPlane", before)
    changed = {**made.body, "spec": after}
    answer = await cluster.call("keyless", "PUT", _path("ControlPlane", "one")[1], changed)
    assert answer.status == 422
    assert "hostNamespace is immutable after creation" in answer.body["message"]


async def test_two_writers_of_one_status_keep_their_own_conditions(cluster: Cluster) -> None:
    await _create(cluster, "ControlPlane", {})
    version, path = _path("ControlPlane", "one")
    for manager, kind in (("spaces-operator", "Ready"), ("vector", "BillingStored")):
        condition = {"type": kind, "status": "True", "reason": "R", "lastTransitionTime": "2026-11-22T12:00:00Z"}
        body = {
            "apiVersion": version,
            "kind": "ControlPlane",
            "metadata": {"name": "one"},
            "status": {"conditions": [condition]},
        }
        answer = await cluster.call(
            "keyless",
            "PATCH",
            f"{path}/status",
            body,
            content_type="application/apply-patch+yaml",
            params={"fieldManager": manager, "force": "true"},
        )
        assert answer.status == 200, answer.body
    assert [each["type"] for each in answer.body["status"]["conditions"]] == ["Ready", "BillingStored"]
