"""What a new pod is told of the cloud, and which pods are. Pure.

Each container gets the endpoint as environment variables, and the endpoint's authority as a file: the certificate is
written into an annotation, which a downward API volume shows, because a ConfigMap would have to be in each namespace.
What a container sets itself stays. ``policy.py`` says the same in CEL: a pod comes out of either as of the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cloud.eks.agent import CA_ANNOTATION, CA_FOLDER, CA_VOLUME

NAME = CA_VOLUME
SKIP_LABEL = "cloud.keyless.dev/skip"
# Pods of the cluster's own speak with the real cloud, and must start when this one is away.
SPARED_NAMESPACES = ("kube-system",)
MOUNT = {"name": NAME, "mountPath": CA_FOLDER, "readOnly": True}
VOLUME = {
    "name": NAME,
    "downwardAPI": {
        "items": [{"path": "ca.crt", "fieldRef": {"fieldPath": f"metadata.annotations['{CA_ANNOTATION}']"}}]
    },
}
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
SELECTORS: dict[str, Any] = {
    "namespaceSelector": {
        "matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(SPARED_NAMESPACES)}
        ]
    },
    "objectSelector": {"matchExpressions": [{"key": SKIP_LABEL, "operator": "DoesNotExist"}]},
}
# A pod without its endpoint would carry its token to AWS itself.
FAILURE_POLICY = "Fail"
# A container that another webhook adds later has a token of the pod's, too.
REINVOCATION = "IfNeeded"

Operation = dict[str, Any]


def environment(endpoint: str, region: str, metadata_endpoint: str = "") -> dict[str, str]:
    """The variables that lead an SDK to the cloud; with ``metadata_endpoint`` to the node's role, too, as on EC2."""
    metadata = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata_endpoint} if metadata_endpoint else {}
    return {
        "AWS_ENDPOINT_URL": endpoint,
        # The Go SDK asks STS for a web identity's role before it has read the line above.
        "AWS_ENDPOINT_URL_STS": endpoint,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        **metadata,
    }


def variables(environ: Mapping[str, str]) -> list[dict[str, str]]:
    """What every container gets unless it sets it, in this order."""
    told = {**environ, "AWS_CA_BUNDLE": f"{CA_FOLDER}/ca.crt"}
    return [{"name": name, "value": value} for name, value in told.items()]


def patch(pod: Mapping[str, Any], environ: Mapping[str, str], ca_pem: str) -> list[Operation]:
    """The JSON patch that tells a pod; empty for one that was told already. ``pod``: as the API server has it."""
    spec = pod["spec"]
    operations = _annotation((pod.get("metadata") or {}).get("annotations"), ca_pem)
    for kind in ("containers", "initContainers"):
        for number, container in enumerate(spec.get(kind) or ()):
            for key, wanted in (
                ("env", _environment(container.get("env") or [], variables(environ))),
                ("volumeMounts", _mounts(container.get("volumeMounts") or [])),
            ):
                if wanted != (container.get(key) or []):
                    operations.append({"op": "add", "path": f"/spec/{kind}/{number}/{key}", "value": wanted})
    volumes = spec.get("volumes") or []
    if NAME not in [one["name"] for one in volumes]:
        operations.append({"op": "add", "path": "/spec/volumes", "value": [*volumes, VOLUME]})
    return operations


def _annotation(annotations: Mapping[str, str] | None, ca_pem: str) -> list[Operation]:
    if (annotations or {}).get(CA_ANNOTATION) == ca_pem:
        return []
    if not annotations:
        return [{"op": "add", "path": "/metadata/annotations", "value": {CA_ANNOTATION: ca_pem}}]
    key = CA_ANNOTATION.replace("~", "~0").replace("/", "~1")
    return [{"op": "add", "path": f"/metadata/annotations/{key}", "value": ca_pem}]


def _environment(env: list[dict[str, Any]], told: list[dict[str, str]]) -> list[dict[str, Any]]:
    own = {one["name"] for one in env}
    return [*env, *(one for one in told if one["name"] not in own)]


def _mounts(mounts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The file is where the variable says, whatever was mounted there: two mounts at one path are refused."""
    others = [one if one["mountPath"] != CA_FOLDER else {**one, **MOUNT} for one in mounts]
    return others if CA_FOLDER in [one["mountPath"] for one in mounts] else [*others, MOUNT]
