"""Read what stands around the component: the webhook's registration and process, the agents, the nodes. Reads only.

All of it lies outside the namespaces that a team has rights in: what may not be read is left out, and judges nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from keyless.api import KeylessError
from keyless.identity.verify.around import Around, Registration
from keyless.identity.verify.model import AGENT_ADDON, ANNOTATION, ControlPlane, Pod, Subject
from keyless.kube import Kube, KubeObject, is_true
from keyless.kube.resources import (
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    NODES,
    PODS,
    SERVICEACCOUNTS,
    SERVICES,
)

_NAMES = ("pod-identity-webhook", "iam-for-pods.amazonaws.com")
"""What the webhook is called on EKS, by kops, by upstream's manifests and by us: its configuration or its hook."""
_COMPUTE_TYPE = "eks.amazonaws.com/compute-type"
_NAME_LABEL = "app.kubernetes.io/name"


async def around_all(kube: Kube) -> Around:
    """What is the same for all control planes."""
    (seen, webhook), agents = await asyncio.gather(_webhook(kube), _agents(kube))
    return Around(seen, webhook, agents=agents)


async def around_one(
    kube: Kube, common: Around, plane: ControlPlane, subject: Subject, pods: tuple[Pod, ...]
) -> Around:
    """What is one control plane's own."""
    names = {pod.node for pod in pods if pod.node}
    nodes = await asyncio.gather(*(_node(kube, name) for name in names))
    labels, annotated = await asyncio.gather(_labels(kube, plane.host_namespace), _annotated(kube, plane, subject))
    return replace(common, labels=labels, annotated=annotated, kinds=dict(zip(names, nodes, strict=True)))


async def _webhook(kube: Kube) -> tuple[bool, Registration | None]:
    try:
        listed = (await kube.list(MUTATINGWEBHOOKCONFIGURATIONS)).items
    except KeylessError:
        return False, None
    found = next(_registered(listed), None)
    if found is None:
        return True, None
    configuration, index = found
    hook = configuration["webhooks"][index]
    service = (hook.get("clientConfig") or {}).get("service") or {}
    place = (service.get("namespace", ""), service.get("name", ""))
    registration = Registration(
        configuration["metadata"]["name"],
        index,
        fails_open=hook.get("failurePolicy") == "Ignore",
        created=configuration["metadata"].get("creationTimestamp") or "",
        namespace_selector=hook.get("namespaceSelector"),
        service="/".join(place) if service else "",
    )
    return True, await _process(kube, registration, place if service else None)


def _registered(listed: list[KubeObject]) -> Iterator[tuple[KubeObject, int]]:
    for configuration in listed:
        for index, hook in enumerate(configuration.get("webhooks") or ()):
            if hook.get("name") in _NAMES or configuration["metadata"]["name"] in _NAMES:
                yield configuration, index


async def _process(kube: Kube, found: Registration, place: tuple[str, str] | None) -> Registration:
    """Its pods: behind its Service, or by its usual name where it is registered by URL."""
    labels: Mapping[str, str] = {_NAME_LABEL: _NAMES[0]}
    try:
        if place:
            service = await kube.get(SERVICES, place[1], place[0])
            labels = (service.get("spec") or {}).get("selector") or {}
        pods = (await kube.list(PODS, place[0] if place else None, labels=labels)).items if labels else []
    except KeylessError:
        return found
    ready = sum(is_true(pod, "Ready") for pod in pods) if place else None
    flags = next((_flags(pod) for pod in pods), None)
    return replace(found, flags=flags, ready=ready)


def _flags(pod: KubeObject) -> tuple[str, ...]:
    containers = (pod.get("spec") or {}).get("containers") or ()
    return tuple(str(flag) for each in containers for flag in (*(each.get("command") or ()), *(each.get("args") or ())))


async def _agents(kube: Kube) -> dict[str, bool] | None:
    try:
        pods = (await kube.list(PODS, labels={_NAME_LABEL: AGENT_ADDON})).items
    except KeylessError:
        return None
    found: dict[str, bool] = {}
    for pod in pods:
        node = (pod.get("spec") or {}).get("nodeName") or ""
        if node:
            found[node] = found.get(node, False) or is_true(pod, "Ready")
    return found


async def _labels(kube: Kube, namespace: str) -> Mapping[str, str]:
    try:
        return (await kube.get(NAMESPACES, namespace))["metadata"].get("labels") or {}
    except KeylessError:
        return {}


async def _annotated(kube: Kube, plane: ControlPlane, subject: Subject) -> str:
    try:
        account = await kube.get(SERVICEACCOUNTS, subject.service_account, plane.host_namespace)
    except KeylessError:
        return ""
    return annotated_at(account)


def annotated_at(account: Mapping[str, Any]) -> str:
    """When whoever set the role's annotation last wrote the service account; empty where nobody is known to have.

    The annotation is at least as old: a pod that is younger than this was made after it.
    """
    times = [
        str(entry.get("time") or "")
        for entry in account["metadata"].get("managedFields") or ()
        if f"f:{ANNOTATION}" in str(entry.get("fieldsV1") or "")
    ]
    return max(times, default="")


async def _node(kube: Kube, name: str) -> str:
    try:
        return str(((await kube.get(NODES, name))["metadata"].get("labels") or {}).get(_COMPUTE_TYPE, ""))
    except KeylessError:
        return ""
