"""Read protobuf request bodies of Kubernetes' typed clients as the JSON objects they stand for.

An own decoder, driven by the same table as everything else about built-in types: the JSON object is built while the
bytes are read, and hostile input meets our checks alone.
"""

from __future__ import annotations

from keyless.local.cluster.builtin.normal import normalize
from keyless.local.cluster.builtin.types import struct_of
from keyless.local.cluster.faults import Malformed, Object
from keyless.local.cluster.protobuf import wire
from keyless.local.cluster.protobuf.messages import read_message

__all__ = ["MAGIC", "Malformed", "decode"]

MAGIC = b"k8s\x00"


def decode(body: bytes) -> Object:
    """The object inside a ``k8s\\0`` envelope, in Go's JSON form; raises ``Malformed`` and nothing else."""
    if not body.startswith(MAGIC):
        raise Malformed("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    api_version, kind, raw = _envelope(body[len(MAGIC) :])
    if not kind:
        raise Malformed("Object 'Kind' is missing in the protobuf body")
    group, _, version = api_version.rpartition("/")
    found = struct_of(group, version, kind)
    if found is None:
        raise Malformed(f'no kind "{kind}" is registered for version "{api_version}"')
    obj = {"apiVersion": api_version, "kind": kind, **read_message(found, raw)}
    return normalize(group, version, kind, obj)


def _envelope(data: bytes) -> tuple[str, str, bytes]:
    """``runtime.Unknown``: typeMeta 1 (apiVersion 1, kind 2), raw 2."""
    api_version = kind = ""
    raw = b""
    for number, _, value in wire.fields(data):
        if number == 1 and isinstance(value, bytes):
            for inner, _, part in wire.fields(value):
                if inner == 1 and isinstance(part, bytes):
                    api_version = wire.text(part)
                elif inner == 2 and isinstance(part, bytes):
                    kind = wire.text(part)
        elif number == 2 and isinstance(value, bytes):
            raw = value
    return api_version, kind, raw
