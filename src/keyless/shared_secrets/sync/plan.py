"""Decide about one ExternalSecret: is it due, may it have its target, what is written, what is said. Pure.

Rules: https://external-secrets.io/latest/api/externalsecret/ (refreshPolicy, creationPolicy, deletionPolicy)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from keyless.api import Reason
from keyless.kube import KubeObject
from keyless.kube.resources import EXTERNALSECRETS
from keyless.shared_secrets.sync.hashes import data_hash, owner_hash, resource_version
from keyless.shared_secrets.sync.model import Wanted
from keyless.shared_secrets.sync.templates import Rendered

PREFIX = "reconcile.external-secrets.io"
MANAGED_LABEL, CREATED_BY_LABEL = f"{PREFIX}/managed", f"{PREFIX}/created-by"
DATA_HASH_ANNOTATION = f"{PREFIX}/data-hash"
# Copied to a Secret it would make `kubectl apply` of that Secret take the ExternalSecret's spec for its own past.
NEVER_COPIED = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})

SYNCED = "secret synced"
SYNCED_RETAIN = "secret retained due to DeletionPolicy=Retain"
DELETED = "secret deleted due to DeletionPolicy=Delete"
MISSING = "secret will not be created due to CreationPolicy=Merge"
GET_FAILED = "could not get secret data from provider"
UPDATE_FAILED = "could not update secret"
IMMUTABLE = "could not update secret, target is immutable"
OWNED_ELSEWHERE = "target is owned by another ExternalSecret"
OWNERSHIP_FAILED = "failed to take ownership of target secret"
DELETE_FAILED = "could not delete secret"


@dataclass(frozen=True, slots=True)
class Said:
    """What the condition Ready says."""

    ready: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret to write; the representation hides the data."""

    name: str
    namespace: str
    type: str
    data: Mapping[str, bytes] = field(repr=False)
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner: KubeObject | None
    immutable: bool

    def manifest(self) -> KubeObject:
        """Return it as an object to apply."""
        metadata: KubeObject = {
            "name": self.name,
            "namespace": self.namespace,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
        }
        if self.owner:
            metadata["ownerReferences"] = [self.owner]
        manifest: KubeObject = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "data": {key: base64.b64encode(value).decode() for key, value in self.data.items()},
        }
        if self.type:
            manifest["type"] = self.type
        if self.immutable:
            manifest["immutable"] = True
        return manifest


def is_due(obj: KubeObject, wanted: Wanted, target: KubeObject | None, now: datetime) -> bool:
    """Return whether the provider is to be read: by the refresh policy, or because the target is not as it was left."""
    return _policy_asks(obj, wanted, now) or not _is_valid(obj, wanted, target)


def is_changed(obj: KubeObject) -> bool:
    """Return whether a person changed the object since it was synced: its spec, a label or an annotation."""
    return bool(_status(obj).get("syncedResourceVersion") != resource_version(obj))


def _policy_asks(obj: KubeObject, wanted: Wanted, now: datetime) -> bool:
    synced = _synced_at(obj)
    version = _status(obj).get("syncedResourceVersion")
    if wanted.policy == "CreatedOnce":
        return synced is None or not version
    if wanted.policy == "OnChange":
        return synced is None or is_changed(obj)
    if wanted.interval_seconds <= 0:
        return synced is None
    if is_changed(obj) or synced is None or synced > now:
        return True
    return now >= synced + timedelta(seconds=wanted.interval_seconds)


def seconds_to_next(obj: KubeObject, wanted: Wanted, now: datetime) -> float | None:
    """Return when the next periodic read is due; None: only a change asks for one."""
    if wanted.policy != "Periodic" or wanted.interval_seconds <= 0:
        return None
    synced = _synced_at(obj) or now
    return max(0.0, (synced + timedelta(seconds=wanted.interval_seconds) - now).total_seconds())


def _is_valid(obj: KubeObject, wanted: Wanted, target: KubeObject | None) -> bool:
    """Return whether the target is as the last sync left it."""
    if wanted.creation in {"Orphan", "None"}:
        return True
    if target is None:
        # A Merge without its target, or a target that the deletion policy removed, waits for the next refresh.
        reason = _ready(obj).get("reason")
        return reason in {Reason.SECRET_MISSING, Reason.SECRET_DELETED} and not is_changed(obj)
    metadata = target["metadata"]
    if (metadata.get("labels") or {}).get(MANAGED_LABEL) != "true":
        return False
    said = (metadata.get("annotations") or {}).get(DATA_HASH_ANNOTATION)
    return bool(said == data_hash(data_of(target)))


