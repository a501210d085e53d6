"""Every field of the definitions is honoured, or refused by name: what a user wrote is never left out in silence.

``peer_fields.json`` lists what External Secrets (2.9) and Upbound (1.17) know, other providers than AWS aside: a real
API server drops what a schema does not have, so what they have, ours has.
"""

from __future__ import annotations

import copy
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from keyless.api import crds
from keyless.kube.selectors import matches
from keyless.local.cluster import Cluster, ClusterSettings
from keyless.shared_secrets.projection.plan import EXTERNAL_SECRETS, STORES, project
from keyless.shared_secrets.push.model import push_of
from keyless.shared_secrets.stores.controller import requeue_seconds
from keyless.shared_secrets.stores.model import is_ours, provider_of, retries_of
from keyless.shared_secrets.stores.plan import allows_namespace
from keyless.shared_secrets.sync.cluster_plan import spread
from keyless.shared_secrets.sync.generating import provider_for
from keyless.shared_secrets.sync.generators import password_of
from keyless.shared_secrets.sync.model import wanted_of
from keyless.space.capacity.plan import Kept, status_of
from keyless.space.workload_identity.model import spec_of

Json = dict[str, Any]
PEERS: dict[str, list[str]] = json.loads((Path(__file__).parent / "peer_fields.json").read_text(encoding="utf-8"))
KINDS = {definition["spec"]["names"]["kind"]: definition for definition in crds.all()}
AWS: Json = {"service": "SecretsManager", "region": "us-west-2"}
SELECTOR: Json = {"matchLabels": {"a": "b"}}
EXPRESSION: Json = {"key": "k", "operator": "In", "values": ["v"]}

EXTERNAL: Json = {
    "secretStoreRef": {"name": "a", "kind": "SecretStore"},
    "target": {
        "name": "t",
        "template": {
            "metadata": {"labels": {}},
            "templateFrom": [
                {
                    "configMap": {"name": "c", "items": [{"key": "k"}]},
                    "secret": {"name": "s", "items": [{"key": "k"}]},
                }
            ],
        },
    },
    "data": [
        {"secretKey": "k", "remoteRef": {"key": "x"}, "sourceRef": {"storeRef": {"name": "b"}}},
        {"secretKey": "l", "remoteRef": {"key": "y"}},
    ],
    "dataFrom": [{"extract": {"key": "z"}, "sourceRef": {"storeRef": {"name": "c"}}, "rewrite": []}],
}
STORE: Json = {"provider": {"aws": {**AWS, "role": "arn:aws:iam::1:role/r"}}}
JWT: Json = {"jwt": {"serviceAccountRef": {"name": "sa"}}}
REF: Json = {"name": "n", "key": "k"}
KEYS: Json = {"accessKeyIDSecretRef": REF, "secretAccessKeySecretRef": REF, "sessionTokenSecretRef": REF}
CLUSTER_EXTERNAL: Json = {"externalSecretSpec": EXTERNAL, "namespaceSelectors": [SELECTOR]}
SHARED: Json = {"controlPlaneSelector": {"names": ["ctp1"]}, "namespaceSelector": {"names": ["app"]}}
SHARED_STORE: Json = {**SHARED, **STORE}
SHARED_EXTERNAL: Json = {**SHARED, "externalSecretSpec": EXTERNAL}

