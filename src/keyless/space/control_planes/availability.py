"""Whether a component's pods run as they should, and what holds them back, in Kubernetes' own words. Pure.

A Deployment whose old pod still serves is available while its new one never starts: its own condition ``Progressing``
tells that, and the newest pod tells why.

Conditions of Deployments: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#failed-deployment
"""

from __future__ import annotations

from collections.abc import Sequence

from keyless.kube import KubeObject, condition_of

PASSING = ("ContainerCreating", "PodInitializing")
"""What every pod waits for when it starts."""
OF_IMAGE = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
"""Told with the image's name: of a pod with several containers its own name does not say which one is missing."""
LONGEST = 300
"""Characters kept of another system's sentence: a condition is read in a table."""


def unavailable(name: str, deployment: KubeObject | None, pods: Sequence[KubeObject]) -> str:
    """Why the component does not run as it should, with its name; empty: it does."""
    status = (deployment or {}).get("status") or {}
    conditions = status.get("conditions")
    progressing = condition_of(conditions, "Progressing")
    overdue = bool(progressing and progressing.get("reason") == "ProgressDeadlineExceeded")
    failed = condition_of(conditions, "ReplicaFailure")
    refused = failed is not None and failed.get("status") == "True"
    why = _of_pods(pods)
    # One pod serves, and nothing says that another shall and cannot.
    if status.get("availableReplicas") and not (overdue or refused or why):
        return ""
    if refused and failed is not None:
        return f"{name}: its pod is refused: {_short(failed.get('message', ''))}"
    late = "its rollout did not finish within its progress deadline" if overdue else ""
    return f"{name}: {', '.join(each for each in (late, why) if each) or 'no ready pod yet'}"


def _of_pods(pods: Sequence[KubeObject]) -> str:
    """What holds back the newest pod that is not on its way out."""
    staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    newest = max(staying, key=lambda pod: str(pod["metadata"].get("creationTimestamp") or ""), default=None)
    why = _of_pod(newest) if newest is not None else ""
    return f"pod {newest['metadata']['name']} is {why}" if newest is not None and why else ""


def _of_pod(pod: KubeObject) -> str:
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason and reason not in PASSING:
            return f"{reason}{_image(container) if reason in OF_IMAGE else ''}{_ended(container)}"
    scheduled = condition_of(status.get("conditions"), "PodScheduled")
    if scheduled is not None and scheduled.get("status") == "False":
        return f"Pending: {scheduled.get('reason', '')}: {_short(scheduled.get('message', ''))}"
    if status.get("phase") == "Failed":
        return f"Failed: {status.get('reason') or 'its containers ended'}"
    return ""


def _image(container: KubeObject) -> str:
    return f": {_short(container['image'])}" if container.get("image") else ""


def _ended(container: KubeObject) -> str:
    """How the container ended last. Its own message is not quoted: a program may write anything there."""
    last = (container.get("lastState") or {}).get("terminated") or {}
    return f" (it ended with exit code {last['exitCode']}, {last.get('reason', '')})" if "exitCode" in last else ""


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
