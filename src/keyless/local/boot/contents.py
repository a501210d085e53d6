"""What a local Space contains when it starts: put there through the Kubernetes API, then waited for.

Objects of the cluster itself are applied at every start. The release, the group and the control plane are made at the
first start only: afterwards they belong to whoever changed or deleted them.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from keyless.api import KeylessError, Permanent
from keyless.kube import AlreadyExists, Kube, KubeObject, NotFound, Resource
from keyless.kube.resources import (
    CONTROLPLANES,
    CRDS,
    DAEMONSETS,
    DEPLOYMENTS,
    PODS,
    SECRETS,
    SERVICEACCOUNTS,
)
from keyless.local.boot import manifests, release
from keyless.local.boot.options import CONTROL_PLANE, GROUP
from keyless.local.boot.waiting import (
    daemon_set_is_missing,
    deployment_is_missing,
    readiness_is_missing,
    wait_for,
    wait_for_rollout,
)
from keyless.local.state import State

FIELD_MANAGER = "keyless-up"
PROBE_ACCOUNT = "identity-probe"
PROBE_ROLE = "arn:aws:iam::111122223333:role/identity-probe"
ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
ROLE_VARIABLE = "AWS_ROLE_ARN"
RELEASE_NAMESPACE = "default"
AGENT = "eks-pod-identity-agent"
OPERATOR = "spaces-operator"
WEBHOOK_SECONDS = 60.0
OPERATOR_SECONDS = 120.0
RETRY_SECONDS = 0.1
TABLES = ("CREATE TABLE boot (step TEXT PRIMARY KEY, done_at TEXT NOT NULL) STRICT",)


async def apply_cluster_objects(kube: Kube, facts: manifests.WebhookFacts) -> None:
    """The webhook with its registration; the agent and the list of associations are the cloud's."""
    for res, obj in manifests.eks_objects(facts):
        await kube.apply(res, obj, field_manager=FIELD_MANAGER)


async def prove_webhook(kube: Kube) -> None:
    """A dry run of a pod with an annotated service account must come back injected."""
    await wait_for_rollout(
        kube, DEPLOYMENTS, manifests.WEBHOOK, manifests.SYSTEM, deployment_is_missing, seconds=WEBHOOK_SECONDS
    )
    account = {
        "metadata": {
            "name": PROBE_ACCOUNT,
            "namespace": manifests.SYSTEM,
            "annotations": {ROLE_ANNOTATION: PROBE_ROLE},
        }
    }
    await kube.apply(SERVICEACCOUNTS, account, field_manager=FIELD_MANAGER)
    try:
        async with asyncio.timeout(WEBHOOK_SECONDS):
            while not await _is_injected(kube):  # noqa: ASYNC110 - only asking again tells
                await asyncio.sleep(RETRY_SECONDS)
    except TimeoutError:
        raise Permanent(
            f"webhook {manifests.WEBHOOK}: expected a dry-run pod of an annotated service account to get "
            f"{ROLE_VARIABLE} within {WEBHOOK_SECONDS:g} s, found none; see its pod's log in {manifests.SYSTEM}"
        ) from None
    finally:
        await _delete(kube, SERVICEACCOUNTS, PROBE_ACCOUNT, manifests.SYSTEM)


async def install_release(kube: Kube, state: State) -> None:
    """The objects of the chart and the Secret that makes them a Helm release; then the operator must be ready."""
    if not _is_done(state, "release"):
        found = release.installed(datetime.now(UTC))
        for obj in found.objects:
            await _apply_any(kube, obj)
        with suppress(AlreadyExists):  # a first start that was interrupted here
            await kube.create(SECRETS, found.secret)
        _mark(state, "release")
    if await _exists(kube, DEPLOYMENTS, OPERATOR, RELEASE_NAMESPACE):
        await wait_for_rollout(
            kube, DEPLOYMENTS, OPERATOR, RELEASE_NAMESPACE, deployment_is_missing, seconds=OPERATOR_SECONDS
        )


async def await_agent(kube: Kube) -> None:
    """The pod identity agent, unless its addon was deleted: pods ask it for credentials from their first second."""
    if await _exists(kube, DAEMONSETS, AGENT, manifests.SYSTEM):
        await wait_for_rollout(
            kube, DAEMONSETS, AGENT, manifests.SYSTEM, daemon_set_is_missing, seconds=WEBHOOK_SECONDS
        )


async def first_control_plane(kube: Kube, state: State) -> str:
    """Group and control plane at the first start; returns the control plane's host namespace, if there is one."""
    if not _is_done(state, "control-plane"):
        res, group = manifests.group_namespace(GROUP)
        await kube.apply(res, group, field_manager=FIELD_MANAGER)
        await wait_for(
            kube,
            CRDS,
            f"{CONTROLPLANES.plural}.{CONTROLPLANES.group}",
            None,
            _establishment_is_missing,
            seconds=OPERATOR_SECONDS,
        )
        with suppress(AlreadyExists):  # as above
            await kube.create(CONTROLPLANES, {"metadata": {"name": CONTROL_PLANE}, "spec": {}}, GROUP)
        _mark(state, "control-plane")
    return await _host_namespace(kube)


async def _host_namespace(kube: Kube) -> str:
    """The control plane may have been deleted by its owner: then there is nothing to wait for."""
    if not await _exists(kube, CONTROLPLANES, CONTROL_PLANE, GROUP):
        return ""
    ready = await wait_for(kube, CONTROLPLANES, CONTROL_PLANE, GROUP, readiness_is_missing, seconds=OPERATOR_SECONDS)
    return str((ready.get("status") or {}).get("hostNamespace") or "")


async def _is_injected(kube: Kube) -> bool:
    try:
        pod = await kube.create(PODS, manifests.probe_pod(PROBE_ACCOUNT, manifests.SYSTEM), dry_run=True)
    except KeylessError:
        return False
    variables = {entry["name"] for c in pod["spec"]["containers"] for entry in c.get("env") or ()}
    return ROLE_VARIABLE in variables


def _establishment_is_missing(crd: KubeObject) -> str:
    conditions = (crd.get("status") or {}).get("conditions") or ()
    is_established = any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
    return "" if is_established else "not established yet"


async def _apply_any(kube: Kube, obj: KubeObject) -> None:
    """Apply an object of the chart, as Helm would."""
    group, _, version = obj["apiVersion"].rpartition("/")
    kind = obj["kind"]
    plural = f"{kind.lower()}s"
    res = Resource(group, version, plural, kind, namespaced=not kind.startswith("Cluster") and kind != "Namespace")
    await kube.apply(res, obj, RELEASE_NAMESPACE if res.namespaced else None, field_manager="helm")


async def _exists(kube: Kube, res: Resource, name: str, namespace: str) -> bool:
    try:
        await kube.get(res, name, namespace)
    except NotFound:
        return False
    return True


async def _delete(kube: Kube, res: Resource, name: str, namespace: str) -> None:
    try:
        await kube.delete(res, name, namespace)
    except NotFound:
        return


def _is_done(state: State, step: str) -> bool:
    state.migrate("boot", TABLES)
    return state.database.execute("SELECT 1 FROM boot WHERE step = ?", (step,)).fetchone() is not None


def _mark(state: State, step: str) -> None:
    now = datetime.now(UTC).isoformat()
    state.database.execute("INSERT OR IGNORE INTO boot VALUES (?, ?)", (step, now))
