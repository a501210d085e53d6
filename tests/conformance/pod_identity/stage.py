"""The stage for the Pod Identity matrix: a cloud in memory and a cluster that really verifies tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from botocore.exceptions import ClientError

from keyless.local.cloud import Cloud
from keyless.tokens import TokenRefusal, key_set, verify_service_account
from unit.local.cloud.support import (
    ACCOUNT,
    ISSUER,
    FakeKube,
    World,
    allow,
    ask,
    document,
    pod_token,
    signing_key,
)

AUDIENCE = "pods.eks.amazonaws.com"
ROLE, TARGET = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("billing", "target"))
NAMESPACE, ACCOUNT_NAME, POD_UID = "mxp-1-system", "vector", "0f1e2d3c-pod-uid"
Case = Mapping[str, Any]


def cases() -> list[tuple[str, dict[str, Any]]]:
    text = (Path(__file__).parent / "associations.json").read_text("utf-8").replace("<account>", ACCOUNT)
    return [(f"{case['rule']} {case['why']}", case) for case in json.loads(text)["cases"]]


class VerifyingKube(FakeKube):
    """Reviews tokens as the API server does: signature, issuer, audience, times, and the pod must be alive."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.pods = {POD_UID}

    async def request(self, method: str, path: str, *, body: Any = None, params: Any = None) -> Any:
        self._fail()
        keys, audiences = key_set([signing_key()]), body["spec"]["audiences"]
        now = int(self._world.clock())
        found = verify_service_account(body["spec"]["token"], keys, issuer=ISSUER, audiences=audiences, now=now)
        if isinstance(found, TokenRefusal) or (found.pod and found.pod.uid not in self.pods):
            return {"status": {"authenticated": False, "error": "invalid bearer token"}}
        pod = found.pod
        extra = {f"authentication.kubernetes.io/pod-{name}": [getattr(pod, name)] for name in ("name", "uid") if pod}
        user = {"username": found.username, "extra": extra}
        return {"status": {"authenticated": True, "user": user, "audiences": list(found.audiences)}}


class PodWorld(World):
    def _start(self, delay_seconds: float) -> Cloud:
        if not isinstance(self.kube, VerifyingKube):
            self.kube = VerifyingKube(self)
        return super()._start(delay_seconds)


@dataclass(frozen=True)
class Answer:
    """What EKS Auth answered."""

    status: int
    code: str = ""
    message: str = ""
    result: Any = None


