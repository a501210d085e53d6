"""Checks of a pod's volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cluster.builtin import names
from keyless.local.cluster.builtin.types import struct
from keyless.local.cluster.faults import FieldError, duplicate, forbidden, invalid, required

Spec = Mapping[str, Any]
REQUIRED = {
    "secret": ("secretName",),
    "configMap": ("name",),
    "hostPath": ("path",),
    "persistentVolumeClaim": ("claimName",),
    "csi": ("driver",),
    "nfs": ("server", "path"),
}
MINUTES_10 = 600
LONGEST = 1 << 32


def volumes(spec: Spec, path: str) -> tuple[list[FieldError], set[str]]:
    """The faults, and the names that containers may mount."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or []):
        place, name = f"{path}[{index}]", volume.get("name") or ""
        errors += _source(volume, place, spec)
        if not name:
            errors.append(required(f"{place}.name"))
        elif problem := names.label(name):
            errors.append(invalid(f"{place}.name", name, problem))
        elif name in seen:
            errors.append(duplicate(f"{place}.name", name))
        else:
            seen.add(name)
    return errors, seen


def _source(volume: Spec, path: str, spec: Spec) -> list[FieldError]:
    kinds = [kind for kind in struct("core/v1.VolumeSource").fields if volume.get(kind) is not None]
    if not kinds:
        return [required(path, "must specify a volume type")]
    # The order is that of Kubernetes' own look through the kinds.
    first = min(kinds, key=lambda kind: (kind != "emptyDir", kind))
    errors = [forbidden(f"{path}.{kind}", "may not specify more than 1 volume type") for kind in kinds if kind != first]
    source = volume[first]
    errors += [required(f"{path}.{first}.{key}") for key in REQUIRED.get(first, ()) if not source.get(key)]
    if first == "projected":
        for index, projection in enumerate(source.get("sources") or []):
            errors += _projection(projection, f"{path}.projected", index, spec)
    return errors


def _projection(projection: Spec, path: str, index: int, spec: Spec) -> list[FieldError]:
    place = f"{path}.sources[{index}]"
    errors: list[FieldError] = []
    for kind in ("secret", "configMap"):
        found = projection.get(kind)
        if found is not None and not found.get("name"):
            errors.append(required(f"{place}.{kind}.name"))
    token_source = projection.get("serviceAccountToken")
    if token_source is None:
        return errors
    place = f"{place}.serviceAccountToken"
    if not spec.get("serviceAccountName"):
        errors.append(forbidden(place, "must not be specified when serviceAccountName is not set"))
    errors += _lifetime(token_source.get("expirationSeconds", 3600), f"{place}.expirationSeconds")
    if not token_source.get("path"):
        errors.append(required(f"{path}.path"))
    return errors


def _lifetime(seconds: int, path: str) -> list[FieldError]:
    if seconds < MINUTES_10:
        return [invalid(path, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > LONGEST:
        return [invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []
