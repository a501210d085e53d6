"""Tokens of service accounts: requested, reviewed, bound to what they live with."""

from __future__ import annotations

import base64

import orjson
import pytest

from keyless.local.cluster import ApiError, Cluster, ClusterSettings, User
from unit.local.cluster.support import Clock, Kubectl, claims, pod, token, who

SA = "/api/v1/namespaces/default/serviceaccounts"
PODS = "/api/v1/namespaces/default/pods"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


async def test_a_token_says_who_for_whom_and_until_when(kubectl: Kubectl) -> None:
    account = await kubectl.account("a")
    body = {"spec": {"audiences": ["sts.amazonaws.com"], "expirationSeconds": 900}}
    made = await kubectl.ok("POST", f"{SA}/a/token", body)
    assert made["status"]["expirationTimestamp"] == "2026-11-22T12:15:00Z"
    found = claims(made["status"]["token"])
    assert found["iss"] == "https://127.0.0.1:6443/clusters/keyless"
    assert found["aud"] == ["sts.amazonaws.com"]
    assert found["sub"] == "system:serviceaccount:default:a"
    assert found["exp"] - found["iat"] == 900
    assert found["kubernetes.io"]["serviceaccount"] == {"name": "a", "uid": account.uid}


async def test_a_token_for_the_api_signs_its_account_in_until_it_expires(
    kubectl: Kubectl, cluster: Cluster, clock: Clock
) -> None:
    await kubectl.account("a")
    text = await token(kubectl)
    user = who(cluster, text)
    assert user.name == "system:serviceaccount:default:a"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    clock.forward(3600)
    with pytest.raises(ApiError, match="Unauthorized"):
        who(cluster, text)


async def test_a_token_for_another_audience_does_not_open_the_api(kubectl: Kubectl, cluster: Cluster) -> None:
    await kubectl.account("a")
    with pytest.raises(ApiError, match="Unauthorized"):
        who(cluster, await token(kubectl, audiences=["sts.amazonaws.com"]))


async def test_a_token_dies_with_its_account_even_if_the_name_comes_back(kubectl: Kubectl, cluster: Cluster) -> None:
    await kubectl.account("a")
    text = await token(kubectl)
    who(cluster, text)
    await kubectl.ok("DELETE", f"{SA}/a")
    await kubectl.account("a")
    with pytest.raises(ApiError, match="Unauthorized"):
        who(cluster, text)


async def test_a_bound_token_dies_with_its_pod(kubectl: Kubectl, cluster: Cluster) -> None:
    await kubectl.account("a")
    made = await kubectl.ok("POST", PODS, pod(serviceAccountName="a"))
    ref = {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": made["metadata"]["uid"]}
    text = await token(kubectl, boundObjectRef=ref)
    assert claims(text)["kubernetes.io"]["pod"] == {"name": "p", "uid": made["metadata"]["uid"]}
    assert who(cluster, text).extra["authentication.kubernetes.io/pod-name"] == ("p",)
    await kubectl.ok("DELETE", f"{PODS}/p")
    with pytest.raises(ApiError, match="Unauthorized"):
        who(cluster, text)


async def test_a_token_is_not_bound_to_a_pod_of_another_account(kubectl: Kubectl) -> None:
    await kubectl.account("a")
    await kubectl.account("b")
    await kubectl.ok("POST", PODS, pod(serviceAccountName="b"))
    spec = {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p"}}
    refusal = await kubectl.refused("POST", f"{SA}/a/token", {"spec": spec})
    assert "different serviceaccount name" in refusal["message"]


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"expirationSeconds": 599}, 422),
        ({"expirationSeconds": 2**33}, 422),
        ({"expirationSeconds": "long"}, 400),
        ({"boundObjectRef": {"kind": "Pod", "name": "missing"}}, 404),
        ({"boundObjectRef": {"kind": "Service", "name": "s"}}, 400),
    ],
)
async def test_a_request_that_cannot_be_met_is_refused(kubectl: Kubectl, spec: dict[str, object], code: int) -> None:
    await kubectl.account("a")
    assert (await kubectl.refused("POST", f"{SA}/a/token", {"spec": spec}))["code"] == code