# What reaches the decision: the value that changes it.
EXTERNAL_HONOURED: Json = {
    "secretStoreRef.name": "other",
    "secretStoreRef.kind": "ClusterSecretStore",
    "refreshPolicy": "OnChange",
    "refreshInterval": "5m",
    "target.name": "other",
    "target.creationPolicy": "Orphan",
    "target.deletionPolicy": "Merge",
    "target.immutable": True,
    "target.template.type": "kubernetes.io/tls",
    "target.template.mergePolicy": "Merge",
    "target.template.metadata.labels": {"a": "b"},
    "target.template.metadata.annotations": {"a": "b"},
    "target.template.data": {"k": "v"},
    "target.template.templateFrom[].configMap.name": "other",
    "target.template.templateFrom[].configMap.items[].key": "other",
    "target.template.templateFrom[].configMap.items[].templateAs": "KeysAndValues",
    "target.template.templateFrom[].secret.name": "other",
    "target.template.templateFrom[].secret.items[].key": "other",
    "target.template.templateFrom[].secret.items[].templateAs": "KeysAndValues",
    "target.template.templateFrom[].literal": "a: b",
    "target.template.templateFrom[].target": "Labels",
    "target.template.templateFrom[].valuesDecodingStrategy": "Base64",
    "data[].secretKey": "other",
    "dataFrom[].find.path": "b",
    "dataFrom[].find.name.regexp": "b",
    "dataFrom[].find.tags": {"a": "c"},
    "dataFrom[].find.conversionStrategy": "Unicode",
    "dataFrom[].find.decodingStrategy": "Base64",
    "dataFrom[].find.nullBytePolicy": "Fail",
    "dataFrom[].rewrite[].regexp.source": "b",
    "dataFrom[].rewrite[].regexp.target": "b",
    "dataFrom[].rewrite[].transform.template": "b",
    "dataFrom[].rewrite[].merge.strategy": "JSON",
    "dataFrom[].rewrite[].merge.into": "b",
    "dataFrom[].rewrite[].merge.conflictPolicy": "Ignore",
    "dataFrom[].rewrite[].merge.priority": ["b"],
    "dataFrom[].rewrite[].merge.priorityPolicy": "IgnoreNotFound",
    "dataFrom[].sourceRef.generatorRef.kind": "UUID",
    "dataFrom[].sourceRef.generatorRef.name": "other",
    "syncWindows.kind": "deny",
    "syncWindows.windows[].schedule": "0 5 * * *",
    "syncWindows.windows[].duration": "2h",
    **{
        f"{at}.{name}": value
        for at in ("data[].remoteRef", "dataFrom[].extract")
        for name, value in {
            "key": "other",
            "property": "p",
            "version": "v",
            "conversionStrategy": "Unicode",
            "decodingStrategy": "Auto",
            "metadataPolicy": "Fetch",
            "nullBytePolicy": "Fail",
        }.items()
    },
    **{f"{at}[].sourceRef.storeRef.name": "other" for at in ("data", "dataFrom")},
    **{f"{at}[].sourceRef.storeRef.kind": "ClusterSecretStore" for at in ("data", "dataFrom")},
}
BASES: Json = {
    "dataFrom[].rewrite[].regexp": {"regexp": {"source": "a", "target": "a"}},
    "dataFrom[].rewrite[].transform": {"transform": {"template": "a"}},
}
WINDOW: Json = {"kind": "allow", "windows": [{"schedule": "0 4 * * *", "duration": "1h"}]}
PROVIDER_HONOURED: Json = {
    "provider.aws.service": "ParameterStore",
    "provider.aws.region": "eu-west-1",
    "provider.aws.role": "arn:aws:iam::1:role/x",
    "provider.aws.additionalRoles": ["arn:aws:iam::1:role/x"],
    "provider.aws.externalID": "x",
    "provider.aws.sessionTags[].key": "other",
    "provider.aws.sessionTags[].value": "other",
    "provider.aws.transitiveTagKeys": ["x"],
    "provider.aws.prefix": "x/",
    "provider.aws.secretsManager.forceDeleteWithoutRecovery": True,
    "provider.aws.secretsManager.recoveryWindowInDays": 9,
    "provider.aws.auth.jwt.serviceAccountRef.name": "other",
    "provider.aws.auth.jwt.serviceAccountRef.namespace": "other",
    "provider.aws.auth.jwt.serviceAccountRef.audiences": ["x"],
    **{f"provider.aws.auth.secretRef.{ref}.{part}": "other" for ref in KEYS for part in ("name", "key", "namespace")},
}
EXPRESSIONS: Json = {
    "matchLabels": {"a": "c"},
    "matchExpressions[].key": "other",
    "matchExpressions[].operator": "NotIn",
    "matchExpressions[].values": ["other"],
}
STORE_HONOURED: Json = {
    **PROVIDER_HONOURED,
    "controller": "other",
    "refreshInterval": "7m",
    "retrySettings.maxRetries": 3,
    "retrySettings.retryInterval": "2s",
    "conditions[].namespaces": ["app"],
    "conditions[].namespaceRegexes": ["^app$"],
    **{f"conditions[].namespaceSelector.{path}": value for path, value in EXPRESSIONS.items()},
}
SELECTORS: Json = {
    f"{selector}.{path}": value
    for selector, named in (("controlPlaneSelector", "other"), ("namespaceSelector", "other"))
    for path, value in {
        "names": [named],
        **{f"labelSelectors[].{path}": value for path, value in EXPRESSIONS.items()},
    }.items()
}
PUSH: Json = {
    "secretStoreRefs": [{"name": "a"}],
    "selector": {"secret": {"name": "s"}},
    "data": [{"match": {"secretKey": "k", "remoteRef": {"remoteKey": "r"}}}],
    "template": EXTERNAL["target"]["template"],
}
PUSH_HONOURED: Json = {
    "refreshInterval": "5m",
    "secretStoreRefs[].name": "other",
    "secretStoreRefs[].kind": "ClusterSecretStore",
    "updatePolicy": "IfNotExists",
    "deletionPolicy": "Delete",
    "selector.secret.name": "other",
    "data[].match.secretKey": "other",
    "data[].match.remoteRef.remoteKey": "other",
    "data[].match.remoteRef.property": "p",
    "data[].conversionStrategy": "ReverseUnicode",
    **{f"secretStoreRefs[].labelSelector.{path}": value for path, value in EXPRESSIONS.items()},
    **{f"selector.secret.selector.{path}": value for path, value in EXPRESSIONS.items()},
    **{
        path.removeprefix("target."): value
        for path, value in EXTERNAL_HONOURED.items()
        if path.startswith("target.template.")
    },
}
PUSH_REFUSED: dict[str, tuple[object, str]] = {
    "dataTo": ([{}], "dataTo is not implemented"),
    "selector": ({"generatorRef": {"kind": "UUID", "name": "u"}}, "generatorRef is not implemented"),
    "template.metadata.finalizers": (["a/b"], "finalizers is not implemented"),
}
GENERATORS_HONOURED: Json = {
    "Password": {
        "length": 30,
        "digits": 3,
        "symbols": 3,
        "symbolCharacters": "!",
        "noUpper": True,
        "allowRepeat": True,
        "encoding": "hex",
        "secretKeys": ["other"],
    },
    "ECRAuthorizationToken": {
        "region": "eu-west-1",
        "role": "arn:aws:iam::1:role/x",
        "scope": "public",
        **{
            path.removeprefix("provider.aws."): value
            for path, value in PROVIDER_HONOURED.items()
            if path.startswith("provider.aws.auth")
        },
    },
}
HONOURED: dict[str, Json] = {
    "PushSecret": PUSH_HONOURED,
    **GENERATORS_HONOURED,
    "ExternalSecret": EXTERNAL_HONOURED,
    "SecretStore": STORE_HONOURED,
    "ClusterSecretStore": {**STORE_HONOURED, "provider.upboundspaces.storeRef.name": "other"},
    "ClusterExternalSecret": {
        "externalSecretName": "other",
        "externalSecretMetadata.labels": {"a": "b"},
        "externalSecretMetadata.annotations": {"a": "b"},
        "namespaces": ["late"],
        **{f"namespaceSelector.{path}": value for path, value in EXPRESSIONS.items()},
        **{f"namespaceSelectors[].{path}": value for path, value in EXPRESSIONS.items()},
    },
    "SharedSecretStore": {
        **SELECTORS,
        "secretStoreName": "other",
        "secretStoreMetadata.labels": {"a": "b"},
        "secretStoreMetadata.annotations": {"a": "b"},
        "refreshInterval": 7,
        "retrySettings.maxRetries": 3,
        "retrySettings.retryInterval": "2s",
    },
    "SharedExternalSecret": {
        **SELECTORS,
        "externalSecretName": "other",
        "externalSecretMetadata.labels": {"a": "b"},
        "externalSecretMetadata.annotations": {"a": "b"},
        "refreshTime": "5m",
    },
    "WorkloadIdentity": {
        "component": "shared-secrets",
        "mode": "pod-identity",
        "manage": True,
        "restart": "Automatic",
        "roleName": "other",
        "clusterName": "other",
        "secretPrefix": "other",
        "kmsKeyArn": "arn:aws:kms:us-west-2:111122223333:key/k",
        "permissionsBoundary": "arn:aws:iam::111122223333:policy/b",
        "trustPolicyQuota": 8192,
    },
    "SpaceLicense": {"secretRef.name": "other", "secretRef.namespace": "other"},
}

