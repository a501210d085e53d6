"""Which way pods are told of the cloud, that the other one goes, and what the API server is told of the webhook."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.api import Permanent
from keyless.kube import Forbidden, NotFound
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import MUTATINGWEBHOOKCONFIGURATIONS
from keyless.local.beside.hook import hook_app, hook_names, hook_objects, review
from keyless.local.beside.place import Place
from keyless.local.beside.pods import NAME, environment
from keyless.local.beside.policy import BINDINGS, POLICIES, policy_objects
from keyless.local.beside.settings import Settings
from keyless.local.beside.telling import keep, remove_other, way_of
from keyless.local.state import Authority

ENVIRON = environment("https://10.0.0.7", "eu-west-1")
PLACE = Place((), ENVIRON)
KINDS = {"resources": [{"name": "mutatingadmissionpolicies"}, {"name": "mutatingwebhookconfigurations"}]}
OLDER = {"resources": [{"name": "mutatingwebhookconfigurations"}]}


class Discovery:
    """A cluster that says so of what it serves."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def request(self, method: str, path: str) -> Any:
        assert (method, path) == ("GET", "/apis/admissionregistration.k8s.io/v1")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "way"),
    [(KINDS, "policy"), (OLDER, "webhook"), ({}, "webhook"), ("no JSON", "webhook"), (NotFound({}), "webhook")],
    ids=["served", "older", "empty", "nonsense", "no such version"],
)
async def test_a_policy_tells_pods_where_the_cluster_serves_the_kind(answer: Any, way: str) -> None:
    kube: Any = Discovery(answer)
    assert await way_of(Settings("s", webhook_port=9443), kube, PLACE) == way


@pytest.mark.parametrize("way", ["policy", "webhook"])
async def test_what_is_set_is_not_asked_for(way: str) -> None:
    nobody: Any = None
    assert await way_of(Settings("s", told_by=way, webhook_port=9443), nobody, PLACE) == way
    assert await way_of(Settings("s", told_by=way), nobody, Place(())) == ""


async def test_a_cluster_that_needs_the_webhook_and_gets_none_is_refused_with_what_to_set() -> None:
    kube: Any = Discovery(OLDER)
    with pytest.raises(Permanent, match=r"serves no MutatingAdmissionPolicy .*set --webhook-port"):
        await way_of(Settings("s"), kube, PLACE)


@pytest.mark.parametrize(
    ("way", "left"), [("policy", {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}),
                      ("webhook", {"MutatingWebhookConfiguration"})],
)  # fmt: skip
async def test_the_other_one_goes(way: Any, left: set[str]) -> None:
    kube = MemoryKube()
    for res, obj in (*policy_objects(ENVIRON, "PEM"), *hook_objects(Settings("s", service="c"), "PEM")):
        await kube.apply(res, obj, field_manager="m")
    for _ in range(2):
        await remove_other(kube, way)
    found = {res.kind for res in (POLICIES, BINDINGS, MUTATINGWEBHOOKCONFIGURATIONS) if await _has(kube, res)}
    assert found == left


async def _has(kube: MemoryKube, res: Any) -> bool:
    try:
        await kube.get(res, NAME)
    except NotFound:
        return False
    return True


async def test_rights_of_an_earlier_manifest_keep_the_cloud_from_nothing() -> None:
    class Refusing:
        async def delete(self, _res: object, _name: str) -> None:
            raise Forbidden({})

    kube: Any = Refusing()
    await remove_other(kube, "policy")


async def test_what_is_spoilt_is_brought_back_also_after_a_failure() -> None:
    kube, slept = MemoryKube(), []

    class Enough(Exception):
        pass

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 4:
            raise Enough

    def interrupt(_request: object) -> None:
        if len(slept) == 1:
            raise NotFound({})

    kube.before = interrupt
    objects = hook_objects(Settings("s", service="c", webhook_port=9443), "PEM")
    with pytest.raises(Enough):
        await keep(kube, objects, field_manager="m", sleep=sleep)
    assert slept == [60.0, 2.0, 60.0, 60.0]
    stored = await kube.get(MUTATINGWEBHOOKCONFIGURATIONS, NAME)
    assert base64.b64decode(stored["webhooks"][0]["clientConfig"]["caBundle"]) == b"PEM"


@pytest.mark.parametrize(
    ("more", "at"),
    [
        ({"service": "c"}, {"service": {"name": "c", "namespace": "keyless-cloud", "path": "/mutate", "port": 9443}}),
        ({"pods_endpoint": "https://10.9.9.9:8443"}, {"url": "https://10.9.9.9:9443/mutate"}),
        ({"pods_endpoint": "https://[fd00::7]"}, {"url": "https://[fd00::7]:9443/mutate"}),
    ],
)
def test_the_registration_says_where_and_spares_whom_the_policy_spares(more: dict[str, str], at: Any) -> None:
    ((_, registered),) = hook_objects(Settings("s", webhook_port=9443, **more), "PEM")
    (hook,) = registered["webhooks"]
    assert {key: value for key, value in hook["clientConfig"].items() if key != "caBundle"} == at
    (_, policy), _ = policy_objects(ENVIRON, "PEM")
    constraints = policy["spec"]["matchConstraints"]
    for key in ("namespaceSelector", "objectSelector"):
        assert hook[key] == constraints[key]
    assert (hook["failurePolicy"], hook["reinvocationPolicy"]) == ("Fail", "IfNeeded")
    assert (policy["spec"]["failurePolicy"], policy["spec"]["reinvocationPolicy"]) == ("Fail", "IfNeeded")
    (rule,) = hook["rules"]
    assert rule == {**constraints["resourceRules"][0], "scope": "*"}


def test_its_certificate_is_for_what_the_api_server_calls_it(tmp_path: Path) -> None:
    names = hook_names(Settings("s", pods_endpoint="https://[fd00::7]:1"))
    assert names == ("fd00::7",)
    chain, key = Authority(tmp_path).server_certificate(names)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(chain, key)
    # By its Service it is called what the cloud is called.
    assert hook_names(Settings("s", service="c", pods_endpoint="https://10.0.0.7")) == ()


REVIEW = {"request": {"uid": "u", "object": {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}}}


async def test_a_review_is_answered_with_a_patch() -> None:
    transport = httpx.ASGITransport(hook_app(ENVIRON, "PEM"))
    async with httpx.AsyncClient(transport=transport, base_url="https://hook") as client:
        answer = (await client.post("/mutate", json=REVIEW)).json()
        assert (await client.get("/healthz")).text == "ok"
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = answer["response"]
    assert (response["uid"], response["allowed"], response["patchType"]) == ("u", True, "JSONPatch")
    assert json.loads(base64.b64decode(response["patch"]))[0]["path"] == "/metadata/annotations"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["request", "object", "spec", "uid",
    "containers", "metadata", "annotations", "env", "volumes", "name"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON | st.binary(max_size=20))
def test_whatever_is_asked_is_answered(asked: object) -> None:
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    response = review(body, ENVIRON, "PEM")["response"]
    assert response["allowed"] or response["status"]["message"].startswith("expected an AdmissionReview of a Pod")
