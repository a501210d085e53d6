"""The objects that run a control plane's API on a real Kubernetes. Pure.

One pod with etcd, kube-apiserver and kube-controller-manager: kube-apiserver reaches etcd on the pod's loopback, and
what fails takes one control plane with it. On a port of its own, for HTTP alone, etcd lets in whoever has the one name
in its certificate: the operator, which looks how full it is and makes room, and what takes snapshots. Of
kube-controller-manager only the controllers run that a control plane without nodes needs.
"""

from __future__ import annotations

from collections.abc import Mapping

from keyless.api.numbers import is_digits
from keyless.api.sealed_by import SOCKETS
from keyless.kube import KubeObject
from keyless.kube.resources import NETWORKPOLICIES, PERSISTENTVOLUMECLAIMS, SERVICEACCOUNTS, SERVICES, STATEFULSETS
from keyless.space import pods
from keyless.space.items import CONTROL_PLANE_LABEL, Item, item
from keyless.space.kubernetes import issuing
from keyless.space.kubernetes.names import (
    CLAIM,
    DATA,
    ETCD_CLIENT,
    ETCD_PORT,
    KMS_PLUGIN,
    MOUNT,
    NAME,
    PORT,
    certificates_key,
    issuer,
)
from keyless.space.place import Place
from keyless.space.surroundings import PULL_COPY
from keyless.space.values import ApiServer, Values

USER = 65532
"""Neither image needs root."""
CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "resourcequota-controller",
    "validatingadmissionpolicy-status-controller",
)
"""Namespaces end, owned objects go with their owner, each namespace has its ``default`` account and the CA."""
_QUOTA = "--quota-backend-bytes="
OPERATOR_PODS = {"app.kubernetes.io/name": "spaces-operator"}
TENANT_SERVICES = "10.96.0.0/16"
"""For Services inside the control plane, which nothing there routes."""


def service(values: Values | None, place: Place) -> Item:
    """An address that outlives the pod. Until the pod is ready nobody is led to it."""
    ports = [
        {"name": "https", "port": 443, "targetPort": PORT, "protocol": "TCP"},
        {"name": "etcd", "port": ETCD_PORT, "targetPort": ETCD_PORT, "protocol": "TCP"},
    ]
    api = values.api_server if values is not None else ApiServer()
    return item(
        SERVICES,
        NAME,
        place.host_namespace,
        labels=_labels(place),
        annotations=dict(api.service_annotations),
        spec={"type": api.service_type, "selector": {"app.kubernetes.io/name": NAME}, "ports": ports},
    )


def policy(values: Values | None, place: Place, release_namespace: str) -> Item:
    """Whoever may, reaches the API: who may do what there, the API decides. etcd is for the operator and backups."""
    operator = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": release_namespace}},
        "podSelector": {"matchLabels": OPERATOR_PODS},
    }
    snapshots = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "backup"}}}
    backed_up = values is not None and values.backup.serves
    etcd = {
        "ports": [{"port": ETCD_PORT, "protocol": "TCP"}],
        "from": [operator, *([snapshots] if backed_up else [])],
    }
    return item(
        NETWORKPOLICIES,
        NAME,
        place.host_namespace,
        labels=_labels(place),
        spec={
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [{"port": PORT, "protocol": "TCP"}]}, etcd],
        },
    )


def account(values: Values, place: Place) -> Item:
    """As whom the pod asks KMS, where it does."""
    return item(
        SERVICEACCOUNTS,
        NAME,
        place.host_namespace,
        labels={**values.surroundings.labels, **_labels(place)},
        annotations={**values.surroundings.annotations, **values.api_server.annotations},
    )


def has_plugin(live: KubeObject | None) -> bool:
    """Whether the pod as it stands has a plugin for KMS."""
    spec = (((live or {}).get("spec") or {}).get("template") or {}).get("spec") or {}
    return any(each.get("name") == KMS_PLUGIN for each in spec.get("initContainers") or ())


