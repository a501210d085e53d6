"""Whether what lies in the bucket is what the manifests committed: by key and size before reading, by hash after."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from keyless.api.words import counted
from keyless.billing.ledger.manifests import Committed

NOT_IN_MANIFEST = "NotInManifest"
EMPTY_OBJECT = "EmptyObject"
OBJECT_MISSING = "ObjectMissing"
WRONG_LENGTH = "WrongLength"
WRONG_BYTES = "WrongBytes"
MALFORMED = "Malformed"


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """An object that cannot be trusted, and why; ``detail`` says what was expected and what was found."""

    key: str
    reason: str
    detail: str


def committed(objects: Iterable[Committed]) -> tuple[dict[str, Committed], list[Fault]]:
    """The objects that manifests name, by key. One that two manifests name differently is a fault."""
    found: dict[str, Committed] = {}
    faults: dict[str, Fault] = {}
    for item in objects:
        known = found.setdefault(item.key, item)
        if known != item:
            faults[item.key] = Fault(
                item.key, WRONG_BYTES, "expected one content, found two manifests that differ on it"
            )
    return found, [faults[key] for key in sorted(faults)]


def listed_faults(listed: Mapping[str, int], named: Mapping[str, Committed]) -> list[Fault]:
    """What a listing (key to size) shows against the manifests, in the order of keys."""
    faults: list[Fault] = []
    for key in sorted(listed.keys() | named.keys()):
        if key not in named and not listed[key]:
            faults.append(
                Fault(key, EMPTY_OBJECT, "expected usage, found an object of no bytes that no manifest names")
            )
        elif key not in named:
            faults.append(
                Fault(key, NOT_IN_MANIFEST, "expected an object that a manifest names, found one that none does")
            )
        elif key not in listed:
            faults.append(Fault(key, OBJECT_MISSING, "expected the object that its manifest names, found none"))
        elif listed[key] != named[key].size:
            faults.append(Fault(key, WRONG_LENGTH, f"expected {counted(named[key].size, 'byte')}, found {listed[key]}"))
    return faults


def content_fault(body: bytes, named: Committed) -> Fault | None:
    """Whether the bytes are those that the manifest names."""
    if len(body) != named.size:
        return Fault(named.key, WRONG_LENGTH, f"expected {counted(named.size, 'byte')}, found {len(body)}")
    found = hashlib.sha256(body).hexdigest()
    if found != named.sha256:
        return Fault(named.key, WRONG_BYTES, f"expected SHA-256 {named.sha256}, found {found}")
    return None
