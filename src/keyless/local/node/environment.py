"""The environment, command and arguments of a container. Pure.

Faults are values with the words that a kubelet puts into ``CreateContainerConfigError``.

Expansion: https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyless.kube import KubeObject

Lookup = Callable[[str, str], KubeObject | None]
"""(``Secret`` or ``ConfigMap``, name) → the object in the pod's namespace."""

_REFERENCE = re.compile(r"\$(\$|\([-._a-zA-Z0-9]*\))")
_KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")
_VALID_NAME = re.compile(r"[^=\0]+")


@dataclass(frozen=True, slots=True)
class ConfigFault:
    """Why a container cannot be made."""

    message: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pod runs, as far as the downward API tells."""

    pod_ip: str
    host_ip: str


def environment(
    container: Mapping[str, Any], pod: KubeObject, place: Place, lookup: Lookup
) -> dict[str, str] | ConfigFault:
    """``envFrom`` first, then ``env`` in order, each able to refer to what came before it."""
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        found = _from_object(source, lookup)
        if isinstance(found, ConfigFault):
            return found
        variables.update(found)
    for entry in container.get("env") or ():
        value = _value(entry, container, pod, place, lookup, variables)
        if isinstance(value, ConfigFault):
            return value
        if value is not None:
            variables[entry["name"]] = value
    return variables


def expand(text: str, variables: Mapping[str, str]) -> str:
    """``$(NAME)`` becomes the variable where there is one; ``$$`` is a dollar."""

    def one(match: re.Match[str]) -> str:
        inner = match.group(1)
        return "$" if inner == "$" else variables.get(inner[1:-1], match.group(0))

    return _REFERENCE.sub(one, text)


def command_line(container: Mapping[str, Any], entrypoint: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """``command`` in place of the image's entry point, then ``args``."""
    command = container.get("command") or ()
    words = [expand(word, variables) for word in command] if command else list(entrypoint)
    return words + [expand(word, variables) for word in container.get("args") or ()]


def field_value(path: str, pod: KubeObject, place: Place) -> str | None:
    """A field of the downward API; None for one that it does not have."""
    metadata, spec = pod["metadata"], pod["spec"]
    if keyed := _KEYED.fullmatch(path):
        return str((metadata.get(keyed[1]) or {}).get(keyed[2], ""))
    fields: dict[str, Any] = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "metadata.labels": _quoted_lines(metadata.get("labels")),
        "metadata.annotations": _quoted_lines(metadata.get("annotations")),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName") or "default",
        "status.podIP": place.pod_ip,
        "status.podIPs": place.pod_ip,
        "status.hostIP": place.host_ip,
        "status.hostIPs": place.host_ip,
    }
    return fields.get(path)


def resource_value(reference: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """``limits.memory`` and the like: the number as written, 0 where nothing is set."""
    section, _, name = reference["resource"].partition(".")
    resources = container.get("resources") or {}
    quantity = (resources.get(section) or {}).get(name) or (resources.get("limits") or {}).get(name) or "0"
    return str(_whole(str(quantity), str(reference.get("divisor") or "1")))


def secret_bytes(secret: KubeObject, key: str) -> bytes | None:
    """The decoded value; None when the key is missing or holds no base64."""
    encoded = (secret.get("data") or {}).get(key)
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded)
    except binascii.Error:
        return None


def _from_object(source: Mapping[str, Any], lookup: Lookup) -> dict[str, str] | ConfigFault:
    kind, reference = (
        ("Secret", source["secretRef"]) if "secretRef" in source else ("ConfigMap", source["configMapRef"])
    )
    found = lookup(kind, reference["name"])
    if found is None:
        return {} if reference.get("optional") else _missing(kind, reference["name"])
    prefix = source.get("prefix") or ""
    keys = found.get("data") or {}
    values = {prefix + key: _text(found, kind, key) for key in keys if _VALID_NAME.fullmatch(prefix + key)}
    return {key: value for key, value in values.items() if value is not None}


def _value(
    entry: Mapping[str, Any],
    container: Mapping[str, Any],
    pod: KubeObject,
    place: Place,
    lookup: Lookup,
    variables: Mapping[str, str],
) -> str | ConfigFault | None:
    source = entry.get("valueFrom")
    if source is None:
        return expand(entry.get("value") or "", variables)
    if field := source.get("fieldRef"):
        value = field_value(field["fieldPath"], pod, place)
        return value if value is not None else ConfigFault(f"unsupported fieldPath: {field['fieldPath']}")
    if resource := source.get("resourceFieldRef"):
        return resource_value(resource, container)
    kind, reference = (
        ("Secret", source["secretKeyRef"]) if "secretKeyRef" in source else ("ConfigMap", source["configMapKeyRef"])
    )
    return _keyed_value(kind, reference, pod, lookup)


def _keyed_value(kind: str, reference: Mapping[str, Any], pod: KubeObject, lookup: Lookup) -> str | ConfigFault | None:
    found = lookup(kind, reference["name"])
    if found is None:
        return None if reference.get("optional") else _missing(kind, reference["name"])
    value = _text(found, kind, reference["key"])
    if value is None and not reference.get("optional"):
        where = f"{pod['metadata']['namespace']}/{reference['name']}"
        return ConfigFault(f"couldn't find key {reference['key']} in {kind} {where}")
    return value


def _text(found: KubeObject, kind: str, key: str) -> str | None:
    if kind == "ConfigMap":
        value = (found.get("data") or {}).get(key)
        return None if value is None else str(value)
    raw = secret_bytes(found, key)
    return None if raw is None else raw.decode("utf-8", "surrogateescape")


def _missing(kind: str, name: str) -> ConfigFault:
    return ConfigFault(f'{kind.lower()} "{name}" not found')


def _quoted_lines(pairs: Mapping[str, str] | None) -> str:
    """``key="value"`` lines, sorted, as the downward API writes maps into files."""
    escaped = {k: v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for k, v in (pairs or {}).items()}
    return "\n".join(f'{key}="{value}"' for key, value in sorted(escaped.items()))


_UNITS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def _whole(quantity: str, divisor: str) -> int:
    """Quantities divided and rounded up, as the downward API does."""
    return int(-(-_number(quantity) // (_number(divisor) or 1)))


def _number(quantity: str) -> float:
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity)
    return float(match[1]) * _UNITS.get(match[2], 1) if match else 0.0
