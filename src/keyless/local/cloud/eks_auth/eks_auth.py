"""AssumeRoleForPodIdentity: facts/identity.md#eks-auth.

The caller is the node (its role must allow it); the token is the pod's. The role is assumed by
``pods.eks.amazonaws.com`` with six session tags, and where the association names a target role, that role by the first
one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from uuid import uuid4

from keyless.local.cloud.authenticate import Authenticator
from keyless.local.cloud.authorise import Authoriser, principal_of, tag_keys
from keyless.local.cloud.call import Call, Caller, Target
from keyless.local.cloud.eks.associations import Association, Associations
from keyless.local.cloud.eks.cluster import ClusterFacts, no_cluster
from keyless.local.cloud.eks.kubernetes import Kubernetes
from keyless.local.cloud.eks.trust import SERVICE
from keyless.local.cloud.eks_auth.reviewing import AUDIENCE, ReviewedPod, review
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import Role
from keyless.local.cloud.service import Operation, Service
from keyless.local.cloud.sts import Minter, RoleSession
from keyless.local.cloud.sts.minting import Wanted
from keyless.policy import ContextValue, Principal, Request, access_denied

_SECONDS = 21600  # the agent renews after three hours at the latest
_CHAINED_SECONDS = 3600
_LONGEST_NAME = 64
_NOT_IN_NAMES = re.compile(r"[^\w+=,.@-]", re.ASCII)


class EksAuth:
    """The one operation."""

    def __init__(
        self,
        facts: ClusterFacts,
        associations: Associations,
        kubernetes: Kubernetes,
        *,
        directory: Directory,
        authoriser: Authoriser,
        authenticator: Authenticator,
        minter: Minter,
    ) -> None:
        self._facts = facts
        self._associations = associations
        self._kubernetes = kubernetes
        self._directory = directory
        self._authoriser = authoriser
        self._authenticator = authenticator
        self._minter = minter

    def service(self) -> Service:
        """The table of EKS Auth."""
        return Service(
            "eks-auth",
            operations=(Operation("AssumeRoleForPodIdentity", self._assume, self._target),),
            # The parameters hold a token: AWS's usual text would quote it.
            invalid=lambda _: AwsError("InvalidParameterException", "A parameter is missing or malformed", status=400),
            denied=_denied,
        )

    def _target(self, call: Call) -> Target:
        return Target(call.arn(f"cluster/{call.params['clusterName']}", service="eks"))

    async def _assume(self, call: Call) -> dict[str, Any]:
        name = call.params["clusterName"]
        if name != self._facts.name or call.region != self._facts.region:
            raise no_cluster(name)
        pod = await review(self._kubernetes, call.params["token"], call.now)
        call.notes |= {
            "subject": f"system:serviceaccount:{pod.namespace}:{pod.service_account}",
            "podName": pod.pod_name,
            "podUid": pod.pod_uid,
        }
        association = self._associations.of(pod.namespace, pod.service_account)
        if association is None:
            text = (
                f"No association found for service account {pod.service_account} in namespace {pod.namespace} in"
                f" cluster {name}"
            )
            raise AwsError("ResourceNotFoundException", text, status=404)
        call.notes["association"] = association.id
        minted = self._session(call, association, pod)
        call.notes |= {"assumedRole": minted.arn, "accessKeyId": minted.credentials.access_key_id}
        return _answer(minted, association, pod)

    def _session(self, call: Call, association: Association, pod: ReviewedPod) -> RoleSession:
        tags = {} if association.disable_session_tags else self._tags(pod)
        wanted = Wanted(
            name=session_name(self._facts.name, pod.pod_name, str(uuid4())),
            seconds=_SECONDS,
            tags=tags,
            transitive_tags=tuple(tags),
            policies=(association.policy,) if association.policy and not association.target_role_arn else (),
            by_service=True,
        )
        role = self._effective(association.role_arn)
        self._ask(call, role, Principal("Service", service=SERVICE), self._keys(call, wanted), tagged=bool(tags))
        first = self._minted(call, role, wanted)
        if not association.target_role_arn:
            return first
        return self._chained(call, association, first, wanted)

    def _chained(self, call: Call, association: Association, first: RoleSession, wanted: Wanted) -> RoleSession:
        """The target role, assumed by the session of the first one; its tags are transitive, so they pass on."""
        target = self._effective(association.target_role_arn)
        caller = self._authenticator.session_caller(first.session)
        keys = self._keys(call, wanted) | {"sts:ExternalId": association.external_id}
        del keys["aws:SourceArn"], keys["aws:SourceAccount"]
        asking = replace_caller(call, caller)
        self._ask(asking, target, principal_of(caller), keys, tagged=bool(wanted.tags))
        call.decisions.extend(asking.decisions)
        policies = (association.policy,) if association.policy else ()
        second = replace(wanted, seconds=_CHAINED_SECONDS, policies=policies, chained=True)
        return self._minted(call, target, second)

    def _minted(self, call: Call, role: Role, wanted: Wanted) -> RoleSession:
        """EKS asks for as long as the role allows, up to six hours."""
        written = self._directory.role(role.name) or role
        seconds = min(wanted.seconds, max(written.max_session_seconds, _CHAINED_SECONDS))
        return self._minter.mint(role, replace(wanted, seconds=seconds), now=call.now)

    def _effective(self, arn: str) -> Role:
        role = self._directory.effective_role(arn.rpartition("/")[2])
        if role is None or role.arn != arn:
            raise _unauthorised()
        return role

    def _ask(
        self, call: Call, role: Role, principal: Principal, keys: dict[str, ContextValue], *, tagged: bool
    ) -> None:
        context = {**self._authoriser.keys(call), **keys} if principal.kind == "AssumedRole" else keys
        for action in ("sts:AssumeRole", "sts:TagSession") if tagged else ("sts:AssumeRole",):
            decision = self._authoriser.decide_trust(call, role, Request(action, role.arn, principal, context))
            call.decisions.append(decision)
            if not decision.allowed:
                raise _unauthorised()

    def _tags(self, pod: ReviewedPod) -> dict[str, str]:
        return {
            "eks-cluster-arn": self._facts.arn,
            "eks-cluster-name": self._facts.name,
            "kubernetes-namespace": pod.namespace,
            "kubernetes-service-account": pod.service_account,
            "kubernetes-pod-name": pod.pod_name,
            "kubernetes-pod-uid": pod.pod_uid,
        }

    def _keys(self, call: Call, wanted: Wanted) -> dict[str, ContextValue]:
        """What a trust policy may ask of EKS's own call; nothing of the node that called EKS is in it."""
        keys = tag_keys(dict(wanted.tags))
        current = self._authoriser.keys(call)
        keys |= {name: current[name] for name in ("aws:CurrentTime", "aws:EpochTime", "aws:SecureTransport")}
        keys |= {
            "aws:SourceArn": self._facts.arn,
            "aws:SourceAccount": self._facts.account,
            "aws:PrincipalIsAWSService": "true",
            "aws:PrincipalServiceName": SERVICE,
            "sts:RoleSessionName": wanted.name,
        }
        if wanted.transitive_tags:
            keys["sts:TransitiveTagKeys"] = wanted.transitive_tags
        return keys