class Stage:
    """One world; each case takes what it changed away again."""

    def __init__(self) -> None:
        self.world = PodWorld()
        self.kube: Any = self.world.kube
        self.iam, self.eks = self.world.aws("iam"), self.world.aws("eks")
        s3 = self.world.aws("s3")
        s3.create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        for namespace in (NAMESPACE, "mxp-2-system"):
            s3.put_object(Bucket="data", Key=f"{namespace}/x", Body=b"x")
        self._node: Any = None

    def close(self) -> None:
        self.world.close()

    def node(self) -> Any:
        """A client with the node's credentials, got as the agent gets them; they last six hours."""
        if self._node is None:
            token = self._metadata("/latest/api/token", "PUT", {"x-aws-ec2-metadata-token-ttl-seconds": "21600"})
            named = {"x-aws-ec2-metadata-token": token.decode()}
            base = "/latest/meta-data/iam/security-credentials/"
            found = orjson.loads(self._metadata(base + self._metadata(base, "GET", named).decode(), "GET", named))
            self._node = self.world.aws("eks-auth", {**found, "SessionToken": found["Token"]})
        return self._node

    def _metadata(self, path: str, method: str, headers: dict[str, str]) -> bytes:
        return self.world.loop.run(ask(self.world.cloud.imds_app, method, path, headers=headers))[2]

    # A case: made, asked, taken away -----------------------------------------------------------------------------

    def make(self, case: Case) -> None:
        plain = trust({"Service": AUDIENCE}, ["sts:AssumeRole", "sts:TagSession"], {})
        self._role("billing", plain, longest=case.get("longest", 43200), tags=case.get("role_tags", {}))
        target = case.get("target")
        if target:
            self.target(target)
        self._permissions("billing", [*case.get("permissions", ()), *_chaining(target)])
        made = self.eks.create_pod_identity_association(
            clusterName="keyless",
            namespace=NAMESPACE,
            serviceAccount=ACCOUNT_NAME,
            roleArn=ROLE,
            **({"targetRoleArn": TARGET} if target else {}),
            **case.get("association", {}),
        )
        self.association = made["association"]
        self._then_changed(case)

    def _then_changed(self, case: Case) -> None:
        """What happens after the association was made, when EKS no longer looks at the trust."""
        principal = case.get("principal", {"Service": AUDIENCE})
        actions = case.get("actions", ["sts:AssumeRole", "sts:TagSession"])
        text = trust(principal, actions, case.get("condition", {}), deny=case.get("deny"))
        self.iam.update_assume_role_policy(RoleName="billing", PolicyDocument=text)
        if case.get("role_gone"):
            self.remove_role("billing")
        if case.get("target", {}).get("gone"):
            self.remove_role("target")
        if case.get("association_gone"):
            self.remove_association()

    def target(self, target: Case) -> None:
        condition = dict(target.get("condition", {}))
        if target.get("external"):
            operator = target.get("operator", "StringEquals")
            condition[operator] = {**condition.get(operator, {}), "sts:ExternalId": target["external"]}
        principal = target.get("principal", {"AWS": ROLE})
        actions = target.get("actions", ["sts:AssumeRole", "sts:TagSession"])
        text = trust(principal, actions, condition)
        self._role("target", text, longest=target.get("longest", 3600), tags=target.get("tags", {}))
        self._permissions("target", target.get("permissions", ()))

    def _role(self, name: str, text: str, *, longest: int, tags: Mapping[str, str]) -> None:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        self.iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=text,
            MaxSessionDuration=longest,
            **({"Tags": listed} if tags else {}),
        )

    def _permissions(self, name: str, statements: Any) -> None:
        if statements:
            self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))

    def clear(self) -> None:
        self.remove_association()
        for name in ("billing", "target"):
            self.remove_role(name)
        self.kube.broken, self.kube.pods = False, {POD_UID}

    def remove_association(self) -> None:
        for one in self.eks.list_pod_identity_associations(clusterName="keyless")["associations"]:
            self.eks.delete_pod_identity_association(clusterName="keyless", associationId=one["associationId"])

    def remove_role(self, name: str) -> None:
        with suppress(self.iam.exceptions.NoSuchEntityException):
            self.iam.delete_role_policy(RoleName=name, PolicyName="p")
        with suppress(self.iam.exceptions.NoSuchEntityException):
            self.iam.delete_role(RoleName=name)

    # Tokens and answers ------------------------------------------------------------------------------------------

    def token(self, case: Case) -> str:
        wanted, pod = case.get("token", {}), case.get("pod", {})
        namespace, name = pod.get("namespace", NAMESPACE), pod.get("name", ACCOUNT_NAME)
        inner = {
            "namespace": namespace,
            "serviceaccount": {"name": name, "uid": "8f6f"},
            "pod": {"name": pod.get("pod_name", f"{name}-0"), "uid": POD_UID},
        }
        if wanted.get("unbound"):
            del inner["pod"]
        made = pod_token(
            self.world,
            namespace=namespace,
            name=name,
            issuer=wanted.get("issuer", ISSUER),
            key=signing_key(wanted["key"]) if "key" in wanted else None,
            **{"kubernetes.io": inner, "aud": wanted.get("audiences", [wanted.get("audience", AUDIENCE)])},
        )
        if wanted.get("altered"):
            head, payload, signature = made.split(".")
            made = f"{head}.{payload[:-2]}AA.{signature}"
        if wanted.get("dead"):
            self.kube.pods = set()
        self.world.clock.pass_seconds(wanted.get("late", 0))
        return made

    def assume(self, case: Case) -> Answer:
        token = case["text"] if "text" in case else self.token(case)
        self.kube.broken = bool(case.get("broken"))
        service = self._stranger() if case.get("caller") == "user" else self.node()
        try:
            answer = service.assume_role_for_pod_identity(clusterName=case.get("cluster", "keyless"), token=token)
        except ClientError as error:
            found = error.response["Error"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return Answer(status, found["Code"], found.get("Message", ""))
        return Answer(200, result=answer)

    def _stranger(self) -> Any:
        with suppress(self.iam.exceptions.EntityAlreadyExistsException):
            self.iam.create_user(UserName="dev")
        return self.world.aws("eks-auth", self.iam.create_access_key(UserName="dev")["AccessKey"])

    def may_read(self, answer: Answer, key: str) -> bool:
        try:
            self.world.aws("s3", keys_of(answer)).get_object(Bucket="data", Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            return False
        return True


def keys_of(answer: Answer) -> dict[str, str]:
    given = answer.result["credentials"]
    return {name: given[name[0].lower() + name[1:]] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}


def trust(principal: Any, actions: Any, condition: Any, *, deny: Any = None) -> str:
    allowed = {"Effect": "Allow", "Principal": principal, "Action": actions}
    statements = [{**allowed, "Condition": condition} if condition else allowed]
    if deny:
        statements.append(
            {"Effect": "Deny", "Principal": {"Service": AUDIENCE}, "Action": "sts:AssumeRole", "Condition": deny}
        )
    return document(*statements)


def _chaining(target: Case | None) -> list[dict[str, Any]]:
    actions = target.get("allowed", ["sts:AssumeRole", "sts:TagSession"]) if target else []
    return [allow(actions, TARGET)] if actions else []
