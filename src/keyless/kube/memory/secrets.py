"""What an API server refuses of a Secret, and the type that it fills in. Pure.

Rules: https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/validation.go (ValidateSecret)
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping

from keyless.kube.errors import Invalid, Rejected, failure_status
from keyless.kube.resources import KubeObject

MAX_BYTES = 1024 * 1024
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_NEEDED = {
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/ssh-auth": "ssh-privatekey",
}
Fault = tuple[str, str, str]
"""(field, reason, message)."""


def validated(live: KubeObject | None, new: KubeObject) -> KubeObject:
    """``new`` with its type; raises ``Invalid`` with every cause, or ``Rejected`` for what is no base64."""
    secret = {**new, "type": new.get("type") or (live or {}).get("type") or "Opaque"}
    faults = [*_data(secret), *_labels(secret), *(_changes(live, secret) if live else ())]
    if faults:
        name = secret["metadata"]["name"]
        causes = [{"field": field, "reason": reason, "message": message} for field, reason, message in faults]
        status = failure_status(422, "Invalid", f'Secret "{name}" is invalid: ' + "; ".join(f[2] for f in faults))
        raise Invalid({**status, "details": {"name": name, "kind": "Secret", "causes": causes}})
    return secret


def _data(secret: KubeObject) -> Iterator[Fault]:
    data: Mapping[str, str] = secret.get("data") or {}
    size = 0
    for key, text in data.items():
        if not _KEY.fullmatch(key) or key in {".", ".."}:
            yield f"data[{key}]", "FieldValueInvalid", f'Invalid value: "{key}": a valid config key'
        try:
            size += len(base64.b64decode(text or "", validate=True))
        except (binascii.Error, ValueError):
            message = f"Secret in version v1 cannot be handled as a Secret: illegal base64 data: {text}"
            raise Rejected(failure_status(400, "BadRequest", message)) from None
    if size > MAX_BYTES:
        yield "data", "FieldValueTooLong", f"Too long: may not be more than {MAX_BYTES} bytes"
    needed = _NEEDED.get(secret["type"])
    if needed and needed not in data:
        yield f"data[{needed}]", "FieldValueRequired", "Required value"
    elif needed and needed.startswith(".docker") and not _is_json(data[needed]):
        yield f"data[{needed}]", "FieldValueInvalid", f"Invalid value: {data[needed]}: no JSON"


def _labels(secret: KubeObject) -> Iterator[Fault]:
    metadata = secret["metadata"]
    for key, value in (metadata.get("labels") or {}).items():
        if not _is_qualified(key):
            yield "metadata.labels", "FieldValueInvalid", f'Invalid value: "{key}": name part must consist of …'
        if len(value) > 63 or not _LABEL.fullmatch(value):
            yield "metadata.labels", "FieldValueInvalid", f'Invalid value: "{value}": a valid label must be …'
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        if not _is_qualified(key.lower()):
            yield f"metadata.annotations[{key}]", "FieldValueInvalid", f'Invalid value: "{key}"'
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > 256 * 1024:
        yield "metadata.annotations", "FieldValueTooLong", "Too long: may not be more than 262144 bytes"


def _changes(live: KubeObject, new: KubeObject) -> Iterator[Fault]:
    if new["type"] != (live.get("type") or "Opaque"):
        yield "type", "FieldValueInvalid", f'Invalid value: "{new["type"]}": field is immutable'
    if not live.get("immutable"):
        return
    if not new.get("immutable"):
        yield "immutable", "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set"
    if (new.get("data") or {}) != (live.get("data") or {}):
        yield "data", "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set"


def _is_qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    good_prefix = not slash or (0 < len(prefix) <= 253 and re.fullmatch(r"[a-z0-9.-]+", prefix))
    return bool(good_prefix and name and _LABEL.fullmatch(name))


def _is_json(text: str) -> bool:
    try:
        json.loads(base64.b64decode(text))
    except ValueError:
        return False
    return True
