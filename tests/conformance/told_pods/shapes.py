"""Pods of every shape that matters to what they are told of the cloud, and what is compared of one that came out."""

from __future__ import annotations

import json
from typing import Any

FOLDER = "/var/run/secrets/cloud.keyless.dev"
CA, SKIP = "cloud.keyless.dev/ca", "cloud.keyless.dev/skip"


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A Pod of these containers; ``metadata`` is its own."""
    metadata = {"name": "tried", **spec.pop("metadata", {})}
    named = [{"name": f"c{number}", "image": "an/image", **one} for number, one in enumerate(containers)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": named, **spec}}


OWN = {"env": [{"name": "AWS_REGION", "value": "eu-central-1"}, {"name": "HOME", "value": "/"}]}
FIELD = {"apiVersion": "v1", "fieldPath": "status.podIP"}
FROM = {"env": [{"name": "AWS_ENDPOINT_URL", "valueFrom": {"fieldRef": FIELD}}]}
TWICE = {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}, {"name": "AWS_REGION", "value": "x"}]}
DATA = {"name": "data", "emptyDir": {}}
AT_DATA = {"name": "data", "mountPath": "/data"}
PORTS = {"ports": [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]}
PODS: dict[str, dict[str, Any]] = {
    "one container": pod({}),
    "without a token": pod({}, automountServiceAccountToken=False),
    "variables of its own": pod(OWN),
    "a variable from elsewhere": pod(FROM),
    "a variable twice": pod(TWICE),
    "an empty variable": pod({"env": [{"name": "AWS_CA_BUNDLE"}]}),
    "variables from a Secret": pod({"envFrom": [{"secretRef": {"name": "s"}}]}),
    "several containers": pod(OWN, {}, FROM),
    "containers that come first": pod({}, initContainers=[{"name": "i", "image": "an/image", **OWN}]),
    "a sidecar": pod({}, initContainers=[{"name": "i", "image": "an/image", "restartPolicy": "Always"}]),
    "volumes": pod({"volumeMounts": [AT_DATA]}, volumes=[DATA]),
    "a port of two protocols": pod(PORTS),
    "a mount at the same place": pod(
        {"volumeMounts": [AT_DATA, {"name": "data", "mountPath": FOLDER, "subPath": "x"}]}, volumes=[DATA]
    ),
    "a volume of that name": pod({}, volumes=[{"name": "keyless-cloud", "emptyDir": {}}]),
    "annotations": pod({}, metadata={"annotations": {"a": "b", "c/d": "e~f"}}),
    "another cloud's authority": pod({}, metadata={"annotations": {CA: "PEM"}}),
    "on the host's network": pod(PORTS, hostNetwork=True),
    "a pod that skips it": pod({}, metadata={"labels": {SKIP: ""}}),
    "a pod of the cluster's own": pod({}, metadata={"namespace": "kube-system"}),
}


def plain(made: Any, authority: str = "") -> Any:
    """A pod without what is of its own each time: identity, moments, the token volume's name, ports, the authority."""
    text = json.dumps(made)
    for volume in (made.get("spec") or {}).get("volumes") or ():
        if volume["name"].startswith("kube-api-access-"):
            text = text.replace(volume["name"], "kube-api-access")
    told: Any = json.loads(text)
    for key in ("uid", "creationTimestamp", "managedFields"):
        told["metadata"].pop(key, None)
    annotations = told["metadata"].get("annotations") or {}
    if authority and annotations.get(CA) == authority:
        annotations[CA] = "the cloud's"
    for kind in ("containers", "initContainers"):
        for container in (told.get("spec") or {}).get(kind) or ():
            for one in container.get("env") or ():
                if one["name"].startswith("AWS_ENDPOINT_URL") and "value" in one:
                    one["value"] = "the cloud's"
    return told


def outline(told: Any) -> Any:
    """What the telling can touch of a plain pod: annotations, variables, mounts, volumes; the token's is left out."""
    spec = told["spec"]
    return {
        "annotations": told["metadata"].get("annotations") or {},
        "volumes": [one["name"] for one in spec.get("volumes") or () if one["name"] != "kube-api-access"],
        **{
            kind: [
                {
                    "env": one.get("env") or [],
                    "volumeMounts": [
                        each for each in one.get("volumeMounts") or () if each["name"] != "kube-api-access"
                    ],
                }
                for one in spec.get(kind) or ()
            ]
            for kind in ("containers", "initContainers")
        },
    }
