"""Decide what a pod gets from its service account: the variables, the token's volume, its mounts.

Pure. The rules are those of the webhook that EKS runs, with one difference: the patch adds what is missing and never
replaces a container, so fields this code does not know survive, and a second call on the result adds nothing.

Rules: https://github.com/aws/amazon-eks-pod-identity-webhook (pkg/handler, pkg/cache)
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyless.identity.injection.model import Injection, Known, MappedRole, Method, PatchOperation
from keyless.identity.injection.settings import Settings

IRSA_VOLUME = "aws-iam-token"
IRSA_TOKEN_FILE = "token"  # noqa: S105 - a file's name
POD_IDENTITY_LABEL = "eks.amazonaws.com/pod-identity"
DEFAULT_EXPIRATION = 86400
MINIMUM_EXPIRATION = 600
# Upstream spreads the renewal of a node's tokens over two hours; EKS was seen to use multiples of 240 s.
JITTER_STEP_SECONDS, JITTER_STEPS = 240, 30

ROLE_ARN = re.compile(r"arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/[\w\-/.@+=,]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
REGION_KEYS = ("AWS_DEFAULT_REGION", "AWS_REGION")
STS_KEY = "AWS_STS_REGIONAL_ENDPOINTS"
IRSA_KEYS = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
CONTAINER_KEYS = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")


@dataclass(frozen=True, slots=True)
class _Identity:
    """What the pod's containers are to get, before looking at any container."""

    method: Method
    audience: str
    expiration: int
    regional_sts: bool
    region: str
    volume: str
    mount_path: str
    token_file: str
    identity_values: tuple[tuple[str, str], ...]
    skipped: frozenset[str]


def inject(
    pod: Mapping[str, Any],
    service_account: Mapping[str, Any] | None,
    known: Known,
    settings: Settings,
    *,
    namespace: str,
    jitter: float = 0.0,
) -> Injection | None:
    """Return what to add to ``pod``, or None when its service account has no identity.

    ``service_account`` is None when it does not exist; ``jitter`` in [0, 1) spreads the expiry of agent tokens.
    """
    name = pod.get("spec", {}).get("serviceAccountName") or "default"
    mapped = _mapped(known, namespace, name)
    annotations = _Annotations.of(service_account, settings.annotation_prefix)
    if (namespace, name) in known.associations:
        identity = _agent_identity(pod, annotations, mapped, settings, jitter)
        return Injection(identity.method, _patches(pod, identity))
    role = annotations.get("role-arn") or (mapped.role_arn if mapped else "")
    if not role:
        return None
    if settings.compose_role_arn and known.account and not role.startswith("arn:"):
        role = f"arn:{known.account.partition}:iam::{known.account.account}:role/{role}"
    warnings = () if ROLE_ARN.fullmatch(role) else (_bad_role(role, namespace, name, settings),)
    identity = _irsa_identity(pod, annotations, mapped, settings, role)
    return Injection(identity.method, _patches(pod, identity), warnings, role, identity.audience)


def _bad_role(role: str, namespace: str, name: str, settings: Settings) -> str:
    return (
        f"serviceaccount {namespace}/{name}: {settings.annotation_prefix}/role-arn is {role!r}, expected "
        "arn:aws:iam::ACCOUNT:role/NAME; it is injected as it is and STS will refuse it"
    )


@dataclass(frozen=True, slots=True)
class _Annotations:
    values: Mapping[str, str]
    prefix: str

    @classmethod
    def of(cls, obj: Mapping[str, Any] | None, prefix: str) -> _Annotations:
        return cls(((obj or {}).get("metadata") or {}).get("annotations") or {}, prefix)

    def get(self, name: str) -> str:
        return self.values.get(f"{self.prefix}/{name}", "")


def _mapped(known: Known, namespace: str, name: str) -> MappedRole | None:
    return known.mapped.get((namespace, name)) or known.mapped.get((namespace, "*"))


def _irsa_identity(
    pod: Mapping[str, Any], annotations: _Annotations, mapped: MappedRole | None, settings: Settings, role: str
) -> _Identity:
    # The mapped entry speaks only where the annotation gave no role.
    entry = None if annotations.get("role-arn") else mapped
    token = _join(settings.token_mount_path, IRSA_TOKEN_FILE, pod)
    return _Identity(
        method="sts_web_identity",
        audience=annotations.get("audience") or (entry.audience if entry else "") or settings.token_audience,
        expiration=_expiration(pod, annotations, entry, settings),
        regional_sts=_regional(annotations, entry, settings),
        region=settings.aws_default_region,
        volume=IRSA_VOLUME,
        mount_path=settings.token_mount_path,
        token_file=IRSA_TOKEN_FILE,
        identity_values=((IRSA_KEYS[0], role), (IRSA_KEYS[1], token)),
        skipped=_skipped(pod, settings),
    )


