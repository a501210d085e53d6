"""ServiceAccount admission: every pod runs as a service account and gets its token mounted. Pure but for the lookup.

Spec: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#serviceaccount-admission-controller
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from keyless.local.cluster.objects import Target
from keyless.local.cluster.status import forbidden
from keyless.local.cluster.store import Key, Store

Object = dict[str, Any]

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607  # an hour, and seven seconds by which such tokens can be told from others
_MIRROR = "kubernetes.io/config.mirror"


def with_service_account(store: Store, target: Target, pod: Object) -> Object:
    """The pod with its service account, pull secrets and token volume; 403 if there is no such account."""
    if _MIRROR in (pod["metadata"].get("annotations") or {}):
        return pod
    spec = dict(pod.get("spec") or {})
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    spec |= {"serviceAccountName": name, "serviceAccount": name}
    entry = store.get(Key(target.cluster, "", "serviceaccounts", target.namespace, name))
    if entry is None:
        text = f'error looking up service account {target.namespace}/{name}: serviceaccount "{name}" not found'
        raise forbidden("", "pods", pod["metadata"]["name"], text)
    account = entry.object
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account["imagePullSecrets"]
    if _mounts(account, spec):
        spec = _with_token(spec)
    return {**pod, "spec": spec}


def _mounts(account: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    for source in (spec, account):
        wish = source.get("automountServiceAccountToken")
        if wish is not None:
            return bool(wish)
    return True


def _with_token(spec: Object) -> Object:
    groups = [key for key in ("initContainers", "containers") if spec.get(key)]
    if not any(_needs(container) for key in groups for container in spec[key]):
        return spec
    volumes = list(spec.get("volumes") or ())
    present = next((v["name"] for v in volumes if v["name"].startswith("kube-api-access-")), None)
    name = present or f"kube-api-access-{secrets.token_hex(3)[:5]}"
    mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
    changed = {
        key: [{**c, "volumeMounts": [*(c.get("volumeMounts") or ()), mount]} if _needs(c) else c for c in spec[key]]
        for key in groups
    }
    return {**spec, **changed, "volumes": volumes if present else [*volumes, _volume(name)]}


def _needs(container: Mapping[str, Any]) -> bool:
    return all(mount.get("mountPath") != MOUNT_PATH for mount in container.get("volumeMounts") or ())


def _volume(name: str) -> Object:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "name": name,
        "projected": {
            "defaultMode": 420,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [namespace]}},
            ],
        },
    }