def workload(
    values: Values,
    place: Place,
    *,
    quota: int,
    v6: bool = False,
    replicas: int = 1,
    marks: Mapping[str, str] | None = None,
    kms: bool = False,
) -> Item:
    """One pod with a volume of its own. A StatefulSet: two etcds on one volume would destroy it.

    ``quota``: bytes that etcd may hold. ``v6``: pods have addresses of IPv6 alone. ``replicas`` 0: it is paused, and
    its volume stays. ``marks``: annotations of the pod, with other ones of which it begins anew. ``kms``: with the
    plugin that asks KMS; without, the pod is as ever.
    """
    # Labels by which the operator knows the volume when it takes the control plane away.
    claim: KubeObject = {"metadata": {"name": "data", "labels": _labels(place)}, "spec": _claim(values)}
    annotations = {**(marks or {}), **(_ANNOTATIONS if kms else {})}
    metadata = {"labels": _labels(place), **({"annotations": annotations} if annotations else {})}
    return item(
        STATEFULSETS,
        NAME,
        place.host_namespace,
        labels=_labels(place),
        spec={
            "replicas": replicas,
            "serviceName": NAME,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
            "template": {"metadata": metadata, "spec": _pod(values, place, quota=quota, v6=v6, kms=kms)},
            "volumeClaimTemplates": [claim],
        },
    )


def quota_of(live: KubeObject | None) -> int:
    """The bytes that etcd was told it may hold; 0: nothing tells."""
    containers = ((((live or {}).get("spec") or {}).get("template") or {}).get("spec") or {}).get("containers") or ()
    told = [word for each in containers for word in each.get("command") or () if word.startswith(_QUOTA)]
    number = told[0].removeprefix(_QUOTA) if told else ""
    return int(number) if is_digits(number) else 0


def claim(values: Values, place: Place) -> Item:
    """The volume, where it is filled before the StatefulSet is there, which then takes it as its own."""
    return item(PERSISTENTVOLUMECLAIMS, CLAIM, place.host_namespace, labels=_labels(place), spec=_claim(values))


def _claim(values: Values) -> KubeObject:
    api = values.api_server
    return {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": api.size}},
        **({"storageClassName": api.storage_class} if api.storage_class else {}),
    }


def _labels(place: Place) -> dict[str, str]:
    return {"app.kubernetes.io/name": NAME, CONTROL_PLANE_LABEL: place.control_plane_id}


_ANNOTATIONS = {"eks.amazonaws.com/skip-containers": "etcd,kube-apiserver,kube-controller-manager"}
"""The role is for the plugin alone: https://github.com/aws/amazon-eks-pod-identity-webhook#annotations"""


def _pod(values: Values, place: Place, *, quota: int, v6: bool, kms: bool) -> KubeObject:
    secret = {"secretName": certificates_key(place).name, "defaultMode": 0o440}
    plugin, volumes = pods.kms_plugin(values, place, file=issuing.KMS) if kms else ({}, [])
    return {
        **({"serviceAccountName": NAME, "initContainers": [plugin]} if kms else {}),
        # Nothing in it calls the host's API, but the plugin, by a token of its own.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            _etcd(values, quota=quota, v6=v6),
            _api_server(values, place, kms=kms),
            _controller_manager(values),
        ],
        "volumes": [{"name": "files", "secret": secret}, *volumes],
        **({"imagePullSecrets": [{"name": PULL_COPY}]} if values.surroundings.pull_secrets else {}),
        **values.api_server.scheduling,
    }


def _container(name: str, image: str, values: Values, command: list[str], *, memory: str) -> KubeObject:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": values.pull_policy,
        "command": command,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": values.api_server.resources.get(name) or {"requests": {"cpu": "25m", "memory": memory}},
    }


def _etcd(values: Values, *, quota: int, v6: bool) -> KubeObject:
    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    address = f"https://{'[$(POD_IP)]' if v6 else '$(POD_IP)'}:{ETCD_PORT}"
    command = [
        "etcd",
        f"--name={NAME}",
        f"--data-dir={DATA}/data",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={NAME}={peer}",
        # kube-apiserver compacts every five minutes.
        f"{_QUOTA}{quota}",
        "--snapshot-count=10000",
        "--logger=zap",
        "--log-level=warn",
        # For HTTP alone, so that the gateway behind it calls the loopback: which of two listeners of one kind it calls
        # differs from start to start, and it cannot pass its own check of certificates.
        f"--listen-client-http-urls={address}",
        *_CERTIFIED,
    ]
    container = _container("etcd", values.api_server.etcd_image, values, command, memory="48Mi")
    files = {"name": "files", "mountPath": MOUNT, "readOnly": True}
    container["volumeMounts"] = [{"name": "data", "mountPath": DATA}, files]
    container["env"] = [_POD_IP]
    # Its last words: a full volume ends it, and nothing else tells that.
    container["terminationMessagePolicy"] = "FallbackToLogsOnError"
    return container