def _agent_identity(
    pod: Mapping[str, Any], annotations: _Annotations, mapped: MappedRole | None, settings: Settings, jitter: float
) -> _Identity:
    expiration = _expiration(pod, annotations, mapped, settings)
    if expiration == DEFAULT_EXPIRATION:
        expiration -= int(jitter * (JITTER_STEPS + 1)) * JITTER_STEP_SECONDS
    path, file = settings.container_credentials_token_mount_path, settings.container_credentials_token_path
    return _Identity(
        method="container_credentials",
        audience=settings.container_credentials_audience,
        expiration=expiration,
        regional_sts=_regional(annotations, mapped, settings),
        region=settings.aws_default_region,
        volume=settings.container_credentials_token_volume_name,
        mount_path=path,
        token_file=file,
        identity_values=(
            (CONTAINER_KEYS[0], settings.container_credentials_full_uri),
            (CONTAINER_KEYS[1], _join(path, file, pod)),
        ),
        skipped=_skipped(pod, settings),
    )


def _expiration(
    pod: Mapping[str, Any], annotations: _Annotations, mapped: MappedRole | None, settings: Settings
) -> int:
    """Pod annotation over service account annotation over flag; what is no number counts as not set."""
    said = (
        _Annotations.of(pod, settings.annotation_prefix).get("token-expiration"),
        annotations.get("token-expiration"),
        str(mapped.token_expiration) if mapped and mapped.token_expiration else "",
    )
    chosen = next((int(text) for text in said if text and _NUMBER.fullmatch(text)), settings.token_expiration)
    return max(chosen, MINIMUM_EXPIRATION)


def _regional(annotations: _Annotations, mapped: MappedRole | None, settings: Settings) -> bool:
    # Go's strconv.ParseBool decides what upstream understands.
    said = annotations.get("sts-regional-endpoints")
    if said in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    if said in {"0", "f", "F", "false", "FALSE", "False"}:
        return False
    if mapped and mapped.regional_sts is not None:
        return mapped.regional_sts
    return settings.sts_regional_endpoint


def _skipped(pod: Mapping[str, Any], settings: Settings) -> frozenset[str]:
    text = _Annotations.of(pod, settings.annotation_prefix).get("skip-containers")
    if not text:
        return frozenset()
    try:
        return frozenset(next(csv.reader([text], strict=True), []))
    except csv.Error:
        return frozenset()


def _join(mount_path: str, file: str, pod: Mapping[str, Any]) -> str:
    path = f"{mount_path.rstrip('/')}/{file}"
    selector = pod.get("spec", {}).get("nodeSelector") or {}
    if "windows" in (selector.get("kubernetes.io/os"), selector.get("beta.kubernetes.io/os")):
        return "C:" + path.replace("/", "\\")
    return path


def _patches(pod: Mapping[str, Any], identity: _Identity) -> tuple[PatchOperation, ...]:
    operations: list[PatchOperation] = []
    if identity.method == "container_credentials":
        operations += _label(pod)
    spec = pod.get("spec", {})
    operations += _volume(spec, identity)
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            if container.get("name") not in identity.skipped:
                operations += _container(container, f"/spec/{field}/{index}", identity)
    return tuple(operations)


def _label(pod: Mapping[str, Any]) -> list[PatchOperation]:
    labels = (pod.get("metadata") or {}).get("labels")
    if labels is None:
        return [_add("/metadata/labels", {POD_IDENTITY_LABEL: "enabled"})]
    if labels.get(POD_IDENTITY_LABEL) == "enabled":
        return []
    return [_add("/metadata/labels/" + POD_IDENTITY_LABEL.replace("/", "~1"), "enabled")]


def _volume(spec: Mapping[str, Any], identity: _Identity) -> list[PatchOperation]:
    volumes = spec.get("volumes")
    if any(volume.get("name") == identity.volume for volume in volumes or ()):
        return []
    token = {
        "audience": identity.audience,
        "expirationSeconds": identity.expiration,
        "path": identity.token_file,
    }
    volume = {"name": identity.volume, "projected": {"sources": [{"serviceAccountToken": token}]}}
    return [_add("/spec/volumes/0", volume) if volumes else _add("/spec/volumes", [volume])]


def _container(container: Mapping[str, Any], path: str, identity: _Identity) -> list[PatchOperation]:
    present = {variable.get("name") for variable in container.get("env") or ()}
    region_set = any(key in present for key in REGION_KEYS)
    identity_set = any(key in present for key, _ in identity.identity_values)
    if identity_set and region_set and STS_KEY in present:
        return []  # the container brings its own identity; as upstream, not even the mount is added
    values: list[tuple[str, str]] = []
    if identity.regional_sts and STS_KEY not in present:
        values.append((STS_KEY, "regional"))
    if identity.region and not region_set:
        values += [(key, identity.region) for key in REGION_KEYS]
    if not identity_set:
        values += identity.identity_values
    operations = _append(container.get("env"), f"{path}/env", [{"name": key, "value": text} for key, text in values])
    mounts = container.get("volumeMounts")
    if any(mount.get("name") == identity.volume for mount in mounts or ()):
        return operations
    mount = {"name": identity.volume, "readOnly": True, "mountPath": identity.mount_path}
    return operations + _append(mounts, f"{path}/volumeMounts", [mount])


def _append(existing: object, path: str, items: list[dict[str, Any]]) -> list[PatchOperation]:
    if not items:
        return []
    if not existing:
        return [_add(path, items)]
    return [_add(f"{path}/-", item) for item in items]


def _add(path: str, value: Any) -> PatchOperation:
    return {"op": "add", "path": path, "value": value}