# What an API server refuses, with the words that say so.
EXTERNAL_REFUSED: dict[str, tuple[object, str]] = {
    "target.manifest": ({"apiVersion": "v1", "kind": "ConfigMap"}, "target.manifest is not implemented"),
    "target.template.metadata.finalizers": (["a/b"], "finalizers is not implemented"),
    "data[].sourceRef": ({"generatorRef": {"kind": "UUID", "name": "u"}}, "a generator makes several keys"),
    "dataFrom[].sourceRef": ({"generatorRef": {"kind": "Webhook", "name": "u"}}, "generatorRef.kind"),
    "dataFrom[].find": ({"name": {"regexp": ".*"}}, "extract and find cannot be set at the same time"),
}
# Refused with all that is below it, or below a part of it that the table above does not honour.
EXTERNAL_REFUSED_BELOW = (
    "target.manifest",
    "target.template.metadata.finalizers",
    "data[].sourceRef.generatorRef",
)
PROVIDER_REFUSED: dict[str, tuple[object, str]] = {
    "provider.aws.sessionTagsPolicy": ("Simple", "sessionTagsPolicy is not implemented"),
    "provider.aws.customSessionTags": ({"a": "b"}, "customSessionTags is not implemented"),
}
REFUSED: dict[str, dict[str, tuple[object, str]]] = {
    "ExternalSecret": EXTERNAL_REFUSED,
    "SecretStore": PROVIDER_REFUSED,
    "ClusterSecretStore": PROVIDER_REFUSED,
    "SharedSecretStore": PROVIDER_REFUSED,
    "ClusterExternalSecret": {f"externalSecretSpec.{path}": said for path, said in EXTERNAL_REFUSED.items()},
    "SharedExternalSecret": {f"externalSecretSpec.{path}": said for path, said in EXTERNAL_REFUSED.items()},
    "PushSecret": PUSH_REFUSED,
    **{kind: {} for kind in ("Password", "UUID", "ECRAuthorizationToken")},
    "WorkloadIdentity": {},
    "SpaceLicense": {},
    "ControlPlane": {"restore": ({"source": {"kind": "Backup", "name": "b"}}, "restore is not implemented")},
}

