"""What is to be written where, decided before anything is. Pure.

All or nothing: one item that cannot be had, one remote that is not ours, and nothing is written. What is at a provider
without External Secrets' own tag ``managed-by=external-secrets`` belongs to somebody else and is never overwritten; of
an object of which only a property is pushed, the others stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from keyless.gotemplate.json_text import json_of
from keyless.kube import KubeObject
from keyless.shared_secrets.push.model import Item, Metadata, Push
from keyless.shared_secrets.sync.hashes import resource_version
from keyless.shared_secrets.sync.target import data_of

TAG, OWNER = "managed-by", "external-secrets"
FINALIZER = "pushsecret.externalsecrets.io/finalizer"
_ESCAPED = re.compile(r"_U([0-9A-Fa-f]{4,6})_")


class PushFault(ValueError):
    """A push that cannot be; the text names keys that the spec names, and no value."""


@dataclass(frozen=True, slots=True)
class Remote:
    """What is at the provider: ``value`` None is nothing; ``managed`` whether it carries the tag."""

    value: bytes | None = field(default=None, repr=False)
    managed: bool = False
    pending: bool = False
    kind: str = ""

    @property
    def exists(self) -> bool:
        """Return whether there is something, were it only waiting for its deletion."""
        return self.value is not None or self.pending


@dataclass(frozen=True, slots=True)
class Write:
    """One request: the whole value of a remote key."""

    key: str
    value: bytes = field(repr=False)
    creates: bool
    metadata: Metadata
    kind: str = ""
    """The parameter's type as it is."""


def source(data: Mapping[str, bytes], item: Item) -> bytes:
    """Return what an item pushes; raises ``PushFault``."""
    if item.reverses_unicode:
        data = {_ESCAPED.sub(_unescaped, key): value for key, value in data.items()}
    if not item.secret_key:
        return json_of({key: _text(value, f"key {key}") for key, value in sorted(data.items())}).encode()
    if item.secret_key not in data:
        raise PushFault(f"secret key {item.secret_key} does not exist")
    return data[item.secret_key]


def _unescaped(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number <= 0x10FFFF else found[0]


def write_of(key: str, items: list[Item], data: Mapping[str, bytes], remote: Remote, *, replaces: bool) -> Write | None:
    """Return the write that brings ``remote`` to what ``items`` (all of this key) push, None if none is needed."""
    if remote.pending:
        raise PushFault(f"remote key {key} is marked for deletion: restore it, or push to another")
    if not remote.exists:
        return Write(key, _new(items, data), True, items[0].metadata)
    if not items[0].property:
        value = source(data, items[0]) if replaces else remote.value
    else:
        value = _merged(key, items, data, remote, replaces=replaces)
    if value is None or value == remote.value:
        return None
    _require_managed(key, remote)
    return Write(key, value, False, items[0].metadata, remote.kind)


def _new(items: list[Item], data: Mapping[str, bytes]) -> bytes:
    if not items[0].property:
        return source(data, items[0])
    made: dict[str, Any] = {}
    for item in items:
        _set(made, item, source(data, item), replaces=True)
    return json_of(made).encode()


def _merged(key: str, items: list[Item], data: Mapping[str, bytes], remote: Remote, *, replaces: bool) -> bytes | None:
    held = _object(key, remote)
    before = json.dumps(held, sort_keys=True)
    for item in items:
        _set(held, item, source(data, item), replaces=replaces)
    # Written only when something differs: what its owner laid out by hand stays laid out so.
    return remote.value if json.dumps(held, sort_keys=True) == before else json_of(held).encode()


def without(key: str, properties: list[str], remote: Remote) -> Write | None:
    """Return the write that takes properties away; None: nothing else would be left, the whole goes."""
    _require_managed(key, remote)
    held = _object(key, remote)
    for name in properties:
        node, last = _place(held, name)
        if node is not None:
            node.pop(last, None)
    return Write(key, json_of(held).encode(), False, Metadata(), remote.kind) if held else None


def _set(held: dict[str, Any], item: Item, value: bytes, *, replaces: bool) -> None:
    node, last = _place(held, item.property, make=True)
    if node is None:
        raise PushFault(f"property {item.property} of remote key {item.remote_key} lies within what is no object")
    if replaces or last not in node:
        node[last] = _text(value, f"what goes to property {item.property}")


def _place(held: dict[str, Any], path: str, *, make: bool = False) -> tuple[dict[str, Any] | None, str]:
    """Return the object that holds a property, and the property's own name: a literal key with dots wins."""
    if path in held:
        return held, path
    node: Any = held
    *before, last = path.split(".")
    for name in before:
        if name not in node and make:
            node[name] = {}
        node = node.get(name)
        if not isinstance(node, dict):
            return None, last
    return node, last


def _object(key: str, remote: Remote) -> dict[str, Any]:
    try:
        held = json.loads(remote.value or b"")
    except (ValueError, RecursionError):  # also of what is nested without end
        held = None
    if not isinstance(held, dict):
        # Replacing it would lose a value that somebody may need.
        raise PushFault(f"remote key {key} holds no JSON object to which a property could be added")
    return held


def _require_managed(key: str, remote: Remote) -> None:
    if not remote.managed:
        raise PushFault(
            f"remote key {key} is not managed by external-secrets (it has no tag {TAG}={OWNER}): "
            "push to another key, or tag it so that it may be overwritten"
        )


def _text(value: bytes, what: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise PushFault(f"{what} is no UTF-8 text and cannot be a part of JSON") from None


def by_key(items: tuple[Item, ...]) -> dict[str, list[Item]]:
    """Return the items of each remote key."""
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(item.remote_key, []).append(item)
    return found


Synced = dict[str, dict[str, KubeObject]]
"""``status.syncedPushSecrets``: for each store what was pushed to it."""


def stale(before: Synced, stores: list[str], items: tuple[Item, ...]) -> list[tuple[str, str, list[str]]]:
    """Return what the status remembers and the spec no longer names: (store, remote key, properties, none: all)."""
    wanted = {item.status_key() for item in items}
    found: dict[tuple[str, str], list[str]] = {}
    for store, entries in before.items():
        for name, entry in entries.items():
            if store in stores and name in wanted:
                continue
            remote = ((entry or {}).get("match") or {}).get("remoteRef") or {}
            properties = found.setdefault((store, str(remote.get("remoteKey") or name)), [])
            if remote.get("property"):
                properties.append(str(remote["property"]))
    return [(store, key, properties) for (store, key), properties in sorted(found.items())]


def synced(stores: list[str], items: tuple[Item, ...]) -> Synced:
    """Return what the status remembers of a push."""
    return {store: {item.status_key(): item.document() for item in items} for store in stores}


def is_due(obj: KubeObject, push: Push, now: datetime) -> bool:
    """Return whether it is to be pushed: changed, never pushed, or its interval over."""
    status = obj.get("status") or {}
    if status.get("syncedResourceVersion") != resource_version(obj):
        return True
    try:
        pushed = datetime.fromisoformat(str(status.get("refreshTime")))
    except ValueError:
        return True
    return push.interval_seconds > 0 and (now - pushed).total_seconds() >= push.interval_seconds


def values_of(secret: KubeObject) -> dict[str, bytes]:
    """Return a source Secret's values."""
    return data_of(secret)
