"""What becomes of a pod's session: its name, its room for tags, roles it assumes, and the agent that hands it out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from conformance.pod_identity.stage import NAMESPACE, TARGET, Stage, keys_of
from keyless.aws.sessions import call
from keyless.identity.agent.app import Agent, Metrics
from keyless.identity.agent.cache import CredentialCache
from keyless.identity.agent.model import PodCredentials, credentials_of
from keyless.identity.agent.readiness import Readiness
from keyless.local.cloud.eks_auth.eks_auth import session_name
from unit.local.cloud.support import ACCOUNT, allow

AGENT = "169.254.170.23"
CHAINED: dict[str, Any] = {
    "permissions": [allow(["sts:AssumeRole", "sts:TagSession"], TARGET)],
    "longest": 43200,
}


def target_role(stage: Stage, condition: dict[str, Any] | None = None) -> None:
    """A role that the pod assumes by itself, not by its association."""
    stage.target({"external": None, "condition": condition or {}, "longest": 43200})


def assumed(stage: Stage, pod: Any, **params: Any) -> dict[str, Any]:
    sts = stage.world.aws("sts", keys_of(pod))
    answer: dict[str, Any] = sts.assume_role(RoleArn=TARGET, RoleSessionName="own", **params)
    return answer


def refused(stage: Stage, pod: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        assumed(stage, pod, **params)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


# Names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cluster", "pod", "expected"),
    [
        ("keyless", "vector-0", "eks-keyless-vector-0-"),
        ("keyless", "v" * 14, "eks-keyless-" + "v" * 14 + "-"),
        ("keyless", "v" * 15, "eks-keyless-" + "v" * 15 + "-"),
        ("keyless", "v" * 16, "eks-keyless-" + "v" * 15 + "-"),
        ("k", "payments-api-7d9c8b6f5d-x2x4z", "eks-k-payments-api-7d9c8b6f-"),
        ("k" * 100, "vector-0", "eks-" + "k" * 14 + "-vector-0-"),
        ("k" * 100, "p" * 253, "eks-" + "k" * 11 + "-" + "p" * 11 + "-"),
        ("keyless", "a.b.c", "eks-keyless-a.b.c-"),
    ],
)
def test_a_session_is_named_after_cluster_and_pod_within_64_characters(cluster: str, pod: str, expected: str) -> None:
    """E4: how AWS cuts is not documented; ours keeps the unique part whole and lets the longer name give way."""
    unique = "0b0c1a7e-5f60-4f3a-8a43-4c7c2e1c9d11"
    found = session_name(cluster, pod, unique)
    assert found == expected + unique
    assert len(found) <= 64


@pytest.mark.parametrize("pod_name", ["p", "vector-0", "p" * 63, "p" * 253, "a.b-c.d"])
def test_a_pod_of_any_lawful_name_gets_its_session_and_its_tag(stage: Stage, pod_name: str) -> None:
    """E5: the tag has the whole name."""
    condition = {"StringEquals": {"aws:RequestTag/kubernetes-pod-name": pod_name}}
    stage.make({"condition": condition})
    answer = stage.assume({"pod": {"pod_name": pod_name}})
    assert answer.code == ""
    assert len(answer.result["assumedRoleUser"]["arn"].rpartition("/")[2]) <= 64


def test_every_session_has_a_name_of_its_own(stage: Stage) -> None:
    stage.make({})
    token = stage.token({})
    names = {stage.assume({"text": token}).result["assumedRoleUser"]["arn"] for _ in range(3)}
    assert len(names) == 3


# Roles that the pod assumes -----------------------------------------------------------------------------------------


def test_a_role_that_a_pod_assumes_sees_the_six_tags(stage: Stage) -> None:
    """E5: they are transitive, so they come as tags of the request and stay tags of the principal."""
    stage.make(CHAINED)
    target_role(stage, {"StringEquals": {"aws:RequestTag/kubernetes-namespace": NAMESPACE}})
    answer = assumed(stage, stage.assume({}))
    assert answer["AssumedRoleUser"]["Arn"].endswith(":assumed-role/target/own")


def test_the_six_tags_cannot_be_set_again(stage: Stage) -> None:
    stage.make(CHAINED)
    target_role(stage)
    for key in ("kubernetes-namespace", "Kubernetes-Namespace"):
        code, text = refused(stage, stage.assume({}), Tags=[{"Key": key, "Value": "kube-system"}])
        assert code == "InvalidParameterValue"
        assert "conflicts with a transitive tag key from the calling session" in text


def test_a_chained_session_lasts_an_hour_at_most(stage: Stage) -> None:
    """S12, E7."""
    stage.make(CHAINED)
    target_role(stage)
    pod = stage.assume({})
    assert assumed(stage, pod, DurationSeconds=3600)
    code, text = refused(stage, pod, DurationSeconds=3601)
    assert code == "ValidationError"
    assert "1 hour session limit for roles assumed by role chaining" in text


def test_the_six_tags_take_most_of_the_room_of_a_role_that_the_pod_assumes(stage: Stage) -> None:
    """Pain point 12: 74 % seen; an application's own tags take the rest, and then one too many."""
    stage.make(CHAINED)
    target_role(stage)
    pod = stage.assume({})
    alone = assumed(stage, pod)["PackedPolicySize"]
    assert 50 <= alone <= 80
    tags, sizes = [], [alone]
    while len(tags) < 40:
        tags.append({"Key": f"own-{len(tags)}", "Value": f"{len(tags) * 0x9E3779B97F4A7C15:030x}"[-30:]})
        try:
            sizes.append(assumed(stage, pod, Tags=tags)["PackedPolicySize"])
        except ClientError as error:
            found = error.response["Error"]
            break
    assert sizes == sorted(sizes)
    assert max(sizes) <= 100
    assert found["Code"] == "PackedPolicyTooLarge"
    assert found["Message"].startswith("Packed size of session tags consumes 1")
    assert found["Message"].endswith("% of allotted space.")


