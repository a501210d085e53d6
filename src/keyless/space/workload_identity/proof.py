"""Whether AWS gives a role to a service account: shown by asking for it, with a session that may do nothing."""

from __future__ import annotations

import json
from typing import Protocol

from keyless.aws import AWS_FAILURES, AwsTransient
from keyless.identity.grants import Caller
from keyless.identity.verify import is_current, pod_of
from keyless.kube import Kube, KubeObject, NotFound
from keyless.kube.resources import PODS, SERVICEACCOUNTS
from keyless.space.values import ROLE_ANNOTATION
from keyless.space.workload_identity.model import IRSA, Host, Row, Spec
from keyless.space.workload_identity.model import PODS as MODE_PODS

AUDIENCE = "sts.amazonaws.com"
TOKEN_SECONDS, SESSION_SECONDS = 600, 900
NOTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
"""The session's policy: what a probe is given must be worth nothing to whoever finds it."""
_CONDITIONS = {"billing": "BillingStored", "shared-secrets": "SharedSecretsRead"}


class Prover(Protocol):
    """Says why AWS does not give the role yet; empty where it does."""

    async def refusal(self, spec: Spec, host: Host, row: Row) -> str:
        """Ask; raises only what the Kubernetes API raises."""
        ...

    async def is_bare(self, spec: Spec, host: Host, row: Row) -> bool:
        """Whether a pod of the component runs without the identity."""
        ...


class Proof:
    """Asks STS with a token of the service account, or reads what the component itself has shown."""

    def __init__(self, host: Kube, aws: Caller) -> None:
        self._host, self._aws = host, aws

    async def refusal(self, spec: Spec, host: Host, row: Row) -> str:
        """Why not; with Pod Identity only the pod's own node can ask, so the component's own condition tells."""
        if spec.mode == MODE_PODS:
            return await self._unshown(spec, host, row)
        named = await self._named(spec, host)
        if named != row.role:
            return f"the service account names {named or 'no role'}: the operator has yet to annotate it"
        token = await self._host.token(
            spec.service_account, host.namespace, audiences=[AUDIENCE], expiration_seconds=TOKEN_SECONDS
        )
        try:
            await self._aws.call(
                "sts",
                "AssumeRoleWithWebIdentity",
                RoleArn=row.role,
                RoleSessionName="keyless-probe",
                WebIdentityToken=token.token,
                Policy=json.dumps(NOTHING),
                DurationSeconds=SESSION_SECONDS,
            )
        except AWS_FAILURES as error:
            return f"{error.code}: STS is asked again" if isinstance(error, AwsTransient) else error.code
        return ""

    async def _unshown(self, spec: Spec, host: Host, row: Row) -> str:
        told = host.proofs.get(_CONDITIONS[spec.component])
        if told is None or f":assumed-role/{row.role.rpartition('/')[2]}/" not in told.message:
            return "the component has not shown it yet"
        # What another pod was given says nothing of what this one has.
        pods = [pod_of(pod) for pod in await self._pods(spec, host)]
        return "" if is_current(told, pods) else "the pod that runs has not shown it yet"

    async def is_bare(self, spec: Spec, host: Host, row: Row) -> bool:
        """By the variables that the webhook gives a pod when it is made, from what its service account says then."""
        if spec.mode == IRSA and await self._named(spec, host) != row.role:
            return False  # a restart now would only give another pod without it
        return any(not _has(spec, row.role, pod) for pod in await self._pods(spec, host))

    async def _pods(self, spec: Spec, host: Host) -> list[KubeObject]:
        """Those that stay."""
        found = (await self._host.list(PODS, host.namespace, labels={"app.kubernetes.io/name": spec.deployment})).items
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    async def _named(self, spec: Spec, host: Host) -> str:
        try:
            account = await self._host.get(SERVICEACCOUNTS, spec.service_account, host.namespace)
        except NotFound:
            return ""
        return str((account["metadata"].get("annotations") or {}).get(ROLE_ANNOTATION, ""))


def _has(spec: Spec, role: str, pod: KubeObject) -> bool:
    given = {
        one["name"]: one.get("value", "") for each in pod["spec"].get("containers", ()) for one in each.get("env", ())
    }
    if spec.mode == MODE_PODS:
        return "AWS_CONTAINER_CREDENTIALS_FULL_URI" in given
    return given.get("AWS_ROLE_ARN") == role
