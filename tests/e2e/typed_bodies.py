"""Protobuf bodies as Go's typed Kubernetes clients write them: scalars that are no pointers also when empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"


def envelope(api_version: str, kind: str, message: bytes) -> bytes:
    """``k8s\\0`` and a ``runtime.Unknown`` around a message."""
    type_meta = _text(1, api_version) + _text(2, kind)
    return b"k8s\x00" + _bytes(1, type_meta) + _bytes(2, message) + _text(3, "") + _text(4, "")


def namespace(name: str) -> bytes:
    """A new Namespace."""
    return envelope("v1", "Namespace", _bytes(1, _metadata({"name": name})) + _bytes(2, b"") + _bytes(3, _text(1, "")))


def service_account(metadata: Mapping[str, Any]) -> bytes:
    """A ServiceAccount of which the metadata is all there is."""
    return envelope("v1", "ServiceAccount", _bytes(1, _metadata(metadata)))


def delete_options() -> bytes:
    """DeleteOptions that ask for nothing."""
    return envelope("v1", "DeleteOptions", b"")


def _metadata(given: Mapping[str, Any]) -> bytes:
    scalars = ((1, "name"), (2, "generateName"), (3, "namespace"), (4, "selfLink"), (5, "uid"), (6, "resourceVersion"))
    parts = [_text(number, given.get(name, "")) for number, name in scalars]
    parts += [_varint(7 << 3) + _varint(0), _bytes(8, b"")]
    for number, name in ((11, "labels"), (12, "annotations")):
        entries = (given.get(name) or {}).items()
        parts += [_bytes(number, _text(1, key) + _text(2, value)) for key, value in entries]
    return b"".join(parts)


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])
