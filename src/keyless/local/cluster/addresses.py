"""Cluster addresses of Services. They carry no traffic here; clients and charts only need to see them."""

from __future__ import annotations

from ipaddress import ip_network

from keyless.local.cluster.objects import Object
from keyless.local.cluster.store import Store

SERVICE_RANGE = ip_network("10.100.0.0/16")  # what EKS gives by default
_FIRST_NODE_PORT = 30000


def with_addresses(store: Store, cluster: str, service: Object) -> Object:
    """The Service with its address families, a cluster address and node ports where it needs them and has none."""
    spec = dict(service.get("spec") or {})
    if spec.get("type") == "ExternalName":
        return service
    others = [entry.object["spec"] for entry in store.list(cluster, "", "services")]
    if not spec.get("clusterIP"):
        taken = {other.get("clusterIP") for other in others}
        spec["clusterIP"] = next(str(a) for a in SERVICE_RANGE.hosts() if str(a) not in taken)
    spec["clusterIPs"] = [spec["clusterIP"]]
    headless = spec["clusterIP"] == "None" and not spec.get("selector")
    # A headless Service without a selector names endpoints of either family: Kubernetes gives it both.
    spec.setdefault("ipFamilyPolicy", "RequireDualStack" if headless else "SingleStack")
    spec.setdefault("ipFamilies", ["IPv4", "IPv6"] if headless else ["IPv4"])
    if spec.get("type") in {"NodePort", "LoadBalancer"}:
        spec["ports"] = _with_node_ports(spec.get("ports") or [], others)
    return {**service, "spec": spec, "status": service.get("status") or {"loadBalancer": {}}}


def kept(new: Object, old: Object) -> Object:
    """A change that names no address keeps the one it has."""
    before = old.get("spec") or {}
    missing = {k: before[k] for k in ("clusterIP", "clusterIPs") if k in before and not (new.get("spec") or {}).get(k)}
    return {**new, "spec": {**(new.get("spec") or {}), **missing}}


def _with_node_ports(ports: list[Object], others: list[Object]) -> list[Object]:
    taken = {port.get("nodePort") for spec in [{"ports": ports}, *others] for port in spec.get("ports") or []}
    free = (number for number in range(_FIRST_NODE_PORT, 32768) if number not in taken)
    return [port if port.get("nodePort") else {**port, "nodePort": next(free)} for port in ports]
