"""What EKS has before any chart is installed: the pod identity webhook and its rights. Pure data.

The webhook runs on the host network on a port of the state and is registered by URL: Services carry no traffic here.
Its own pods carry the skip label, so that it never waits for itself.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from keyless.kube import KubeObject, Resource
from keyless.kube.resources import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    DEPLOYMENTS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
)
from keyless.local.boot.options import IMAGE, LOOPBACK

SYSTEM = "kube-system"
WEBHOOK = "pod-identity-webhook"
ASSOCIATIONS = "eks-pod-identity-associations"
SKIP_LABEL = "eks.amazonaws.com/skip-pod-identity-webhook"
GROUP_LABEL = "spaces.upbound.io/group"
CERTIFICATES = "/etc/webhook/certs"
LIST_FOLDER = "/etc/webhook/container-credentials"
WEBHOOK_TIMEOUT_SECONDS = 10
HTTP, HTTPS = 80, 443
EVERYWHERE = "0.0.0.0"  # noqa: S104 - inside a pod, whose address is not known before

Manifest = tuple[Resource, KubeObject]


@dataclass(frozen=True, slots=True)
class WebhookFacts:
    """What the webhook's objects are made from."""

    port: int
    agent_port: int
    ca_pem: str
    certificate_pem: str
    key_pem: str
    image: str = IMAGE
    #: reached by its Service, where pods have addresses of their own; else by URL, on the host network
    by_service: bool = False
    agent_host: str = LOOPBACK


def eks_objects(facts: WebhookFacts) -> tuple[Manifest, ...]:
    """In the order they are applied; the registration comes last."""
    return (
        (SERVICEACCOUNTS, {"metadata": _metadata(WEBHOOK)}),
        (CLUSTERROLES, {"metadata": {"name": WEBHOOK}, "rules": _webhook_rules()}),
        (CLUSTERROLEBINDINGS, _binding(WEBHOOK, WEBHOOK)),
        (SECRETS, _certificate(facts)),
        (DEPLOYMENTS, _webhook_deployment(facts)),
        *(((SERVICES, _service(facts)),) if facts.by_service else ()),
        (MUTATINGWEBHOOKCONFIGURATIONS, _registration(facts)),
    )


def group_namespace(name: str) -> Manifest:
    """A namespace that is a group of control planes."""
    return (NAMESPACES, {"metadata": {"name": name, "labels": {GROUP_LABEL: "true"}}})


def probe_pod(service_account: str, namespace: str) -> KubeObject:
    """A pod that is never stored: admission of its dry run shows whether the webhook works."""
    return {
        "metadata": {"name": "identity-probe", "namespace": namespace},
        "spec": {"serviceAccountName": service_account, "containers": [{"name": "probe", "image": IMAGE}]},
    }


def _webhook_rules() -> list[dict[str, Any]]:
    return [
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]},
    ]


def _binding(role: str, service_account: str) -> KubeObject:
    return {
        "metadata": {"name": role},
        "roleRef": {"apiGroup": CLUSTERROLES.group, "kind": CLUSTERROLES.kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": service_account, "namespace": SYSTEM}],
    }


def _certificate(facts: WebhookFacts) -> KubeObject:
    data = {"tls.crt": facts.certificate_pem, "tls.key": facts.key_pem}
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in data.items()}
    return {"metadata": _metadata(f"{WEBHOOK}-tls"), "type": "kubernetes.io/tls", "data": encoded}


