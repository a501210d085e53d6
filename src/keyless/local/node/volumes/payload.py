"""What the files of a volume are. Pure: the caller tells the objects and the tokens.

Projection rules: https://kubernetes.io/docs/concepts/storage/projected-volumes/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyless.kube import KubeObject
from keyless.local.node.environment import Lookup, Place, field_value, resource_value, secret_bytes
from keyless.local.node.model import containers, init_containers

DEFAULT_MODE = 0o644
DEFAULT_AUDIENCE = ""
"""No audience asked for: the API server puts in its own."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a volume; the content stays out of representations, it may be a secret."""

    content: bytes = field(repr=False)
    mode: int = DEFAULT_MODE


@dataclass(frozen=True, slots=True)
class MountFault:
    """Why a volume cannot be set up, in a kubelet's words."""

    message: str


@dataclass(frozen=True, slots=True)
class TokenWish:
    """A service account token that a projected volume asks for."""

    audience: str
    expiration_seconds: int
    path: str


Tokens = Callable[[TokenWish], str]
Payload = dict[str, File]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the content of a pod's volumes comes from."""

    pod: KubeObject
    place: Place
    lookup: Lookup
    token: Tokens


def volume_files(volume: Mapping[str, Any], sources: Sources) -> Payload | MountFault | None:
    """The files of a volume by their path inside it; None for a volume that is a folder of its own."""
    if spec := volume.get("projected"):
        return _merged(spec.get("sources") or (), sources, int(spec.get("defaultMode") or DEFAULT_MODE))
    for kind, one in _ONE_SOURCE.items():
        if kind in volume:
            spec = dict(volume[kind])
            if kind == "secret":
                spec["name"] = spec.get("secretName")
            mode = int(spec.get("defaultMode") or DEFAULT_MODE)
            return one(spec, sources, mode)
    return None


def token_wishes(pod: KubeObject) -> Iterator[TokenWish]:
    """All tokens that the volumes of a pod ask for."""
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "serviceAccountToken" in source:
                yield _wish(source["serviceAccountToken"])


def references(pod: KubeObject) -> frozenset[tuple[str, str]]:
    """The (kind, name) of every Secret and ConfigMap that the pod's volumes and environment read."""
    found: set[tuple[str, str]] = set()
    for volume in pod["spec"].get("volumes") or ():
        for source in [volume, *((volume.get("projected") or {}).get("sources") or ())]:
            if "secret" in source:
                found.add(("Secret", source["secret"].get("secretName") or source["secret"].get("name") or ""))
            if "configMap" in source:
                found.add(("ConfigMap", source["configMap"]["name"]))
    for container in (*init_containers(pod), *containers(pod)):
        found |= set(_environment_references(container))
    return frozenset(found)


def _environment_references(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kinds = {
        "secretRef": "Secret",
        "configMapRef": "ConfigMap",
        "secretKeyRef": "Secret",
        "configMapKeyRef": "ConfigMap",
    }
    sources = [*(container.get("envFrom") or ()), *((e.get("valueFrom") or {}) for e in container.get("env") or ())]
    for source in sources:
        for field_name, kind in kinds.items():
            if field_name in source:
                yield kind, source[field_name]["name"]


def _merged(parts: Any, sources: Sources, mode: int) -> Payload | MountFault:
    files: Payload = {}
    for part in parts:
        for kind, one in _PROJECTED.items():
            if kind in part:
                found = one(part[kind], sources, mode)
                if isinstance(found, MountFault):
                    return found
                files.update(found)
    return files


def _config_map(spec: Mapping[str, Any], sources: Sources, mode: int) -> Payload | MountFault:
    found = sources.lookup("ConfigMap", spec["name"])
    if found is None:
        return {} if spec.get("optional") else MountFault(f'configmap "{spec["name"]}" not found')
    values = {key: str(value).encode() for key, value in (found.get("data") or {}).items()}
    values |= {key: raw for key in found.get("binaryData") or {} if (raw := _binary(found, key)) is not None}
    return _selected(spec, values, mode, "configmap")


def _secret(spec: Mapping[str, Any], sources: Sources, mode: int) -> Payload | MountFault:
    found = sources.lookup("Secret", spec["name"])
    if found is None:
        return {} if spec.get("optional") else MountFault(f'secret "{spec["name"]}" not found')
    values = {key: raw for key in found.get("data") or {} if (raw := secret_bytes(found, key)) is not None}
    return _selected(spec, values, mode, "secret")


def _downward(spec: Mapping[str, Any], sources: Sources, mode: int) -> Payload | MountFault:
    files: Payload = {}
    every = {c["name"]: c for c in (*init_containers(sources.pod), *containers(sources.pod))}
    for item in spec.get("items") or ():
        if "fieldRef" in item:
            value = field_value(item["fieldRef"]["fieldPath"], sources.pod, sources.place)
        else:
            reference = item["resourceFieldRef"]
            value = resource_value(reference, every.get(reference.get("containerName", ""), {}))
        if value is None:
            return MountFault(f"unsupported fieldPath: {item['fieldRef']['fieldPath']}")
        files[item["path"]] = File(value.encode(), int(item.get("mode") or mode))
    return files


def _token(spec: Mapping[str, Any], sources: Sources, mode: int) -> Payload:
    wish = _wish(spec)
    # Kubelets make tokens readable for their owner alone, unless the volume says otherwise.
    return {wish.path: File(sources.token(wish).encode(), 0o600 if mode == DEFAULT_MODE else mode)}


def _wish(spec: Mapping[str, Any]) -> TokenWish:
    return TokenWish(spec.get("audience") or DEFAULT_AUDIENCE, int(spec.get("expirationSeconds") or 3600), spec["path"])


def _selected(spec: Mapping[str, Any], values: Mapping[str, bytes], mode: int, kind: str) -> Payload | MountFault:
    """All keys, or with ``items`` those alone, under the paths they give."""
    items = spec.get("items")
    if not items:
        return {key: File(value, mode) for key, value in values.items()}
    files: Payload = {}
    for item in items:
        if item["key"] in values:
            files[item["path"]] = File(values[item["key"]], int(item.get("mode") or mode))
        elif not spec.get("optional"):
            return MountFault(f"references non-existent {kind} key: {item['key']}")
    return files


def _binary(found: KubeObject, key: str) -> bytes | None:
    return secret_bytes({"data": found.get("binaryData")}, key)


_ONE_SOURCE: Mapping[str, Callable[[Mapping[str, Any], Sources, int], Payload | MountFault]] = {
    "configMap": _config_map,
    "secret": _secret,
    "downwardAPI": _downward,
}
_PROJECTED: Mapping[str, Callable[[Mapping[str, Any], Sources, int], Payload | MountFault]] = {
    **_ONE_SOURCE,
    "serviceAccountToken": _token,
}