def test_without_tags_there_is_room(stage: Stage) -> None:
    """Pain point 12: what disabling them is for."""
    stage.make({**CHAINED, "association": {"disableSessionTags": True}})
    target_role(stage)
    assert "PackedPolicySize" not in assumed(stage, stage.assume({}))


# What outlives what -------------------------------------------------------------------------------------------------


def test_a_session_outlives_its_association_and_its_pod(stage: Stage) -> None:
    """S13: nothing recalls credentials once they are out; only a new session is refused."""
    stage.make({"permissions": [allow("s3:GetObject")]})
    pod = stage.assume({})
    stage.remove_association()
    stage.kube.pods = set()
    assert stage.may_read(pod, "mxp-1-system/x")
    assert stage.assume({}).code == "InvalidTokenException"


def test_a_session_ends_with_its_role(stage: Stage) -> None:
    stage.make({"permissions": [allow("s3:GetObject")]})
    pod = stage.assume({})
    stage.remove_role("billing")
    with pytest.raises(ClientError):
        stage.world.aws("s3", keys_of(pod)).get_object(Bucket="data", Key="mxp-1-system/x")


def test_the_audit_correlates_pod_association_and_session(stage: Stage) -> None:
    stage.make({})
    pod = stage.assume({})
    notes = next(line for line in reversed(stage.world.audit()) if line["service"] == "eks-auth")["notes"]
    assert notes["association"] == stage.association["associationId"]
    assert notes["podName"] == "vector-0"
    assert notes["assumedRole"] == pod.result["assumedRoleUser"]["arn"]
    assert notes["accessKeyId"] == pod.result["credentials"]["accessKeyId"]


# The agent ----------------------------------------------------------------------------------------------------------


async def agents_answer(stage: Stage, token: str, **headers: str) -> httpx.Response:
    """What an SDK in a pod gets from the agent, which asks this cloud with the node's credentials."""
    node = stage.node()

    async def assume(wanted: str) -> PodCredentials:
        answer = await call(node, "AssumeRoleForPodIdentity", clusterName="keyless", token=wanted)
        return credentials_of(answer)

    now = lambda: datetime.fromtimestamp(stage.world.clock(), UTC)  # noqa: E731 - the cloud's clock, as a function
    metrics = Metrics()
    cache = CredentialCache(assume, retention=timedelta(hours=3), size=10, observe=metrics.cache, now=now)

    async def known() -> str:
        return f"arn:aws:sts::{ACCOUNT}:assumed-role/node/i-1"

    agent = Agent(cache, (AGENT,), metrics, readiness=Readiness(known, now=now), now=now)
    transport = httpx.ASGITransport(agent.app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{AGENT}") as http:
        return await http.get("/v1/credentials", headers={"authorization": token, **headers})


async def test_the_agent_answers_in_the_words_of_the_container_protocol(stage: Stage) -> None:
    """A4."""
    stage.make({})
    answer = await agents_answer(stage, stage.token({}))
    assert answer.status_code == 200
    assert set(answer.json()) == {"AccessKeyId", "SecretAccessKey", "Token", "AccountId", "Expiration"}
    assert answer.json()["AccountId"] == ACCOUNT
    sts = stage.world.aws("sts", {**answer.json(), "SessionToken": answer.json()["Token"]})
    assert ":assumed-role/billing/eks-keyless-vector-0-" in sts.get_caller_identity()["Arn"]


@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ({"token": {"dead": True}}, 400, "InvalidTokenException"),
        ({"token": {"audience": "sts.amazonaws.com"}}, 400, "InvalidTokenException"),
        ({"token": {"issuer": "https://127.0.0.1:6443/clusters/other"}}, 400, "InvalidTokenException"),
        ({"actions": ["sts:TagSession"]}, 400, "AccessDeniedException"),
        ({"association_gone": True}, 404, "ResourceNotFoundException"),
        ({"broken": True}, 503, "ServiceUnavailableException"),
    ],
)
async def test_the_agent_passes_refusals_on(stage: Stage, case: dict[str, Any], status: int, code: str) -> None:
    """A5: upstream's status, and its words as plain text."""
    stage.make(case)
    token = stage.token(case)
    stage.kube.broken = bool(case.get("broken"))
    answer = await agents_answer(stage, token)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/plain")
    assert f": ({code}): " in answer.text
    assert answer.text.endswith(", fault: server" if status >= 500 else ", fault: client")
    assert token not in answer.text


async def test_the_agent_refuses_an_expired_token_itself(stage: Stage) -> None:
    """A3."""
    stage.make({})
    answer = await agents_answer(stage, stage.token({"token": {"late": 3600}}))
    text = "Service account token failed basic claim validations: token is expired"
    assert (answer.status_code, answer.text) == (400, text)


async def test_the_agent_refuses_another_name_for_itself(stage: Stage) -> None:
    """A3: a page in a browser could have sent the request."""
    stage.make({})
    answer = await agents_answer(stage, stage.token({}), host="evil.example")
    assert answer.status_code == 403
    assert answer.text.startswith("Access Denied. Called agent through invalid address")
