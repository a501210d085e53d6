"""Read what Kubernetes has of the chain: values and their history, control planes, workload, pods, issuer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from keyless.api import KeylessError, Permanent
from keyless.identity.verify.helm import is_deployed, revision_of
from keyless.identity.verify.model import (
    SKIP_CONTAINERS,
    SKIP_LABEL,
    STORAGE_VARIABLES,
    Condition,
    ControlPlane,
    Pod,
    Revision,
    Run,
    Space,
    Subject,
    Unread,
    Waiting,
    Workload,
)
from keyless.identity.verify.proxies import NO_PROXY, PROXY_VARIABLES, SET
from keyless.identity.verify.values import flatten
from keyless.kube import Kube, KubeObject, NotFound, Resource, is_true
from keyless.kube.resources import (
    CONFIGMAPS,
    CONTROLPLANES,
    CRONJOBS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    SECRETS,
    SERVICEACCOUNTS,
    STATEFULSETS,
)

VALUES_CONFIGMAP = "spaces-values"
TEMPLATE_HASH = "pod-template-hash"
REVISION_HASH = "controller-revision-hash"


@dataclass(frozen=True, slots=True)
class Release:
    """Where the Space's Helm release is, and the chart as the guides name it."""

    name: str = "spaces"
    namespace: str = "default"
    chart: str = "spaces-helm-chart"


class KubeFacts:
    """The host cluster through one connection (the caller's own)."""

    def __init__(self, kube: Kube, release: Release) -> None:
        self._kube, self._release = kube, release

    async def control_planes(self) -> list[ControlPlane]:
        """All that are placed, in order of group and name; raises Permanent where the API knows no control planes."""
        found = [made for item in await self._listed() if (made := control_plane_of(item)) is not None]
        return sorted(found, key=lambda plane: (plane.group, plane.name))

    async def waiting(self) -> list[Waiting]:
        """All that are not placed yet, in order of group and name."""
        found = [waiting_of(item) for item in await self._listed() if control_plane_of(item) is None]
        return sorted(found, key=lambda plane: (plane.group, plane.name))

    async def _listed(self) -> list[KubeObject]:
        try:
            page = await self._kube.list(CONTROLPLANES)
        except NotFound:
            # A person in a control plane's own shell asks the wrong API, and the server's 404 does not say so.
            raise Permanent(
                "this kubeconfig leads to an API without ControlPlanes, such as a control plane's own: "
                'point KUBECONFIG at the Space\'s host (a local Space: eval "$(keyless env)")'
            ) from None
        return page.items

    async def space(self, planes: list[ControlPlane]) -> Space:
        """Values in force, their history, and the host namespaces."""
        namespaces = frozenset(plane.host_namespace for plane in planes)
        release = self._release
        return Space(await self._values(), await self._history(), namespaces, release.name, release.chart)

    async def _values(self) -> Mapping[str, str]:
        found = await self._get(CONFIGMAPS, VALUES_CONFIGMAP, self._release.namespace)
        text = (found or {}).get("data", {}).get("values.json", "{}")
        return flatten(json.loads(text))

    async def _history(self) -> tuple[Revision, ...] | Unread:
        labels = {"owner": "helm", "name": self._release.name}
        try:
            page = await self._kube.list(SECRETS, self._release.namespace, labels=labels)
        except KeylessError as error:
            return Unread(f"not readable: {error}")
        read = [revision_of(secret) for secret in page.items if is_deployed(secret)]
        return tuple(revision for revision in read if revision is not None)

    async def workload(self, plane: ControlPlane, subject: Subject) -> Workload:
        """Service account, Deployment and pods of a component."""
        found = await self.service_account(plane, subject)
        kind = STATEFULSETS if subject.kind == "statefulset" else DEPLOYMENTS
        deployment = await self._get(kind, subject.deployment, plane.host_namespace)
        return replace(found, deployed=deployment is not None)

    async def scheduled(self, plane: ControlPlane, subject: Subject) -> Workload:
        """Service account, CronJob and its last Job, of a component of the Space's own."""
        found = await self.service_account(plane, subject)
        cron_job = await self._get(CRONJOBS, subject.deployment, plane.host_namespace)
        jobs = (await self._kube.list(JOBS, plane.host_namespace)).items if cron_job is not None else []
        run = last_run_of(jobs, subject.deployment, _pods_of((cron_job or {}).get("spec", {}).get("jobTemplate")))
        return replace(found, deployed=cron_job is not None, last_run=run)

    async def service_account(self, plane: ControlPlane, subject: Subject) -> Workload:
        """A service account and its pods, whatever runs them."""
        namespace = plane.host_namespace
        account = await self._get(SERVICEACCOUNTS, subject.service_account, namespace)
        page = await self._kube.list(PODS, namespace)
        own = [pod for pod in page.items if pod["spec"].get("serviceAccountName") == subject.service_account]
        # During a rollout the old pod is still there, without the identity: it is on its way out.
        staying = tuple(pod_of(pod) for pod in own if not pod["metadata"].get("deletionTimestamp"))
        annotations = None if account is None else account["metadata"].get("annotations") or {}
        return Workload(annotations, False, staying)

    async def issuer(self) -> str:
        """The issuer of the cluster's tokens, as the API server publishes it; empty where it does not say."""
        try:
            answer = await self._kube.request("GET", "/.well-known/openid-configuration")
        except KeylessError:
            return ""
        return str(answer.get("issuer", "")) if isinstance(answer, dict) else ""

    async def _get(self, resource: Resource, name: str, namespace: str) -> KubeObject | None:
        try:
            return await self._kube.get(resource, name, namespace)
        except NotFound:
            return None


