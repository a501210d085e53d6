"""Operators of versions that knew no lease. Pure.

They act for as long as their pod runs, and what they want is another version's: two that write the same Deployments
would restart components once for each change of mind. So the holder of the lease waits until they are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from keyless.kube import KubeObject

LABELS: Mapping[str, str] = {"app.kubernetes.io/name": "spaces-operator"}
LEASED_BY = "POD_NAME"
"""The environment variable that names a contender; the chart sets it since there is a lease."""
ENDED = ("Succeeded", "Failed")


def running_predecessors(pods: Iterable[KubeObject]) -> tuple[str, ...]:
    """The names of operator pods that act without asking for the lease."""
    return tuple(
        pod["metadata"]["name"]
        for pod in pods
        if not _knows_leases(pod) and (pod.get("status") or {}).get("phase") not in ENDED
    )


def _knows_leases(pod: KubeObject) -> bool:
    containers = (pod.get("spec") or {}).get("containers") or ()
    return any(variable.get("name") == LEASED_BY for container in containers for variable in container.get("env") or ())
