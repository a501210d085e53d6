"""Any request at the API server ends in a Status, never in an internal error; and its decoders by themselves.

``KEYLESS_FUZZ=100`` tries a hundred times as hard.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.local.cluster import Cluster, ClusterSettings, protobuf
from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.messages import Reply, Request
from keyless.local.cluster.patches import PatchError, json_patch, merge_patch, strategic_patch
from keyless.local.cluster.selectors import FieldSelector, LabelSelector
from keyless.local.cluster.users import MASTERS, User
from unit.local.cluster.support import Clock, ScriptedWebhooks

ADMIN = User("kubernetes-admin", (MASTERS,))
SECONDS = 5.0
WORDS = st.sampled_from(
    [
        "",
        "a",
        "metadata",
        "name",
        "spec",
        "status",
        "labels",
        "containers",
        "ports",
        "data",
        "kind",
        "apiVersion",
        "v1",
        "ConfigMap",
        "Pod",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$deleteFromPrimitiveList/finalizers",
        "replace",
        "delete",
        "merge",
        "finalizers",
        "ownerReferences",
        "resourceVersion",
        "é\u0000😀",
        "x" * 300,
        "/",
        "~0~1~2",
        "-",
        "99999999999999999999",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
POINTERS = st.lists(WORDS | st.sampled_from(["0", "1"]), max_size=4).map(lambda parts: "".join("/" + p for p in parts))
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "nonsense"]) | JSON},
        optional={"path": POINTERS | JSON, "from": POINTERS | JSON, "value": JSON},
    )
    | JSON,
    max_size=4,
)
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"a": "b"}, "finalizers": ["x/y"]},
    "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]},
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    clock = Clock()
    settings = ClusterSettings(
        database=connection,
        server_url="https://127.0.0.1:6443",
        admin_token="admin",
        kubelet_token="kubelet",
        ca_pem="",
        now=clock,
    )
    yield Cluster(settings, webhooks=ScriptedWebhooks())
    connection.close()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


async def drained(reply: Reply) -> None:
    """A watch is an answer, too; nobody waits for its end."""
    if (stream := getattr(reply, "stream", None)) is not None and hasattr(stream, "aclose"):
        await stream.aclose()


def ask(cluster: Cluster, method: str, path: str, *, params: dict[str, str], media: str, body: bytes) -> int:
    headers = {"content-type": media, "accept": "application/json"}

    async def asked() -> int:
        reply = await cluster.answer(Request("keyless", method, path, ADMIN, params, headers, body))
        await drained(reply)
        return reply.status

    return asyncio.run(asked())


PATHS = st.sampled_from(
    [
        "/api/v1/namespaces/default/configmaps",
        "/api/v1/namespaces/default/configmaps/a",
        "/api/v1/namespaces/default/pods/p",
        "/api/v1/namespaces/default/pods/p/status",
        "/api/v1/namespaces/default/serviceaccounts/default/token",
        "/api/v1/namespaces/default/secrets",
        "/api/v1/namespaces",
        "/apis/apps/v1/namespaces/default/deployments",
        "/apis/apps/v1/namespaces/default/deployments/a/scale",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "/apis/authentication.k8s.io/v1/tokenreviews",
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "/openapi/v3/api/v1",
        "/api",
    ]
) | st.lists(WORDS, max_size=6).map(lambda parts: "/" + "/".join(parts))
MEDIA = st.sampled_from(
    [
        "application/json",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
        "text/plain",
        "",
    ]
)
PARAMS = st.dictionaries(
    st.sampled_from(
        ["labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "dryRun", "fieldManager", "force"]
    ),
    WORDS | st.sampled_from(["a in (b", "a!=b,,", "metadata.name=a", "All", "1", "-1", "eyJ2IjoxfQ"]),
    max_size=3,
)
BODIES = (
    JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps({**POD, "metadata": value}).encode())
    | JSON.map(lambda value: json.dumps({**POD, "spec": value}).encode())
    | OPERATIONS.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=60)
    | st.binary(max_size=60).map(lambda data: protobuf.MAGIC + data)
    | st.sampled_from([b"[" * 20_000, b'{"a":' * 20_000, b"- " * 20_000, b"a: &a [*a]", b"%YAML 9", b"\xff\xfe"])
)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"]),
    path=PATHS,
    params=PARAMS,
    media=MEDIA,
    body=BODIES,
)
@effort(80)
def test_any_request_is_answered(
    cluster: Cluster, method: str, path: str, params: dict[str, str], media: str, body: bytes
) -> None:
    began = time.process_time()
    status = ask(cluster, method, path, params=params, media=media, body=body)
    assert status < 500, (method, path, params, media, body[:300])
    assert time.process_time() - began < SECONDS


@given(JSON, OPERATIONS)
@effort(40)
def test_a_json_patch_is_applied_or_refused(value: Any, operations: Any) -> None:
    with suppress(PatchError):
        json_patch({"a": value, **POD}, operations)


@given(JSON, JSON)
@effort(40)
def test_a_merge_patch_is_applied_or_refused(value: Any, patch: Any) -> None:
    with suppress(PatchError):
        merge_patch({"a": value, **POD}, patch)


@given(JSON, JSON)
@example({"finalizers": [[]]}, None)
@effort(40)
def test_a_strategic_patch_is_applied_or_refused(metadata: Any, spec: Any) -> None:
    with suppress(PatchError):
        strategic_patch(POD, {"metadata": metadata, "spec": spec}, group="", kind="Pod")
    with suppress(PatchError):
        strategic_patch(POD, spec, group="", kind="Pod")


@given(st.text(alphabet="ab/.=!<>(),  inotx\n\x00é", max_size=40))
@effort(40)
def test_selectors_are_parsed_or_refused(text: str) -> None:
    with suppress(Malformed):
        LabelSelector.parse(text).matches({"a": "b"})
    with suppress(Malformed):
        FieldSelector.parse(text, frozenset({"metadata.name", "a"})).matches(POD)


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


FIELDS = st.recursive(
    st.binary(max_size=20),
    lambda inner: st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0, 1, 2, 3, 4, 5]), inner), max_size=4).map(
        lambda parts: b"".join(
            varint(n << 3 | kind) + (varint(len(v)) + v if kind == 2 else v[:8]) for n, kind, v in parts
        )
    ),
    max_leaves=6,
)


@given(raw=FIELDS, kind=st.sampled_from(["Pod", "Secret", "ConfigMap", "Lease", "Event", "Nothing", ""]))
@effort(40)
def test_protobuf_is_decoded_or_refused(raw: bytes, kind: str) -> None:
    meta = b"\x0a\x02v1" + b"\x12" + varint(len(kind)) + kind.encode()
    envelope = b"\x0a" + varint(len(meta)) + meta + b"\x12" + varint(len(raw)) + raw
    with suppress(Malformed):
        protobuf.decode(protobuf.MAGIC + envelope)