def _webhook_deployment(facts: WebhookFacts) -> KubeObject:
    labels = {"app.kubernetes.io/name": WEBHOOK}
    at = {} if facts.by_service else {"host": LOOPBACK}
    probe = {"httpGet": {**at, "path": "/healthz", "port": facts.port, "scheme": "HTTPS"}}
    container = {
        "name": WEBHOOK,
        "image": facts.image,
        "args": ["run", "webhook", *_webhook_flags(facts)],
        "ports": [
            {"name": "https", "containerPort": facts.port, **({} if facts.by_service else {"hostPort": facts.port})}
        ],
        "volumeMounts": [
            {"name": "certificates", "mountPath": CERTIFICATES, "readOnly": True},
            {"name": "container-credentials", "mountPath": LIST_FOLDER, "readOnly": True},
        ],
        "readinessProbe": {**probe, "periodSeconds": 1, "failureThreshold": 3},
        "livenessProbe": {**probe, "periodSeconds": 10, "initialDelaySeconds": 10},
    }
    volumes = [
        {"name": "certificates", "secret": {"secretName": f"{WEBHOOK}-tls"}},
        {"name": "container-credentials", "configMap": {"name": ASSOCIATIONS, "optional": True}},
    ]
    template = {
        "metadata": {"labels": {**labels, SKIP_LABEL: "true"}},
        "spec": {
            "serviceAccountName": WEBHOOK,
            "hostNetwork": not facts.by_service,
            "priorityClassName": "system-cluster-critical",
            "containers": [container],
            "volumes": volumes,
        },
    }
    # One port on the host: the old pod must be gone before the new one starts.
    spec = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": labels},
        "template": template,
    }
    return {"metadata": {**_metadata(WEBHOOK), "labels": labels}, "spec": spec}


def _webhook_flags(facts: WebhookFacts) -> list[str]:
    return [
        f"--bind-host={EVERYWHERE if facts.by_service else LOOPBACK}",
        f"--port={facts.port}",
        "--metrics-port=-1",
        # Named, though they are its defaults: where paths must be rewritten, only what is written can be.
        f"--tls-cert={CERTIFICATES}/tls.crt",
        f"--tls-key={CERTIFICATES}/tls.key",
        "--sts-regional-endpoint=true",
        _associations(facts),
        f"--container-credentials-full-uri={_agent_url(facts)}",
    ]


def _registration(facts: WebhookFacts) -> KubeObject:
    hook = {
        "name": "iam-for-pods.amazonaws.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "IfNeeded",
        "matchPolicy": "Equivalent",
        "timeoutSeconds": WEBHOOK_TIMEOUT_SECONDS,
        "objectSelector": {"matchExpressions": [{"key": SKIP_LABEL, "operator": "DoesNotExist"}]},
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*"}
        ],
        "clientConfig": {**_address(facts), "caBundle": base64.b64encode(facts.ca_pem.encode()).decode()},
    }
    return {"metadata": {"name": WEBHOOK}, "webhooks": [hook]}


def _associations(facts: WebhookFacts) -> str:
    if facts.by_service:
        # A kubelet brings a changed ConfigMap's file after a minute; a pod that is restarted at once would miss it.
        return f"--container-credentials-config-map={SYSTEM}/{ASSOCIATIONS}"
    return f"--watch-container-credentials-config={LIST_FOLDER}/config.json"


def _address(facts: WebhookFacts) -> dict[str, Any]:
    if not facts.by_service:
        return {"url": f"https://{LOOPBACK}:{facts.port}/mutate"}
    return {"service": {"name": WEBHOOK, "namespace": SYSTEM, "path": "/mutate", "port": HTTPS}}


def _agent_url(facts: WebhookFacts) -> str:
    """Of the agent's address: without the port that http has anyway, as EKS writes it."""
    port = "" if facts.agent_port == HTTP else f":{facts.agent_port}"
    return f"http://{facts.agent_host}{port}/v1/credentials"


def _service(facts: WebhookFacts) -> KubeObject:
    labels = {"app.kubernetes.io/name": WEBHOOK}
    ports = [{"name": "https", "port": HTTPS, "targetPort": facts.port}]
    return {"metadata": {**_metadata(WEBHOOK), "labels": labels}, "spec": {"selector": labels, "ports": ports}}


def _metadata(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": SYSTEM}