def control_plane_of(item: KubeObject) -> ControlPlane | None:
    """A ControlPlane that has its host namespace."""
    status = item.get("status") or {}
    if not status.get("hostNamespace"):
        return None
    conditions = {c["type"]: condition_from(c) for c in status.get("conditions", [])}
    metadata = item["metadata"]
    labels = metadata.get("labels") or {}
    mode = str((status.get("api") or {}).get("mode") or "")
    return ControlPlane(metadata["name"], metadata["namespace"], status["hostNamespace"], conditions, labels, mode)


def condition_from(item: KubeObject) -> Condition:
    """A condition of a ControlPlane's status."""
    words = (str(item.get(key) or "") for key in ("reason", "message", "lastTransitionTime", "pod"))
    return Condition(str(item["status"]), *words)


def waiting_of(item: KubeObject) -> Waiting:
    """A ControlPlane that has no host namespace."""
    metadata, conditions = item["metadata"], (item.get("status") or {}).get("conditions") or []
    ready: KubeObject = next((each for each in conditions if each["type"] == "Ready"), {})
    return Waiting(metadata["name"], metadata["namespace"], ready.get("reason", ""), ready.get("message", ""))


def last_run_of(jobs: Iterable[KubeObject], cron_job: str, pods: KubeObject | None = None) -> Run | None:
    """The newest Job that was made from a CronJob, by its schedule or by a person; ``pods``: what it makes now."""
    prefix = f"{cron_job}-"
    own = [job for job in jobs if str(job["metadata"]["name"]).startswith(prefix)]
    if not own:
        return None
    newest = max(own, key=lambda job: (job["metadata"].get("creationTimestamp") or "", job["metadata"]["name"]))
    ended = {c["type"]: c for c in (newest.get("status") or {}).get("conditions") or [] if c.get("status") == "True"}
    outdated = pods is not None and _pods_of(newest) not in (None, pods)
    for state in ("Complete", "Failed"):
        if state in ended:
            why = " ".join(filter(None, (ended[state].get("reason"), ended[state].get("message"))))
            return Run(newest["metadata"]["name"], state, why, outdated)
    return Run(newest["metadata"]["name"], "Running", outdated=outdated)


def _pods_of(job: KubeObject | None) -> KubeObject | None:
    """The spec of the pods that a Job, or a template of one, makes; the API server fills in both alike."""
    found: KubeObject | None = ((job or {}).get("spec") or {}).get("template", {}).get("spec")
    return found


def pod_of(item: KubeObject) -> Pod:
    """A pod's part in the chain: AWS's variables and where it stores; values of secrets are not kept."""
    metadata, spec, status = item["metadata"], item["spec"], item.get("status") or {}
    labels = metadata.get("labels") or {}
    env = {
        variable["name"]: "" if "SECRET" in variable["name"] else variable.get("value", "")
        for container in _running(spec)
        for variable in container.get("env", [])
        if variable["name"].startswith("AWS_") or variable["name"] in (*STORAGE_VARIABLES, *NO_PROXY)
    }
    env |= {name: SET for name in PROXY_VARIABLES if _has(spec, name)}
    audiences = [audience for name, audience in _tokens(spec) if name == "aws-iam-token"]
    return Pod(
        name=metadata["name"],
        ready=is_true(item, "Ready"),
        waiting=_waiting(status),
        env=env,
        token_audience=audiences[0] if audiences else "",
        node=spec.get("nodeName") or "",
        created=metadata.get("creationTimestamp") or "",
        revision=labels.get(TEMPLATE_HASH) or labels.get(REVISION_HASH, ""),
        skipped=SKIP_LABEL in labels or _all_skipped(metadata, spec),
    )


def _running(spec: KubeObject) -> list[KubeObject]:
    """Containers, and sidecars, which begin before them."""
    sidecars = [each for each in spec.get("initContainers", []) if each.get("restartPolicy") == "Always"]
    return [*spec.get("containers", []), *sidecars]


def _all_skipped(metadata: KubeObject, spec: KubeObject) -> bool:
    """Whether the webhook is asked to leave out all of a pod: some of it may be none of its business."""
    annotations = metadata.get("annotations") or {}
    listed = {name.strip() for name in annotations.get(SKIP_CONTAINERS, "").split(",")}
    left = [each for each in _running(spec) if each.get("name") not in listed]
    return SKIP_CONTAINERS in annotations and not left


def _has(spec: KubeObject, variable: str) -> bool:
    named = (each for container in spec.get("containers", []) for each in container.get("env", []))
    return any(each["name"] == variable and each.get("value") != "" for each in named)


def _tokens(spec: KubeObject) -> Iterator[tuple[str, str]]:
    for volume in spec.get("volumes", []):
        for source in volume.get("projected", {}).get("sources", []):
            if "serviceAccountToken" in source:
                yield volume["name"], source["serviceAccountToken"].get("audience", "")


def _waiting(status: KubeObject) -> str:
    for container in status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting")
        if waiting:
            return str(waiting.get("reason", ""))
    return str(status.get("reason", ""))
