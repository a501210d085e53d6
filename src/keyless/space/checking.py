"""Whether a Space is installed whole: ``keyless verify space``, and what ``helm test`` runs inside the cluster.

``gather`` reads, ``judge`` decides (pure). What a cluster does not answer is a check that does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from keyless.api import KeylessError, Refusal, crds
from keyless.api.words import counted
from keyless.kube import Kube, KubeObject, NotFound, condition_of, is_true
from keyless.kube.resources import CONFIGMAPS, CONTROLPLANES, CRDS, DEPLOYMENTS, LEASES
from keyless.space.parsing import parse_values

OPERATOR = "spaces-operator"
VALUES = "spaces-values"


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is of an installation in one namespace; None: it is not there."""

    namespace: str
    definitions: dict[str, KubeObject | None]
    operator: KubeObject | None
    lease: KubeObject | None
    values: KubeObject | None
    control_planes: int | None
    """How many; None: the API server does not serve the kind."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold, and what was found."""

    name: str
    holds: bool
    said: str


async def gather(kube: Kube, namespace: str) -> Seen:
    """Read what ``judge`` asks for. Raises ``KeylessError`` where the API server refuses or does not answer."""
    definitions = {name: await _get(kube.get(CRDS, name)) for name in crds.HOST}
    try:
        planes: int | None = len((await kube.list(CONTROLPLANES)).items)
    except NotFound:
        planes = None
    return Seen(
        namespace,
        definitions,
        await _get(kube.get(DEPLOYMENTS, OPERATOR, namespace)),
        await _get(kube.get(LEASES, OPERATOR, namespace)),
        await _get(kube.get(CONFIGMAPS, VALUES, namespace)),
        planes,
    )


def judge(seen: Seen) -> tuple[Check, ...]:
    """Every check, in the order in which one needs the other."""
    return tuple(_checks(seen))


async def check(kube: Kube, namespace: str) -> tuple[Check, ...]:
    """Gather and judge; a cluster that does not answer is the one check that does not hold."""
    try:
        return judge(await gather(kube, namespace))
    except KeylessError as error:
        return (Check("cluster", False, str(error)),)


def _checks(seen: Seen) -> Iterator[Check]:
    namespace = seen.namespace
    text = ((seen.values or {}).get("data") or {}).get("values.json")
    read = None if text is None else parse_values(text)
    if read is None:
        missing = (
            f"ConfigMap {VALUES} in namespace {namespace} has no values.json; `helm list -A` shows where spaces is"
        )
        yield Check("values", False, missing)
    else:
        yield Check("values", not isinstance(read, Refusal), read.detail if isinstance(read, Refusal) else "read")
    yield Check("operator", *_operator(seen.operator, namespace))
    holder = ((seen.lease or {}).get("spec") or {}).get("holderIdentity") or ""
    waits = f"no pod holds Lease {OPERATOR} in namespace {namespace}; `kubectl logs -n {namespace} deploy/{OPERATOR}`"
    yield Check("lease", bool(holder), f"held by {holder}" if holder else waits)
    bad = [name for name, live in seen.definitions.items() if live is None or not is_true(live, "Established")]
    if bad or seen.control_planes is None:
        yield Check("definitions", False, f"not served: {', '.join(bad or crds.HOST[:1])}; the operator brings them")
    else:
        yield Check("definitions", True, f"served, with {counted(seen.control_planes, 'control plane')}")


def _operator(deployment: KubeObject | None, namespace: str) -> tuple[bool, str]:
    if deployment is None:
        return False, f"Deployment {OPERATOR} is not in namespace {namespace}; `helm list -A` shows where spaces is"
    status = deployment.get("status") or {}
    ready, wanted = status.get("readyReplicas") or 0, (deployment.get("spec") or {}).get("replicas", 1)
    if ready:
        return True, f"{ready} of {counted(wanted, 'pod')} ready"
    condition = condition_of(status.get("conditions"), "Available") or {}
    why = f": {condition['message']}" if condition.get("message") else ""
    look = f"`kubectl get pods -n {namespace} -l app.kubernetes.io/name={OPERATOR}`"
    return False, f"no pod of {wanted} is ready{why}; {look}"


async def _get(asked: Any) -> KubeObject | None:
    try:
        found: KubeObject = await asked
    except NotFound:
        return None
    return found