# What changes nothing, and why that loses nothing.
WITHOUT_EFFECT: dict[str, str] = {
    "ExternalSecret target.template.engineVersion": "v2 is the one engine",
    "PushSecret template.engineVersion": "v2 is the one engine",
    "ExternalSecret dataFrom[].sourceRef.generatorRef.apiVersion": "there is one version of each generator",
    "ClusterExternalSecret refreshTime": "namespaces are watched: a new one is found at once",
    "SharedSecretStore provider": "stays in the Space; tried with its reader in unit/shared_secrets/stores",
    "SpaceLicense secretRef.key": "the file is not read, for its format is not published; a condition says so",
    "ControlPlane class": "no Crossplane is installed, and a condition says so",
    "ControlPlane crossplane": "no Crossplane is installed, and a condition says so",
    "ControlPlane hostNamespace": "read by the operator: unit/space",
    "ControlPlane writeConnectionSecretToRef": "read by the operator: unit/space",
    "PushSecret data[].metadata": "its fields are those of a resource of its own: unit/shared_secrets/push",
}
CONTAINED = {"ClusterExternalSecret": "externalSecretSpec", "SharedExternalSecret": "externalSecretSpec"}
SPECS: dict[str, Json] = {
    "ExternalSecret": EXTERNAL,
    "SecretStore": STORE,
    "ClusterSecretStore": STORE,
    "ClusterExternalSecret": CLUSTER_EXTERNAL,
    "SharedSecretStore": SHARED_STORE,
    "SharedExternalSecret": SHARED_EXTERNAL,
    "ControlPlane": {},
    "WorkloadIdentity": {"component": "billing", "clusterName": "prod", "secretPrefix": "team-"},
    "SpaceLicense": {"secretRef": {"name": "space-license", "namespace": "upbound-system"}},
    "PushSecret": PUSH,
    "Password": {"length": 20, "symbols": 1},
    "UUID": {},
    "ECRAuthorizationToken": {"region": "us-west-2"},
}


