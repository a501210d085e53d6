"""Where pods find the cloud: an endpoint outside the cluster, or the cluster IP of its Service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from keyless.api import Permanent
from keyless.kube import Kube, KubeObject
from keyless.kube.resources import SERVICES
from keyless.local.beside.pods import environment
from keyless.local.beside.settings import Settings


@dataclass(frozen=True, slots=True)
class Place:
    """``environ``: what leads a pod's SDK there, empty where pods are told nothing. ``names``: what clients call it."""

    names: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)


async def place_of(settings: Settings, kube: Kube) -> Place:
    """Where the settings put it; raises ``Permanent`` for settings that no start could use."""
    names = names_of(settings)
    if not settings.service:
        told = environment(settings.pods_endpoint, settings.region) if settings.pods_endpoint else {}
        return Place(names, told)
    service = await kube.get(SERVICES, settings.service, settings.namespace)
    return place_of_service(settings, service, names)


def place_of_service(settings: Settings, service: KubeObject, names: tuple[str, ...]) -> Place:
    """An address and no name: S3's clients ask a named endpoint at BUCKET.NAME, which no cluster's DNS knows."""
    at = str((service.get("spec") or {}).get("clusterIP") or "")
    try:
        ip = ip_address(at)
    except ValueError:
        raise Permanent(
            f"Service {settings.namespace}/{settings.service}: expected a cluster IP, found {at or 'none'!r}; "
            "the cloud's own Service has one"
        ) from None
    host = f"[{ip}]" if ip.version == 6 else str(ip)
    metadata = f"http://{host}" if settings.metadata_port >= 0 else ""
    endpoint = settings.pods_endpoint or f"https://{host}"
    service_name = f"{settings.service}.{settings.namespace}.svc"
    return Place(
        tuple(dict.fromkeys((*names, str(ip), service_name))), environment(endpoint, settings.region, metadata)
    )


def names_of(settings: Settings) -> tuple[str, ...]:
    """What clients call the cloud; raises ``Permanent`` for settings that no start could use."""
    if settings.pods_endpoint and urlsplit(settings.pods_endpoint).scheme != "https":
        # SDKs ask for credentials over plain http from loopback and link-local addresses alone.
        raise Permanent(f"--pods-endpoint {settings.pods_endpoint!r}: expected a URL that begins with https://")
    if settings.eks_image and not (settings.service or settings.pods_endpoint):
        raise Permanent("--eks-image: the agent must be told where the cloud is; set --service or --pods-endpoint")
    return tuple(dict.fromkeys(name.strip().strip("[]").lower() for name in settings.names.split(",") if name.strip()))