def data_of(secret: KubeObject) -> dict[str, bytes]:
    """Return a Secret's data, decoded; what is no base64 counts as empty."""
    found: dict[str, bytes] = {}
    for key, text in (secret.get("data") or {}).items():
        try:
            found[key] = base64.b64decode(text or "", validate=True)
        except (binascii.Error, ValueError):
            found[key] = b""
    return found


def clash(obj: KubeObject, wanted: Wanted, target: KubeObject | None) -> Said | None:
    """Return why the target may not be written, if so."""
    if target is None or wanted.creation == "None":
        return None
    controller = next((o for o in target["metadata"].get("ownerReferences") or () if o.get("controller")), None)
    if controller is None or controller.get("uid") == obj["metadata"].get("uid"):
        return None
    if controller.get("kind") == EXTERNALSECRETS.kind:
        text = f"{OWNED_ELSEWHERE}: {controller.get('name')} owns secret {wanted.target}; choose another target.name"
        return Said(False, Reason.SECRET_SYNCED_ERROR, text)
    if wanted.creation == "Owner":
        text = f"{OWNERSHIP_FAILED}: {controller.get('kind')} {controller.get('name')} owns secret {wanted.target}"
        return Said(False, Reason.SECRET_SYNCED_ERROR, text)
    return None


def secret_for(
    obj: KubeObject, wanted: Wanted, read: Mapping[str, bytes], rendered: Rendered | None, target: KubeObject | None
) -> Secret:
    """Return the Secret that the sync leaves."""
    metadata = obj["metadata"]
    data = dict(rendered.data if rendered else read)
    merges = wanted.creation in {"Merge", "CreateOrMerge"}
    # Under Merge the hash covers the others' keys too: it is of the whole Secret.
    whole = {**(data_of(target) if merges and target else {}), **data}
    labels = rendered.labels if rendered else _copied(metadata.get("labels"))
    annotations = rendered.annotations if rendered else _copied(metadata.get("annotations"))
    marks = {MANAGED_LABEL: "true"}
    if wanted.creation == "Owner":
        marks[CREATED_BY_LABEL] = owner_hash(wanted.namespace, wanted.name)
    return Secret(
        name=wanted.target,
        namespace=wanted.namespace,
        type=(wanted.template.type if wanted.template else "") or ("" if target else "Opaque"),
        data=data,
        labels={**labels, **marks},
        annotations={**annotations, DATA_HASH_ANNOTATION: data_hash(whole)},
        owner=_owner(obj) if wanted.creation == "Owner" else None,
        immutable=wanted.immutable,
    )


def foreign_keys(wanted: Wanted, secret: Secret, target: KubeObject | None) -> tuple[str, ...]:
    """Return the keys of an owned target that the ExternalSecret does not ask for: they are removed."""
    if target is None or wanted.creation not in {"Owner", "Orphan"}:
        return ()
    return tuple(sorted(set(target.get("data") or {}) - set(secret.data)))


def outcome(wanted: Wanted, read: Mapping[str, bytes], target: KubeObject | None) -> str:
    """Return what to do with what was read: ``write``, ``delete``, ``retain`` (nothing found) or ``missing``."""
    if wanted.creation == "None":
        return "nothing"
    if not read:
        if wanted.deletion == "Delete" and wanted.creation == "Owner":
            return "delete"
        if wanted.deletion == "Retain":
            return "retain"
    if target is None and wanted.creation == "Merge":
        return "missing"
    return "write"


def _copied(pairs: Mapping[str, str] | None) -> dict[str, str]:
    return {key: value for key, value in (pairs or {}).items() if key not in NEVER_COPIED}


def _owner(obj: KubeObject) -> KubeObject:
    return {
        "apiVersion": EXTERNALSECRETS.api_version,
        "kind": EXTERNALSECRETS.kind,
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _status(obj: KubeObject) -> dict[str, Any]:
    return obj.get("status") or {}


def _ready(obj: KubeObject) -> dict[str, Any]:
    return next((c for c in _status(obj).get("conditions") or () if c.get("type") == "Ready"), {})


def _synced_at(obj: KubeObject) -> datetime | None:
    text = _status(obj).get("refreshTime")
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
