"""The cluster that was given: its kubeconfig as ours, what it says of itself, and whether it has nodes."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from keyless.api import Permanent
from keyless.kube import Kube, KubeObject, NotFound
from keyless.kube.resources import CONFIGMAPS, NODES
from keyless.local.joined.rights import SPACE

PATHS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
CLIENT_CA = ("extension-apiserver-authentication", "kube-system")
LOOPBACK = "127.0.0.1"


def own_kubeconfig(given: Path) -> str:
    """The kubeconfig as it can lie elsewhere: its files by their whole paths. Raises ``Permanent``."""
    try:
        document = yaml.safe_load(given.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        # A YAML error quotes the line, which may hold a token.
        why = error.strerror if isinstance(error, OSError) else "it is no YAML"
        raise Permanent(f"--cluster {given}: expected a kubeconfig, found that {why}") from None
    if not isinstance(document, dict):
        raise Permanent(f"--cluster {given}: expected a kubeconfig, found {type(document).__name__}")
    return json.dumps(_absolute(document, given.absolute().parent), indent=2, default=str)


def _absolute(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {
            key: str(folder / item) if key in PATHS and isinstance(item, str) and item else _absolute(item, folder)
            for key, item in value.items()
        }
    return [_absolute(item, folder) for item in value] if isinstance(value, list) else value


async def needs_node(kube: Kube, space: str) -> bool:
    """Whether there is no node but the one that this state folder made earlier."""
    return all(is_own(node, space) for node in (await kube.list(NODES)).items)


def is_own(node: KubeObject, space: str) -> bool:
    """Whether the node is the one of this state folder. Pure."""
    labels: Mapping[str, str] = node["metadata"].get("labels") or {}
    return labels.get(SPACE) == space


async def client_ca(kube: Kube) -> str:
    """The authorities of the cluster's client certificates, PEM; empty where the API server publishes none."""
    try:
        found = await kube.get(CONFIGMAPS, *CLIENT_CA)
    except NotFound:
        return ""
    return str((found.get("data") or {}).get("client-ca-file") or "")


def address_towards(server: str) -> str:
    """This machine's address as the API server at ``server`` sees it; loopback for one on this machine."""
    host = urlsplit(server).hostname or ""
    try:
        if host == "localhost" or ip_address(host).is_loopback:
            return LOOPBACK
    except ValueError:
        pass  # a name: the system knows where it leads
    try:
        [(family, *_, address), *_] = socket.getaddrinfo(host, urlsplit(server).port or 443, type=socket.SOCK_DGRAM)
        with socket.socket(family, socket.SOCK_DGRAM) as way:
            way.connect(address)  # of a datagram socket: a choice of way, no packet
            return str(way.getsockname()[0])
    except (OSError, ValueError) as error:
        raise Permanent(f"no way to the API server at {server}: {error}; set --address") from error
