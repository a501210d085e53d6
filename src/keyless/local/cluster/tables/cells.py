"""The cells of each built-in kind, wide ones included; the columns are in ``columns.json``.

A function takes the object and the time and answers the cells in the order of the columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from keyless.local.cluster.tables import text
from keyless.local.cluster.tables.ages import UNKNOWN, since
from keyless.local.cluster.tables.pods import pod_cells
from keyless.local.cluster.tables.text import NONE, UNSET, Cells, Object, age, parts
from keyless.local.cluster.tables.workloads import WORKLOADS

ROLE_PREFIX = "node-role.kubernetes.io/"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def _created(obj: Object, now: datetime) -> list[Any]:  # noqa: ARG001 - a Cells function
    return [obj["metadata"].get("name", ""), obj["metadata"].get("creationTimestamp")]


def _config_map(obj: Object, now: datetime) -> list[Any]:
    count = len(obj.get("data") or ()) + len(obj.get("binaryData") or ())
    return [parts(obj)[0], count, age(obj, now)]


def _secret(obj: Object, now: datetime) -> list[Any]:
    return [parts(obj)[0], obj.get("type", ""), len(obj.get("data") or ()), age(obj, now)]


def _service_account(obj: Object, now: datetime) -> list[Any]:
    return [parts(obj)[0], len(obj.get("secrets") or ()), age(obj, now)]


def _namespace(obj: Object, now: datetime) -> list[Any]:
    name, _, status = parts(obj)
    return [name, status.get("phase", ""), age(obj, now)]


def _endpoints(obj: Object, now: datetime) -> list[Any]:
    return [parts(obj)[0], text.endpoints(obj.get("subsets")), age(obj, now)]


def _event(obj: Object, now: datetime) -> list[Any]:
    involved = obj.get("involvedObject") or obj.get("regarding") or {}
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    series = obj.get("series") or {}
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = series.get("lastObservedTime") or obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or first
    count = series.get("count") or obj.get("count") or obj.get("deprecatedCount") or 1
    kind = involved.get("kind", "").lower()
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    return [
        since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{involved['name']}" if involved.get("name") else kind,
        involved.get("fieldPath", ""),
        f"{component}, {host}" if host else component,
        (obj.get("message") or obj.get("note") or "").strip(),
        since(first, now),
        count,
        parts(obj)[0],
    ]


def _node(obj: Object, now: datetime) -> list[Any]:
    name, spec, status = parts(obj)
    ready = [item.get("status") for item in status.get("conditions") or () if item.get("type") == "Ready"]
    words = [("Ready" if ready[-1] == "True" else "NotReady") if ready else "Unknown"]
    if spec.get("unschedulable"):
        words.append("SchedulingDisabled")
    labels = obj["metadata"].get("labels") or {}
    roles = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)}
    roles.add(labels.get("kubernetes.io/role", ""))
    info = status.get("nodeInfo") or {}
    addresses = {entry.get("type"): entry.get("address") for entry in reversed(status.get("addresses") or [])}
    return [
        name,
        ",".join(words),
        ",".join(sorted(roles - {""})) or NONE,
        age(obj, now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP") or NONE,
        addresses.get("ExternalIP") or NONE,
        *(info.get(key) or UNKNOWN for key in ("osImage", "kernelVersion", "containerRuntimeVersion")),
    ]


def _claim(obj: Object, now: datetime) -> list[Any]:
    name, spec, status = parts(obj)
    bound = bool(spec.get("volumeName"))
    storage_class = spec.get("storageClassName") or (obj["metadata"].get("annotations") or {}).get(
        "volume.beta.kubernetes.io/storage-class", ""
    )
    return [
        name,
        "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", ""),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "0") if bound else "",
        text.access_modes(status.get("accessModes")) if bound else "",
        storage_class,
        spec.get("volumeAttributesClassName") or UNSET,
        age(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def _volume(obj: Object, now: datetime) -> list[Any]:
    name, spec, status = parts(obj)
    claim = spec.get("claimRef")
    return [
        name,
        (spec.get("capacity") or {}).get("storage", "0"),
        text.access_modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", ""),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or UNSET,
        status.get("reason", ""),
        age(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def _service(obj: Object, now: datetime) -> list[Any]:
    name, spec, _ = parts(obj)
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP") or NONE]
    return [
        name,
        spec.get("type", ""),
        addresses[0],
        text.external_address(obj),
        text.service_ports(spec.get("ports")),
        age(obj, now),
        text.labels(spec.get("selector")),
    ]


def _quota(obj: Object, now: datetime) -> list[Any]:
    name, _, status = parts(obj)
    used = status.get("used") or {}
    sides: dict[bool, list[str]] = {False: [], True: []}
    for resource, hard in sorted((status.get("hard") or {}).items()):
        sides[resource.startswith("limits.")].append(f"{resource}: {used.get(resource, '0')}/{hard}")
    return [name, age(obj, now), ", ".join(sides[False]), ", ".join(sides[True])]


def _webhooks(obj: Object, now: datetime) -> list[Any]:
    return [parts(obj)[0], len(obj.get("webhooks") or ()), age(obj, now)]


def _lease(obj: Object, now: datetime) -> list[Any]:
    name, spec, _ = parts(obj)
    return [name, spec.get("holderIdentity", ""), age(obj, now)]


def _binding(obj: Object, now: datetime) -> list[Any]:
    ref = obj.get("roleRef") or {}
    role = f"{ref.get('kind', '')}/{ref.get('name', '')}"
    return [parts(obj)[0], role, age(obj, now), *text.subjects(obj.get("subjects"))]


def _slice(obj: Object, now: datetime) -> list[Any]:
    ports = ["*" if port.get("port") is None else str(port["port"]) for port in obj.get("ports") or ()]
    addresses = [address for entry in obj.get("endpoints") or () for address in entry.get("addresses") or ()]
    kind = obj.get("addressType", "")
    return [parts(obj)[0], kind, text.shortened(ports), text.shortened(addresses), age(obj, now)]


def _ingress(obj: Object, now: datetime) -> list[Any]:
    name, spec, status = parts(obj)
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    return [
        name,
        spec.get("ingressClassName") or NONE,
        text.shortened(hosts) if hosts else "*",
        ",".join(text.ingress_addresses(status)),
        "80, 443" if spec.get("tls") else "80",
        age(obj, now),
    ]


def _ingress_class(obj: Object, now: datetime) -> list[Any]:
    name, spec, _ = parts(obj)
    found = spec.get("parameters")
    shown = NONE
    if found:
        group = f".{found['apiGroup']}" if found.get("apiGroup") else ""
        shown = f"{found.get('kind', '')}{group}/{found.get('name', '')}"
    return [name, spec.get("controller", ""), shown, age(obj, now)]


def _network_policy(obj: Object, now: datetime) -> list[Any]:
    name, spec, _ = parts(obj)
    return [name, text.selector(spec.get("podSelector")), age(obj, now)]


def _disruption_budget(obj: Object, now: datetime) -> list[Any]:
    name, spec, status = parts(obj)
    limits = (spec.get("minAvailable"), spec.get("maxUnavailable"))
    shown = [str(limit) if limit is not None else "N/A" for limit in limits]
    return [name, *shown, status.get("disruptionsAllowed", 0), age(obj, now)]


def _priority_class(obj: Object, now: datetime) -> list[Any]:
    policy = obj.get("preemptionPolicy", "")
    return [parts(obj)[0], obj.get("value", 0), bool(obj.get("globalDefault")), age(obj, now), policy]


def _storage_class(obj: Object, now: datetime) -> list[Any]:
    preferred = (obj["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"
    return [
        parts(obj)[0] + (" (default)" if preferred else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "Immediate",
        bool(obj.get("allowVolumeExpansion")),
        age(obj, now),
    ]


CELLS: Mapping[str, Cells] = {
    **WORKLOADS,
    "/configmaps": _config_map,
    "/endpoints": _endpoints,
    "/events": _event,
    "/namespaces": _namespace,
    "/nodes": _node,
    "/persistentvolumeclaims": _claim,
    "/persistentvolumes": _volume,
    "/pods": pod_cells,
    "/resourcequotas": _quota,
    "/secrets": _secret,
    "/serviceaccounts": _service_account,
    "/services": _service,
    "admissionregistration.k8s.io/mutatingwebhookconfigurations": _webhooks,
    "admissionregistration.k8s.io/validatingwebhookconfigurations": _webhooks,
    "coordination.k8s.io/leases": _lease,
    "discovery.k8s.io/endpointslices": _slice,
    "events.k8s.io/events": _event,
    "networking.k8s.io/ingressclasses": _ingress_class,
    "networking.k8s.io/ingresses": _ingress,
    "networking.k8s.io/networkpolicies": _network_policy,
    "policy/poddisruptionbudgets": _disruption_budget,
    "rbac.authorization.k8s.io/clusterrolebindings": _binding,
    "rbac.authorization.k8s.io/rolebindings": _binding,
    "scheduling.k8s.io/priorityclasses": _priority_class,
    "storage.k8s.io/storageclasses": _storage_class,
}


def cells_of(key: str) -> Cells:
    """How to make the cells of ``group/resource``; kinds without a printer show name and creation time."""
    return CELLS.get(key, _created)
