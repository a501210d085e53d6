"""Read a property of a payload, as External Secrets does. Pure.

A property with a dot is a member's whole name first, and a gjson path after that. What is found in a payload that is no
strict JSON counts; what is not found in one is the payload's fault, and the text says where it breaks.

Rules: docs/reference/facts/payloads.md
"""

from __future__ import annotations

from keyless.shared_secrets.sync.gjson import Broken, Budget, PathFault, broken, find, members, string_found

_MARKS = frozenset("|*?\\@{[!")
MAX_PATH = 4096
MAX_PAYLOAD = 1 << 18
"""Bytes; four times what a secret of AWS can hold."""


class Malformed(ValueError):
    """The payload is no JSON where it would have to be; the text says where and holds nothing of it."""


def lookup(payload: bytes, path: str) -> bytes | None:
    """Return the property at ``path``; None when there is none. Raises ``Malformed`` and ``PathFault``."""
    _bounded(payload)
    if len(path) > MAX_PATH:
        raise PathFault(f"it is longer than {MAX_PATH} characters")
    budget = Budget()
    if "." in path and _may_be_name(payload, path):
        literal = find(payload, path.replace(".", "\\."), budget)
        if literal.exists:
            return literal.text()
    found = find(payload, path, budget)
    if found.exists:
        return found.text()
    _refuse(payload, broken(payload))
    return None


def _may_be_name(payload: bytes, path: str) -> bool:
    # What is found without standing in the payload has escapes, there or here: most lookups walk once.
    return b"\\" in payload or bool(_MARKS & set(path)) or path.encode("utf-8", "surrogateescape") in payload


def object_members(payload: bytes) -> dict[str, bytes] | None:
    """Return an object's members, the last of a name: strings unquoted, null empty, all else as written.

    None for JSON that is no object; raises ``Malformed``.
    """
    found = raw_members(payload)
    return None if found is None else {name: _member(raw) for name, raw in found.items()}


def raw_members(payload: bytes) -> dict[str, bytes] | None:
    """Return an object's members as ``object_members`` does, each as it is written."""
    _bounded(payload)
    try:
        found = members(payload)
    except Broken as fault:
        raise _malformed(payload, fault) from None
    if found is None:
        return None
    return {_text(key).decode("utf-8", "replace"): raw for key, raw in found}


def _member(raw: bytes) -> bytes:
    if raw == b"null":
        return b""
    # Go reads a string as UTF-8 text here, whatever its bytes are.
    return _text(raw).decode("utf-8", "replace").encode() if raw[:1] == b'"' else raw


def _text(raw: bytes) -> bytes:
    return string_found(raw).content


def _bounded(payload: bytes) -> None:
    if len(payload) > MAX_PAYLOAD:
        raise Malformed(f"it is longer than {MAX_PAYLOAD} bytes, so it is not read as JSON")


def _refuse(payload: bytes, fault: Broken | None) -> None:
    if fault is not None:
        raise _malformed(payload, fault)


def _malformed(payload: bytes, fault: Broken) -> Malformed:
    return Malformed(f"it is no JSON from {fault.where(payload)}")
