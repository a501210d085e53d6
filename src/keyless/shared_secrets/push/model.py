"""A PushSecret's spec as values. Pure.

Fields: https://external-secrets.io/latest/api/pushsecret/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keyless.kube import KubeObject
from keyless.shared_secrets.durations import seconds_of
from keyless.shared_secrets.stores.resolution import SECRET_STORE
from keyless.shared_secrets.sync.model import DEFAULT_INTERVAL_SECONDS, SecretTemplate, SpecFault, template_of

MOST_ITEMS = 300
_METADATA = ("description", "tags", "kmsKeyID", "secretPushFormat", "secretType", "tier")


@dataclass(frozen=True, slots=True)
class StoreChoice:
    """``secretStoreRefs[]``: a store by name, or all of a kind whose labels match."""

    kind: str
    name: str = ""
    selector: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """``data[].metadata.spec``, of what is created; what is not said is left as it is."""

    description: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    kms_key_id: str = ""
    binary: bool = False
    parameter_type: str = ""
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """``data[]``: one key, or without ``secret_key`` the whole Secret as JSON, to a remote key or a property of it."""

    remote_key: str
    secret_key: str = ""
    property: str = ""
    reverses_unicode: bool = False
    metadata: Metadata = field(default_factory=Metadata)

    def status_key(self) -> str:
        """Return how the status names it."""
        return f"{self.remote_key}/{self.property}" if self.property else self.remote_key

    def document(self) -> KubeObject:
        """Return it as the status keeps it."""
        remote = {"remoteKey": self.remote_key} | ({"property": self.property} if self.property else {})
        match: KubeObject = {"remoteRef": remote} | ({"secretKey": self.secret_key} if self.secret_key else {})
        return {"match": match}


@dataclass(frozen=True, slots=True)
class Push:
    """The whole spec."""

    name: str
    namespace: str
    stores: tuple[StoreChoice, ...]
    items: tuple[Item, ...]
    secret_name: str = ""
    secret_selector: Mapping[str, Any] | None = None
    interval_seconds: float = DEFAULT_INTERVAL_SECONDS
    replaces: bool = True
    deletes: bool = False
    template: SecretTemplate | None = None


def push_of(obj: KubeObject) -> Push:
    """Read a PushSecret; raises ``SpecFault``."""
    spec, metadata = obj.get("spec") or {}, obj["metadata"]
    interval = spec.get("refreshInterval")
    try:
        seconds = DEFAULT_INTERVAL_SECONDS if interval is None else seconds_of(str(interval))
    except ValueError as error:
        raise SpecFault(f"refreshInterval: {error}") from None
    secret = (spec.get("selector") or {}).get("secret") or {}
    if bool(secret.get("name")) == bool(secret.get("selector")):
        raise SpecFault("selector.secret: give name or selector, one of them")
    items = tuple(_item(one) for one in spec.get("data") or ())
    if not 0 < len(items) <= MOST_ITEMS:
        raise SpecFault(f"data: expected 1 to {MOST_ITEMS} items, found {len(items)}")
    _require_apart(items)
    return Push(
        name=metadata["name"],
        namespace=metadata["namespace"],
        stores=tuple(_store(one) for one in spec.get("secretStoreRefs") or ()),
        items=items,
        secret_name=str(secret.get("name") or ""),
        secret_selector=secret.get("selector"),
        interval_seconds=seconds,
        replaces=(spec.get("updatePolicy") or "Replace") == "Replace",
        deletes=(spec.get("deletionPolicy") or "None") == "Delete",
        template=template_of(spec["template"]) if spec.get("template") else None,
    )


def _store(ref: Mapping[str, Any]) -> StoreChoice:
    kind = str(ref.get("kind") or SECRET_STORE)
    if bool(ref.get("name")) == bool(ref.get("labelSelector")):
        raise SpecFault("secretStoreRefs: give name or labelSelector, one of them")
    return StoreChoice(kind, str(ref.get("name") or ""), ref.get("labelSelector"))


def _item(one: Mapping[str, Any]) -> Item:
    match = one.get("match") or {}
    remote = match.get("remoteRef") or {}
    if not remote.get("remoteKey"):
        raise SpecFault("data.match.remoteRef.remoteKey is missing")
    item = Item(
        str(remote["remoteKey"]),
        str(match.get("secretKey") or ""),
        str(remote.get("property") or ""),
        one.get("conversionStrategy") == "ReverseUnicode",
    )
    return replace(item, metadata=_metadata(one["metadata"])) if one.get("metadata") else item


def _metadata(said: Mapping[str, Any]) -> Metadata:
    spec = said.get("spec") or {}
    others = sorted(set(spec) - set(_METADATA))
    if others:
        raise SpecFault(f"data.metadata.spec: expected {', '.join(_METADATA)}, found {', '.join(others)}")
    form = str(spec.get("secretPushFormat") or "string")
    if form not in {"string", "binary"}:
        raise SpecFault(f"data.metadata.spec.secretPushFormat: expected string or binary, found {form!r}")
    kind = str(spec.get("secretType") or "")
    if kind not in {"", "String", "SecureString"}:
        raise SpecFault(f"data.metadata.spec.secretType: expected String or SecureString, found {kind!r}")
    tier = spec.get("tier") or {}
    return Metadata(
        description=str(spec.get("description") or ""),
        tags=tuple(sorted((str(key), str(value)) for key, value in (spec.get("tags") or {}).items())),
        kms_key_id=str(spec.get("kmsKeyID") or ""),
        binary=form == "binary",
        parameter_type=kind,
        tier=str(tier.get("type") or "") if isinstance(tier, Mapping) else str(tier),
    )


def _require_apart(items: tuple[Item, ...]) -> None:
    """Refuse two items for one place, and a whole value beside properties of it: the last would win by chance."""
    places = [item.status_key() for item in items]
    doubled = sorted({place for place in places if places.count(place) > 1})
    whole = {item.remote_key for item in items if not item.property}
    mixed = sorted({item.remote_key for item in items if item.property and item.remote_key in whole})
    if doubled or mixed:
        raise SpecFault(f"data: more than one item writes {', '.join(doubled or mixed)}")