async def test_the_shortest_lifetime_is_refused_in_kubernetes_words(kubectl: Kubectl) -> None:
    await kubectl.account("a")
    refusal = await kubectl.refused("POST", f"{SA}/a/token", {"spec": {"expirationSeconds": 60}})
    assert (
        "spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes"
        in refusal["message"]
    )


async def test_a_review_proves_a_token_for_the_audience_asked(kubectl: Kubectl) -> None:
    await kubectl.account("a")
    text = await token(kubectl, audiences=["pods.eks.amazonaws.com"])
    spec = {"token": text, "audiences": ["pods.eks.amazonaws.com", "other"]}
    good = await kubectl.ok("POST", REVIEWS, {"spec": spec})
    assert good["status"]["authenticated"] is True
    assert good["status"]["audiences"] == ["pods.eks.amazonaws.com"]
    assert good["status"]["user"]["username"] == "system:serviceaccount:default:a"
    bad = await kubectl.ok("POST", REVIEWS, {"spec": {"token": text, "audiences": ["other"]}})
    assert "authenticated" not in bad["status"]
    assert bad["status"]["error"]


@pytest.mark.parametrize("text", ["rubbish", "a.b.c", "", "é", "eyJhbGciOiJub25lIn0.e30."])
async def test_rubbish_proves_nobody(kubectl: Kubectl, cluster: Cluster, text: str) -> None:
    with pytest.raises(ApiError, match="Unauthorized"):
        who(cluster, text)
    if text:
        answer = await kubectl.ok("POST", REVIEWS, {"spec": {"token": text}})
        assert "authenticated" not in answer["status"]


async def test_a_tampered_token_proves_nobody(kubectl: Kubectl, cluster: Cluster) -> None:
    await kubectl.account("a")
    head, body, signature = (await token(kubectl)).split(".")
    other = claims(f"{head}.{body}.{signature}") | {"sub": "system:serviceaccount:kube-system:admin"}
    forged = base64.urlsafe_b64encode(orjson.dumps(other)).rstrip(b"=").decode()
    with pytest.raises(ApiError, match="Unauthorized"):
        who(cluster, f"{head}.{forged}.{signature}")


def test_the_tokens_of_the_state_are_known(cluster: Cluster) -> None:
    assert who(cluster, "the-admin-token").name == "kubernetes-admin"
    assert who(cluster, "the-node-token").name == "system:node:local-node"
    with pytest.raises(ApiError, match="Unauthorized"):
        who(cluster, "the-kubelet-token")


async def test_keys_outlive_a_restart(kubectl: Kubectl, settings: ClusterSettings) -> None:
    await kubectl.account("a")
    text = await token(kubectl)
    again = Cluster(settings)
    assert who(again, text).name == "system:serviceaccount:default:a"
    assert again.issuers.jwks("keyless") == kubectl.cluster.issuers.jwks("keyless")


async def test_the_issuer_publishes_its_discovery_document_and_keys_to_everybody(kubectl: Kubectl) -> None:
    issuer = "https://127.0.0.1:6443/clusters/keyless"
    document = await kubectl.ok("GET", "/.well-known/openid-configuration", user=User("nobody"))
    assert (document["issuer"], document["jwks_uri"]) == (issuer, f"{issuer}/keys")
    keys = await kubectl.ok("GET", "/keys", user=User("nobody"))
    assert keys == await kubectl.ok("GET", "/openid/v1/jwks", user=User("nobody"))
    assert len(keys["keys"][0]["kid"]) == 40


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": 1}),
        ("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": 7}}),
        ("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "a", "audiences": "b"}}),
        ("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": []}),
        ("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {"user": "u", "resourceAttributes": "x"}}),
        ("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": {}}}),
        ("/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": "x"}),
        ("/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {"audiences": [1]}}),
        ("/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {"boundObjectRef": "pod"}}),
    ],
)
async def test_a_body_of_the_wrong_types_is_a_bad_request(kubectl: Kubectl, path: str, body: dict[str, object]) -> None:
    answer = await kubectl("POST", path, body)
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert "json: cannot unmarshal" in answer.body["message"]
