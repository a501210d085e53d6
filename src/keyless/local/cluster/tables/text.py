"""Small texts inside cells: ages, selectors, container lists, addresses, ports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from keyless.local.cluster.tables.ages import since

Object = Mapping[str, Any]
Cells = Callable[[Object, datetime], list[Any]]

NONE = "<none>"
UNSET = "<unset>"
SHOWN = 3
MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def parts(obj: Object) -> tuple[str, Object, Object]:
    """Name, spec and status."""
    return obj["metadata"].get("name", ""), obj.get("spec") or {}, obj.get("status") or {}


def age(obj: Object, now: datetime) -> str:
    """The AGE cell."""
    return since(obj["metadata"].get("creationTimestamp"), now)


def labels(found: Mapping[str, str] | None) -> str:
    """``a=b,c=d``."""
    return ",".join(f"{key}={value}" for key, value in sorted((found or {}).items())) or NONE


def selector(found: Mapping[str, Any] | None) -> str:
    """A ``metav1.LabelSelector`` in the notation of ``kubectl -l``."""
    parts = {key: f"{key}={value}" for key, value in ((found or {}).get("matchLabels") or {}).items()}
    for expression in (found or {}).get("matchExpressions") or ():
        key, values = expression.get("key", ""), ",".join(sorted(expression.get("values") or ()))
        forms = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        parts[key] = forms.get(expression.get("operator", ""), "<error>")
    return ",".join(text for _, text in sorted(parts.items())) or NONE


def containers(pod_spec: Mapping[str, Any] | None) -> list[str]:
    """Two cells: the names and the images."""
    found = (pod_spec or {}).get("containers") or []
    return [",".join(item.get(key, "") for item in found) for key in ("name", "image")]


def access_modes(modes: Iterable[str] | None) -> str:
    """``RWO,RWX`` in the order in which Kubernetes lists them."""
    present = set(modes or ())
    return ",".join(short for mode, short in MODES.items() if mode in present)


def shortened(found: Sequence[str]) -> str:
    """The first three, and how many are left out."""
    if not found:
        return UNSET
    text = ",".join(found[:SHOWN])
    return f"{text} + {len(found) - SHOWN} more..." if len(found) > SHOWN else text


def service_ports(ports: Iterable[Mapping[str, Any]] | None) -> str:
    """``80/TCP,443:30443/TCP``."""
    texts = []
    for port in ports or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        texts.append(f"{port.get('port', 0)}{node}/{port.get('protocol', '')}")
    return ",".join(texts) or NONE


def ingress_addresses(status: Mapping[str, Any] | None) -> list[str]:
    """The addresses of a load balancer."""
    entries = ((status or {}).get("loadBalancer") or {}).get("ingress") or []
    return sorted({entry.get("ip") or entry.get("hostname") or "" for entry in entries} - {""})


def external_address(service: Mapping[str, Any]) -> str:
    """The EXTERNAL-IP cell of a service."""
    spec = service.get("spec") or {}
    outside = list(spec.get("externalIPs") or ())
    kind = spec.get("type")
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind == "LoadBalancer":
        return ",".join([*ingress_addresses(service.get("status")), *outside]) or "<pending>"
    return ",".join(outside) or NONE


def endpoints(subsets: Iterable[Mapping[str, Any]] | None) -> str:
    """``10.0.0.1:80,10.0.0.2:80``."""
    found: list[str] = []
    for subset in subsets or ():
        addresses = [entry.get("ip", "") for entry in subset.get("addresses") or ()]
        ports = [f":{port.get('port', 0)}" for port in subset.get("ports") or ()] or [""]
        found += [f"{address}{port}" for port in ports for address in addresses]
    if not subsets:
        return NONE
    return shortened(found) if found else ""


def subjects(found: Iterable[Mapping[str, Any]] | None) -> list[str]:
    """Three cells: users, groups, service accounts."""
    cells: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in found or ():
        name = subject.get("name", "")
        kind = subject.get("kind", "")
        if kind in cells:
            cells[kind].append(f"{subject.get('namespace', '')}/{name}" if kind == "ServiceAccount" else name)
    return [", ".join(names) for names in cells.values()]