def _spec_schema(kind: str) -> Json:
    schema: Json = KINDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def _fields(schema: Json, path: str = "") -> Iterator[tuple[str, bool]]:
    """Each field, and whether it has fields of its own."""
    for name, child in schema.get("properties", {}).items():
        inner = child
        at = path + name
        while isinstance(inner.get("items"), dict):
            inner, at = inner["items"], f"{at}[]"
        yield (path + name, "properties" in inner)
        yield from _fields(inner, f"{at}.")


def _leaves(kind: str) -> list[str]:
    contained = CONTAINED.get(kind, "-")
    return [path for path, whole in _fields(_spec_schema(kind)) if not whole and not path.startswith(f"{contained}.")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_honoured_or_refused_or_has_a_reason(kind: str) -> None:
    refused = [*REFUSED[kind], *(EXTERNAL_REFUSED_BELOW if kind == "ExternalSecret" else ())]
    if kind == "PushSecret":
        refused = ["dataTo", "selector.generatorRef", "template.metadata.finalizers"]
    given = {path.removeprefix(f"{kind} ") for path in WITHOUT_EFFECT if path.startswith(f"{kind} ")}
    known = {*HONOURED.get(kind, {})}

    def told(path: str) -> bool:
        below = [other for other in (*refused, *given) if path == other or path.startswith((f"{other}.", f"{other}["))]
        return path in known or bool(below)

    assert not [path for path in _leaves(kind) if not told(path)]
    assert not [path for path in known if path not in _leaves(kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_the_peers_is_ours(kind: str) -> None:
    ours = {path for path, _ in _fields(_spec_schema(kind))}
    # restore is refused as a whole; what is in it need not be read.
    assert not [path for path in PEERS.get(kind, []) if path not in ours and not path.startswith("restore.")]


def _with(spec: Json, path: str, value: object) -> Json:
    """The spec with one field set; where the path meets a list, its first item."""
    made = copy.deepcopy(spec)
    node: Any = made
    parts = re.sub(r"\[]", ".[]", path).split(".")
    for part, after in zip(parts, [*parts[1:], ""], strict=True):
        if part == "[]":
            if not node:
                node.append({})
            if not after:
                node[0] = value
            node = node[0]
        elif not after:
            node[part] = value
        else:
            node = node.setdefault(part, [] if after == "[]" else {})
    return made


def _base(kind: str, path: str) -> Json:
    """A spec in which the field can make a difference."""
    spec = copy.deepcopy(SPECS[kind])
    for prefix, rewrite in BASES.items():
        if path.startswith(prefix):
            spec["dataFrom"][0]["rewrite"] = [rewrite]
    if path.startswith("secretStoreRefs[].labelSelector"):
        spec["secretStoreRefs"] = [{"labelSelector": {"matchLabels": {}}}]
    if path.startswith("selector.secret.selector"):
        spec["selector"]["secret"] = {"selector": {"matchLabels": {}}}
    if path.startswith("syncWindows"):
        spec["syncWindows"] = copy.deepcopy(WINDOW)
    if "generatorRef" in path:
        spec["dataFrom"] = [{"sourceRef": {"generatorRef": {"kind": "Password", "name": "p"}}}]
    if "dataFrom[].find" in path:
        where = spec if path.startswith("dataFrom") else spec["externalSecretSpec"]
        where["dataFrom"] = [{"find": {"name": {"regexp": "a"}}}]
    if path.startswith("auth"):
        spec["auth"] = {"secretRef": KEYS} if "secretRef" in path else JWT
    if path.startswith("provider.aws.auth"):
        spec["provider"]["aws"]["auth"] = {"secretRef": KEYS} if "secretRef" in path else JWT
    if path.startswith("provider.aws.sessionTags"):
        spec["provider"]["aws"]["sessionTags"] = [{"key": "a", "value": "b"}]
    if path.startswith("provider.upboundspaces"):
        spec["provider"] = {"upboundspaces": {"storeRef": {"name": "a"}}}
    if "matchExpressions" in path:
        spec = _with(spec, f"{path.partition('matchExpressions')[0]}matchExpressions", [EXPRESSION])
    if path.startswith("conditions") and "matchExpressions" not in path:
        spec["conditions"] = [{"namespaces": ["none"]}]
    return spec


def _decided(kind: str, spec: Json) -> object:
    """What the pure core makes of an object."""
    metadata = {"name": "one", "namespace": "app", "uid": "u", "generation": 1}
    obj = {"metadata": metadata, "spec": spec}
    if kind == "ExternalSecret":
        return wanted_of(obj)
    if kind in {"SecretStore", "ClusterSecretStore"}:
        labels = [{"k": "v"}, {"other": "v"}, {"k": "other"}, {"a": "c"}, {}]
        allowed = [allows_namespace(spec, name, each) for each in labels for name in ("app", "none", "late")]
        return provider_of(spec), retries_of(spec), is_ours(spec), requeue_seconds(spec), allowed
    if kind == "ClusterExternalSecret":
        chosen = [{"a": "b", **more} for more in ({"k": "v"}, {"other": "v"}, {"k": "other"}, {})]
        labels = [*chosen, {"k": "v"}, {"other": "v"}, {"k": "other"}, {"a": "c"}, {}]
        names = [{"metadata": {"name": f"n{i}", "labels": each}} for i, each in enumerate(labels)]
        return spread(obj, [*names, {"metadata": {"name": "late"}}], ())
    if kind == "PushSecret":
        chosen: list[Json] = [{"k": "v"}, {"other": "v"}, {"k": "other"}, {"a": "c"}, {}]
        made = push_of(obj)
        selectors = (made.secret_selector, made.stores[0].selector)
        selected = [matches(dict(one), labels) for one in selectors if one is not None for labels in chosen]
        return replace(made, secret_selector=None), selected
    if kind in {"Password", "UUID"}:
        return password_of(spec)
    if kind == "WorkloadIdentity":
        return spec_of(obj)
    if kind == "SpaceLicense":
        return status_of(obj, None, Kept(""), (), datetime(2026, 10, 1, tzinfo=UTC))
    if kind == "ECRAuthorizationToken":
        return provider_for(spec)
    which = STORES if kind == "SharedSecretStore" else EXTERNAL_SECRETS
    planes = [{"k": "v"}, {"other": "v"}, {"k": "other"}, {"a": "c"}, {}]
    return [project(which, "one", obj, {"metadata": {"name": "ctp1", "labels": each}}, ()) for each in planes]


CASES = [(kind, path) for kind, fields in HONOURED.items() for path in fields]


@pytest.mark.parametrize(("kind", "path"), CASES)
def test_a_field_that_is_honoured_changes_what_is_decided(kind: str, path: str) -> None:
    base = _base(kind, path)
    assert _decided(kind, _with(base, path, HONOURED[kind][path])) != _decided(kind, base)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    database = sqlite3.connect(":memory:", isolation_level=None)
    made = Cluster(ClusterSettings(database, "https://127.0.0.1:1", "admin", "kubelet", "", lambda: datetime.now(UTC)))
    yield made
    await made.aclose()
    database.close()


async def _create(cluster: Cluster, kind: str, spec: Json) -> Any:
    definition = KINDS[kind]["spec"]
    version = f"{definition['group']}/{definition['versions'][0]['name']}"
    namespace = "/namespaces/default" if definition["scope"] == "Namespaced" else ""
    body = {"apiVersion": version, "kind": kind, "metadata": {"generateName": "one-"}, "spec": spec}
    path = f"/apis/{version}{namespace}/{definition['names']['plural']}"
    return await cluster.call("keyless", "POST", path, body, params={"fieldValidation": "Strict"})


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_not_honoured_is_refused_by_name_and_the_rest_is_taken(cluster: Cluster, kind: str) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    answer = await cluster.call("keyless", "POST", path, crds.load(KINDS[kind]["metadata"]["name"]))
    assert answer.status == 201, answer.body
    for field, (value, said) in REFUSED[kind].items():
        answer = await _create(cluster, kind, _with(SPECS[kind], field, value))
        assert (answer.status, said in answer.body["message"]) == (422, True), (field, answer.body)
    for field, value in HONOURED.get(kind, {}).items():
        answer = await _create(cluster, kind, _with(_base(kind, field), field, value))
        assert answer.status == 201, (field, answer.body)
