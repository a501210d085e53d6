"""A node that went for good with a pod on it: told, and never acted upon. Pure.

Kubernetes deletes the pods of a node that does not report, but only a kubelet says that a pod has ended; until then
none takes its place on a volume that one node may write alone, for two etcds on one volume would destroy it. Whether
the node is off or only silent, nobody but its owner knows.
https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from keyless.kube import KubeObject, condition_of

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
RECREATED_WITHIN = "a minute"
"""Kubernetes' own collector of pods looks every 20 s for nodes that are gone, and gives them 40 s to come back."""


def suspects(pods: Iterable[KubeObject]) -> tuple[str, ...]:
    """The nodes of pods that are not ready or on their way out, by name: they may be why."""
    names = (
        (pod.get("spec") or {}).get("nodeName")
        for pod in pods
        if pod["metadata"].get("deletionTimestamp") or not _is_ready(pod)
    )
    return tuple(sorted({name for name in names if name}))


def told(pods: Sequence[KubeObject], nodes: Mapping[str, KubeObject | None]) -> str:
    """What is wrong with the node of one of these pods, and the next step; empty: nothing is known to be.

    ``nodes``: the suspects that were looked at; None: there is no such node any more.
    """
    for pod in pods:
        name = (pod.get("spec") or {}).get("nodeName") or ""
        if name not in nodes or name not in suspects([pod]):
            continue
        where = f"pod {pod['metadata']['name']} is on node {name}"
        node = nodes[name]
        if node is None:
            return f"{where}, which is no node of the cluster any more: Kubernetes removes it within {RECREATED_WITHIN}"
        ready = condition_of((node.get("status") or {}).get("conditions"), "Ready")
        # False is said by a kubelet that is there.
        if ready is None or ready.get("status") != "Unknown":
            continue
        since = f"which has not reported since {ready.get('lastTransitionTime') or 'long ago'}"
        return f"{where}, {since}: {_step(name, node)}"
    return ""


def _step(name: str, node: KubeObject) -> str:
    taints = ((node.get("spec") or {}).get("taints")) or ()
    if any(each.get("key") == OUT_OF_SERVICE for each in taints):
        return (
            f"it is marked as out of service, so the pod is made elsewhere; when {name} is back "
            f"`kubectl taint nodes {name} {OUT_OF_SERVICE}-`"
        )
    return (
        "no other pod takes its place while it may still run there, for two would destroy the volume; where the node "
        f"comes back all goes on by itself; only where it is off for good `kubectl taint nodes {name} "
        f"{OUT_OF_SERVICE}=nodeshutdown:NoExecute` has the pod made elsewhere"
    )


def _is_ready(pod: KubeObject) -> bool:
    ready = condition_of((pod.get("status") or {}).get("conditions"), "Ready")
    return ready is not None and ready.get("status") == "True"
