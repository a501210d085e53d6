"""What is defaulted to what: the data and the small rules behind :mod:`defaults`.

Facts: the API reference, https://kubernetes.io/docs/reference/kubernetes-api/. A rule gets a struct of its
own to change and answers it; nested values are still the caller's and are replaced, never changed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

Value = dict[str, Any]
Rule = Callable[[Value], Value]

MODE = 0o644
RBAC_GROUP = "rbac.authorization.k8s.io"
WEBHOOK: Value = {
    "failurePolicy": "Fail",
    "matchPolicy": "Equivalent",
    "namespaceSelector": {},
    "objectSelector": {},
    "timeoutSeconds": 10,
}
FILLS: Mapping[str, Mapping[str, Any]] = {
    "admissionregistration/v1.MutatingWebhook": {**WEBHOOK, "reinvocationPolicy": "Never"},
    "admissionregistration/v1.RuleWithOperations": {"scope": "*"},
    "admissionregistration/v1.ServiceReference": {"port": 443},
    "admissionregistration/v1.ValidatingWebhook": WEBHOOK,
    "apiextensions/v1.CustomResourceDefinitionSpec": {"conversion": {"strategy": "None"}},
    "apiextensions/v1.ServiceReference": {"port": 443},
    "apps/v1.DaemonSetSpec": {"revisionHistoryLimit": 10},
    "apps/v1.DeploymentSpec": {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600},
    "apps/v1.ReplicaSetSpec": {"replicas": 1},
    "apps/v1.StatefulSetPersistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    "apps/v1.StatefulSetSpec": {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "podManagementPolicy": "OrderedReady",
        "persistentVolumeClaimRetentionPolicy": {},
    },
    "authentication/v1.TokenRequestSpec": {"expirationSeconds": 3600},
    "batch/v1.CronJobSpec": {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    },
    "core/v1.AzureDiskVolumeSource": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "readOnly": False,
        "kind": "Shared",
    },
    "core/v1.ConfigMapProjection": {},
    "core/v1.ConfigMapVolumeSource": {"defaultMode": MODE},
    "core/v1.Container": {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"},
    "core/v1.DownwardAPIVolumeSource": {"defaultMode": MODE},
    "core/v1.EndpointPort": {"protocol": "TCP"},
    "core/v1.EphemeralContainer": {
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    },
    "core/v1.GRPCAction": {"service": ""},
    "core/v1.HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "core/v1.HostPathVolumeSource": {"type": ""},
    "core/v1.ISCSIVolumeSource": {"iscsiInterface": "default"},
    "core/v1.NamespaceSpec": {"finalizers": ["kubernetes"]},
    "core/v1.NamespaceStatus": {"phase": "Active"},
    "core/v1.ObjectFieldSelector": {"apiVersion": "v1"},
    "core/v1.PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    "core/v1.PersistentVolumeClaimStatus": {"phase": "Pending"},
    "core/v1.PersistentVolumeSpec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
    "core/v1.PersistentVolumeStatus": {"phase": "Pending"},
    "core/v1.PodSpec": {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
    },
    "core/v1.PodStatus": {"phase": "Pending"},
    "core/v1.Probe": {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    "core/v1.ProjectedVolumeSource": {"defaultMode": MODE},
    "core/v1.ReplicationControllerSpec": {"replicas": 1},
    "core/v1.Secret": {"type": "Opaque"},
    "core/v1.SecretVolumeSource": {"defaultMode": MODE},
    "core/v1.ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "core/v1.ServicePort": {"protocol": "TCP"},
    "core/v1.ServiceSpec": {"type": "ClusterIP", "sessionAffinity": "None"},
    "discovery/v1.EndpointPort": {"name": "", "protocol": "TCP"},
    "networking/v1.IngressClassParametersReference": {"scope": "Cluster"},
    "networking/v1.NetworkPolicyPort": {"protocol": "TCP"},
    "rbac/v1.RoleRef": {"apiGroup": RBAC_GROUP},
    "scheduling/v1.PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
    "storage/v1.StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
}


def _missing(spec: Value, key: str, value: Any) -> None:
    if spec.get(key) in (None, ""):
        spec[key] = value


def _tag(image: str) -> str:
    """The tag of an image reference; ``latest`` when it has neither tag nor digest."""
    name, at, _ = image.partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    return tag if colon else ("" if at else "latest")


def _container(container: Value) -> Value:
    _missing(container, "imagePullPolicy", "Always" if _tag(container.get("image", "")) == "latest" else "IfNotPresent")
    return container


def _pod_spec(spec: Value) -> Value:
    # The deprecated alias is always written beside the name.
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name
    return spec


def _volume(volume: Value) -> Value:
    if set(volume) <= {"name"}:
        volume["emptyDir"] = {}
    image = volume.get("image")
    if isinstance(image, dict) and not image.get("pullPolicy"):
        policy = "Always" if _tag(image.get("reference", "")) == "latest" else "IfNotPresent"
        volume["image"] = {**image, "pullPolicy": policy}
    return volume


def _deployment_spec(spec: Value) -> Value:
    strategy = dict(spec.get("strategy") or {})
    _missing(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = {"maxUnavailable": "25%", "maxSurge": "25%"}
        strategy["rollingUpdate"] = {**rolling, **(strategy.get("rollingUpdate") or {})}
    return {**spec, "strategy": strategy}


def _daemon_set_spec(spec: Value) -> Value:
    strategy = dict(spec.get("updateStrategy") or {})
    _missing(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = {"maxUnavailable": 1, "maxSurge": 0}
        strategy["rollingUpdate"] = {**rolling, **(strategy.get("rollingUpdate") or {})}
    return {**spec, "updateStrategy": strategy}


def _stateful_set_spec(spec: Value) -> Value:
    strategy = dict(spec.get("updateStrategy") or {})
    if not strategy.get("type"):
        strategy = {"type": "RollingUpdate", "rollingUpdate": strategy.get("rollingUpdate") or {}}
    if strategy["type"] == "RollingUpdate" and strategy.get("rollingUpdate") is not None:
        strategy["rollingUpdate"] = {"partition": 0, **strategy["rollingUpdate"]}
    claims = [
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim}
        for claim in spec.get("volumeClaimTemplates") or ()
    ]
    return {**spec, "updateStrategy": strategy, **({"volumeClaimTemplates": claims} if claims else {})}


def _job_spec(spec: Value) -> Value:
    """Only for Jobs: the template of a CronJob is left as it is."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    _missing(spec, "parallelism", 1)
    _missing(spec, "backoffLimit", 6 if spec.get("backoffLimitPerIndex") is None else 2147483647)
    _missing(spec, "completionMode", "NonIndexed")
    _missing(spec, "suspend", False)
    _missing(spec, "podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    _missing(spec, "manualSelector", False)
    return spec


def _service_spec(spec: Value) -> Value:
    if spec["sessionAffinity"] == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 10800, **client}}
    else:
        spec.pop("sessionAffinityConfig", None)
    external = spec["type"] in {"NodePort", "LoadBalancer"} or (spec["type"] == "ClusterIP" and spec.get("externalIPs"))
    if external:
        _missing(spec, "externalTrafficPolicy", "Cluster")
    if spec["type"] != "ExternalName":
        _missing(spec, "internalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        _missing(spec, "allocateLoadBalancerNodePorts", True)
    return spec


def _service_port(port: Value) -> Value:
    if port.get("targetPort") in (None, "", 0):
        port["targetPort"] = port.get("port", 0)
    return port


def _subject(subject: Value) -> Value:
    if subject.get("kind") in {"User", "Group"}:
        _missing(subject, "apiGroup", RBAC_GROUP)
    return subject


def _network_policy_spec(spec: Value) -> Value:
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    return spec


def _crd_spec(spec: Value) -> Value:
    names = dict(spec.get("names") or {})
    kind = names.get("kind", "")
    if kind:
        _missing(names, "singular", kind.lower())
        _missing(names, "listKind", f"{kind}List")
    return {**spec, "names": names}


def _autoscaler_spec(spec: Value) -> Value:
    _missing(spec, "minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    return spec


def _limit(item: Value) -> Value:
    """For containers a limit follows from the maximum, a request from the limit, else from the minimum."""
    if item.get("type") != "Container":
        return item
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    filled = {"default": limits, "defaultRequest": requests}
    return {**item, **{key: value for key, value in filled.items() if value}}


RULES: Mapping[str, Rule] = {
    "apiextensions/v1.CustomResourceDefinitionSpec": _crd_spec,
    "apps/v1.DaemonSetSpec": _daemon_set_spec,
    "apps/v1.DeploymentSpec": _deployment_spec,
    "apps/v1.StatefulSetSpec": _stateful_set_spec,
    "autoscaling/v2.HorizontalPodAutoscalerSpec": _autoscaler_spec,
    "core/v1.Container": _container,
    "core/v1.EphemeralContainer": _container,
    "core/v1.LimitRangeItem": _limit,
    "core/v1.PodSpec": _pod_spec,
    "core/v1.ServicePort": _service_port,
    "core/v1.ServiceSpec": _service_spec,
    "core/v1.Volume": _volume,
    "networking/v1.NetworkPolicySpec": _network_policy_spec,
    "rbac/v1.Subject": _subject,
}


# What is done once for a whole object, before its parts.


def _namespace(obj: Value) -> Value:
    metadata = obj.get("metadata") or {}
    name = metadata.get("name")
    if not name:
        return obj
    labels = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": name}
    return {**obj, "metadata": {**metadata, "labels": labels}}


def _secret(obj: Value) -> Value:
    plain = obj.get("stringData")
    if not plain:
        return obj
    encoded = {key: b64encode(value.encode()).decode() for key, value in plain.items()}
    rest = {key: value for key, value in obj.items() if key != "stringData"}
    return {**rest, "data": {**(obj.get("data") or {}), **encoded}}


def _job(obj: Value) -> Value:
    spec = _job_spec(dict(obj.get("spec") or {}))
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    metadata = obj.get("metadata") or {}
    if labels and not metadata.get("labels"):
        metadata = {**metadata, "labels": labels}
    return {**obj, "metadata": metadata, "spec": spec}


def _pod(obj: Value) -> Value:
    spec = dict(obj.get("spec") or {})
    for part in ("containers", "initContainers"):
        if spec.get(part):
            spec[part] = [_requests_from_limits(container, bool(spec.get("hostNetwork"))) for container in spec[part]]
    _missing(spec, "enableServiceLinks", True)
    if not spec.get("priorityClassName"):
        _missing(spec, "priority", 0)
        _missing(spec, "preemptionPolicy", "PreemptLowerPriority")
    spec["tolerations"] = _tolerations(spec.get("tolerations") or [])
    status = dict(obj.get("status") or {})
    _missing(status, "qosClass", quality_of_service(spec))
    return {**obj, "spec": spec, "status": status}


def _requests_from_limits(container: Value, host_network: bool) -> Value:
    made = dict(container)
    resources = made.get("resources") or {}
    if resources.get("limits"):
        made["resources"] = {**resources, "requests": {**resources["limits"], **(resources.get("requests") or {})}}
    if host_network and made.get("ports"):
        made["ports"] = [
            port if port.get("hostPort") else {**port, "hostPort": port.get("containerPort", 0)}
            for port in made["ports"]
        ]
    return made


def _tolerations(present: list[Value]) -> list[Value]:
    made = list(present)
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        covered = any(
            item.get("key", "") in {key, ""} and item.get("effect", "") in {"NoExecute", ""} for item in present
        )
        if not covered:
            made.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    return made


def quality_of_service(spec: Value) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``, by the containers' cpu and memory."""
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    parts = [container.get("resources") or {} for container in containers]
    if not any(
        (part.get(side) or {}).get(name)
        for part in parts
        for side in ("limits", "requests")
        for name in ("cpu", "memory")
    ):
        return "BestEffort"
    for part in parts:
        limits, requests = part.get("limits") or {}, part.get("requests") or {}
        if not all(
            limits.get(name) and requests.get(name, limits.get(name)) == limits[name] for name in ("cpu", "memory")
        ):
            return "Burstable"
    return "Guaranteed"


def _replication_controller(obj: Value) -> Value:
    spec, metadata = dict(obj.get("spec") or {}), dict(obj.get("metadata") or {})
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        _missing(spec, "selector", labels)
        _missing(metadata, "labels", labels)
    return {**obj, "metadata": metadata, "spec": spec}


def _crd(obj: Value) -> Value:
    status = dict(obj.get("status") or {})
    if not status.get("storedVersions"):
        versions = (obj.get("spec") or {}).get("versions") or []
        status["storedVersions"] = [version.get("name", "") for version in versions if version.get("storage")][:1]
    return {**obj, "status": status}


def _node(obj: Value) -> Value:
    status = obj.get("status") or {}
    if status.get("capacity") and not status.get("allocatable"):
        return {**obj, "status": {**status, "allocatable": status["capacity"]}}
    return obj


KIND_RULES: Mapping[str, Rule] = {
    "apiextensions/v1.CustomResourceDefinition": _crd,
    "batch/v1.Job": _job,
    "core/v1.Namespace": _namespace,
    "core/v1.Node": _node,
    "core/v1.Pod": _pod,
    "core/v1.ReplicationController": _replication_controller,
    "core/v1.Secret": _secret,
}
