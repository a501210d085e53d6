"""The pod identity agent's DaemonSet: ``agent.json``, told where it runs. Pure.

On a cluster of pods as processes it listens on loopback. Elsewhere it answers where EKS's own does, on the link-local
address of each node: SDKs take plain http only from there and from loopback.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import orjson

from keyless.kube.resources import KubeObject

CA_ANNOTATION = "cloud.keyless.dev/ca"
CA_FOLDER = "/var/run/secrets/cloud.keyless.dev"
CA_VOLUME = "keyless-cloud"
LINK_LOCAL = ("169.254.170.23", "fd00:ec2::23")
_FIRST_FREE_PORT = 1024
# The image's user may not open port 80, and a capability that is added reaches no other user than root.
_OF_A_LOW_PORT = {
    "runAsUser": 0,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
}


@dataclass(frozen=True, slots=True)
class AgentPlace:
    """Where the agent listens and what it is told; by default as a local Space runs it."""

    port: int = 80
    bind_hosts: tuple[str, ...] = ("127.0.0.1",)
    image: str = "keyless/keyless:0.1.0"
    #: variables, such as the endpoints of a cloud that is not AWS
    environ: Mapping[str, str] = field(default_factory=dict)
    #: the authority of those endpoints, PEM; empty: what the image trusts
    ca_pem: str = ""


def agent_manifest(cluster_name: str, place: AgentPlace) -> KubeObject:
    """The DaemonSet for this cluster and place."""
    text = files("keyless.local.cloud.eks").joinpath("agent.json").read_text("utf-8")
    told = {
        '"${PORT}"': str(place.port),
        "${PORT_TEXT}": str(place.port),
        "${CLUSTER}": cluster_name,
        "${HOSTS}": ",".join(place.bind_hosts),
        "${HOST}": place.bind_hosts[0],
        "${IMAGE}": place.image,
    }
    for name, value in told.items():
        text = text.replace(name, value if name.startswith('"') else json.dumps(value)[1:-1])
    manifest: KubeObject = orjson.loads(text)
    template = manifest["spec"]["template"]
    (container,) = template["spec"]["containers"]
    if place.environ:
        container["env"] = [{"name": name, "value": value} for name, value in place.environ.items()]
    if place.ca_pem:
        _trust(template, container, place.ca_pem)
    if place.port < _FIRST_FREE_PORT:
        container["securityContext"] = _OF_A_LOW_PORT
    return manifest


def _trust(template: dict[str, Any], container: dict[str, Any], ca_pem: str) -> None:
    """Show the authority as a file: a volume of an annotation, for no other object has to be there."""
    template["metadata"]["annotations"] = {CA_ANNOTATION: ca_pem}
    at = {"fieldPath": f"metadata.annotations['{CA_ANNOTATION}']"}
    volume = {"name": CA_VOLUME, "downwardAPI": {"items": [{"path": "ca.crt", "fieldRef": at}]}}
    template["spec"]["volumes"] = [volume]
    container["volumeMounts"] = [{"name": CA_VOLUME, "mountPath": CA_FOLDER, "readOnly": True}]
    container["env"] = [*container.get("env", ()), {"name": "AWS_CA_BUNDLE", "value": f"{CA_FOLDER}/ca.crt"}]