_POD_IP: KubeObject = {
    "name": "POD_IP",
    "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}},
}
_CERTIFIED = (
    f"--cert-file={MOUNT}/etcd.crt",
    f"--key-file={MOUNT}/etcd.key",
    f"--trusted-ca-file={MOUNT}/ca.crt",
    "--client-cert-auth",
    # The authority signs for callers of kube-apiserver as well: they have no business here.
    f"--client-cert-allowed-hostname={ETCD_CLIENT}",
)


def _api_server(values: Values, place: Place, *, kms: bool) -> KubeObject:
    command = [
        "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--secure-port={PORT}",
        # A pod need have no default route, by which kube-apiserver would look for its own address.
        "--advertise-address=$(POD_IP)",
        # Nobody inside routes to the pod: its address need not be told there.
        "--endpoint-reconciler-type=none",
        f"--tls-cert-file={MOUNT}/api-server.crt",
        f"--tls-private-key-file={MOUNT}/api-server.key",
        f"--client-ca-file={MOUNT}/ca.crt",
        f"--service-account-issuer={issuer(place)}",
        f"--service-account-key-file={MOUNT}/service-account.pub",
        f"--service-account-signing-key-file={MOUNT}/service-account.key",
        f"--service-cluster-ip-range={TENANT_SERVICES}",
        f"--encryption-provider-config={MOUNT}/encryption.json",
        # A key is changed without a restart.
        "--encryption-provider-config-automatic-reload=true",
        f"--authentication-config={MOUNT}/authentication.json",
        f"--audit-policy-file={MOUNT}/audit.json",
        "--audit-log-path=-",
        "--authorization-mode=RBAC",
        "--profiling=false",
        "--allow-privileged=false",
    ]
    container = _container("kube-apiserver", values.api_server.image, values, command, memory="192Mi")
    # A fifth less memory, 40 MiB, for half a second more of a core at the start.
    container["env"] = [_POD_IP, {"name": "GOGC", "value": "50"}]
    container["ports"] = [{"name": "https", "containerPort": PORT, "protocol": "TCP"}]
    container["volumeMounts"] = [{"name": "files", "mountPath": MOUNT, "readOnly": True}]
    container["startupProbe"] = _probe("/readyz", period=1, failures=120)
    container["livenessProbe"] = _probe("/livez", period=10, failures=6)
    container["readinessProbe"] = _probe("/readyz", period=2, failures=3)
    if kms:
        container["volumeMounts"].append({"name": "kms", "mountPath": SOCKETS, "readOnly": True})
        # A KMS that is away for a while takes nobody's API away: kube-apiserver has its data keys. At a start it waits
        # for Secrets, which KMS may keep it from for long; to be started again and again would only make it longer.
        container["startupProbe"] = _probe("/livez", period=1, failures=120)
        container["readinessProbe"] = _probe("/readyz?exclude=kms-providers", period=2, failures=3)
    return container


def _controller_manager(values: Values) -> KubeObject:
    command = [
        "kube-controller-manager",
        f"--kubeconfig={MOUNT}/controller-manager.json",
        f"--root-ca-file={MOUNT}/ca.crt",
        # Each controller as an account of its own, with that controller's rights.
        "--use-service-account-credentials",
        f"--controllers={','.join(CONTROLLERS)}",
        # It is alone.
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
    ]
    image = values.api_server.controller_manager_image
    container = _container("kube-controller-manager", image, values, command, memory="64Mi")
    container["volumeMounts"] = [{"name": "files", "mountPath": MOUNT, "readOnly": True}]
    return container


def _probe(path: str, *, period: int, failures: int) -> KubeObject:
    return {
        "httpGet": {"path": path, "port": PORT, "scheme": "HTTPS"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
        "successThreshold": 1,
    }