def replace_caller(call: Call, caller: Caller) -> Call:
    """The same call as ``caller`` would make it, with decisions of its own."""
    return replace(call, caller=caller, decisions=[])


def session_name(cluster: str, pod: str, unique: str) -> str:
    """``eks-CLUSTER-POD-uuid`` within 64 characters: the unique part stays whole, the pod's name gives way first."""
    room = _LONGEST_NAME - len("eks-") - len(unique) - 2
    kept_cluster = cluster[: max(room - len(pod), room // 2)] if len(cluster) + len(pod) > room else cluster
    kept_pod = pod[: room - len(kept_cluster)]
    return _NOT_IN_NAMES.sub("-", f"eks-{kept_cluster}-{kept_pod}-{unique}")


def _denied(call: Call, target: Target) -> AwsError:
    """Who is not the node, nor allowed to be; the status is the model's (facts/identity.md#eks-auth)."""
    return AwsError("AccessDeniedException", access_denied(call.decisions[-1], resource=target.label or None))


def _unauthorised() -> AwsError:
    """One sentence whatever trust says; the reason is in the audit line."""
    text = "Unauthorized Exception! EKS does not have permissions to assume the associated role."
    return AwsError("AccessDeniedException", text, status=400)


def _answer(minted: RoleSession, association: Association, pod: ReviewedPod) -> dict[str, Any]:
    credentials = minted.credentials
    return {
        "subject": {"namespace": pod.namespace, "serviceAccount": pod.service_account},
        "audience": AUDIENCE,
        "podIdentityAssociation": {"associationArn": association.arn, "associationId": association.id},
        "assumedRoleUser": {"arn": minted.arn, "assumeRoleId": minted.assumed_role_id},
        "credentials": {
            "sessionToken": credentials.session_token,
            "secretAccessKey": credentials.secret_access_key,
            "accessKeyId": credentials.access_key_id,
            "expiration": float(int(credentials.expires_at)),
        },
    }
