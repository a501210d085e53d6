"""The Secret as it is to be after one write: what there is, with the ExternalSecret's part exchanged. Pure.

One write takes the target from what it was to what it shall be. So a write that is refused changes nothing, and a key
that is renamed is never absent. Which fields are the ExternalSecret's own is read from ``metadata.managedFields``.

Rules: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keyless.kube import KubeObject
from keyless.kube.resources import EXTERNALSECRETS, SECRETS
from keyless.shared_secrets.sync.hashes import data_hash, field_manager, owner_hash
from keyless.shared_secrets.sync.model import Wanted
from keyless.shared_secrets.sync.templates import Rendered

PREFIX = "reconcile.external-secrets.io"
MANAGED_LABEL, CREATED_BY_LABEL = f"{PREFIX}/managed", f"{PREFIX}/created-by"
DATA_HASH_ANNOTATION = f"{PREFIX}/data-hash"
ADOPT, REPLACE = "keyless.dev/adopt", "keyless.dev/replace"
OPAQUE = "Opaque"
# Copied to a Secret they would speak for another object: kubectl's past, a service account, or a person's consent.
NEVER_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "kubernetes.io/service-account.name",
        "kubernetes.io/service-account.uid",
        ADOPT,
        REPLACE,
        "keyless.dev/allow-deletion",
    }
)


@dataclass(frozen=True, slots=True)
class Part:
    """What the ExternalSecret puts into its target; the representation hides the data and what a template made."""

    data: Mapping[str, bytes] = field(repr=False)
    labels: Mapping[str, str] = field(repr=False)
    annotations: Mapping[str, str] = field(repr=False)
    type: str = ""


@dataclass(frozen=True, slots=True)
class Managed:
    """What a field manager owns: the keys of each map."""

    data: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    annotations: frozenset[str] = frozenset()
    made: bool = False
    """Whether it created the object: ``type`` is written once, and stays its creator's."""


def part_of(obj: KubeObject, wanted: Wanted, read: Mapping[str, bytes], rendered: Rendered | None) -> Part:
    """Return the ExternalSecret's part of its target, from what was read or what its template made of that."""
    metadata = obj["metadata"]
    marks = {MANAGED_LABEL: "true"}
    if wanted.creation == "Owner":
        marks[CREATED_BY_LABEL] = owner_hash(wanted.namespace, wanted.name)
    labels = rendered.labels if rendered else _copied(metadata.get("labels"))
    annotations = rendered.annotations if rendered else _copied(metadata.get("annotations"))
    return Part(
        data=dict(rendered.data if rendered else read),
        labels={**labels, **marks},
        annotations=dict(annotations),
        type=wanted.template.type if wanted.template else "",
    )


def secret_of(obj: KubeObject, wanted: Wanted, part: Part, target: KubeObject | None) -> KubeObject:
    """Return the whole Secret that the write leaves, with the version of ``target`` that it replaces."""
    mine = managed_by(target, field_manager(wanted.name))
    old: KubeObject = target or {}
    metadata = {key: value for key, value in (old.get("metadata") or {}).items() if key != "managedFields"}
    data = _encoded(part.data)
    if not replaces_data(wanted):
        data = {**_without(old.get("data"), mine.data), **data}
    annotations = {**_without(metadata.get("annotations"), mine.annotations), **part.annotations}
    # The hash covers the others' keys, too: it is of the whole Secret.
    annotations[DATA_HASH_ANNOTATION] = data_hash(data_of({"data": data}))
    metadata |= {
        "name": wanted.target,
        "namespace": wanted.namespace,
        "labels": {**_without(metadata.get("labels"), mine.labels), **part.labels},
        "annotations": annotations,
    }
    owners = _owners(obj, wanted, metadata.get("ownerReferences") or ())
    metadata.pop("ownerReferences", None)
    if owners:
        metadata["ownerReferences"] = owners
    secret = {key: value for key, value in old.items() if key not in {"metadata", "data", "status"}}
    secret |= {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "metadata": metadata,
        "type": part.type or old.get("type") or OPAQUE,
        "data": data,
    }
    if wanted.immutable or old.get("immutable"):
        secret["immutable"] = True
    return secret


def replaces_data(wanted: Wanted) -> bool:
    """Return whether the target's data are the ExternalSecret's alone."""
    return wanted.creation in {"Owner", "Orphan"}


def is_same(target: KubeObject | None, secret: KubeObject) -> bool:
    """Return whether the write would change nothing."""
    if target is None:
        return False
    metadata = {key: value for key, value in target["metadata"].items() if key != "managedFields"}
    # A map that is empty and one that is absent are the same to the server.
    found = {key: value for key, value in target.items() if key not in {"metadata", "data"}}
    wanted = {key: value for key, value in secret.items() if key not in {"metadata", "data"}}
    for maps in (found, wanted):
        maps.setdefault("type", OPAQUE)
    return (found, target.get("data") or {}, metadata) == (wanted, secret["data"], secret["metadata"])


def successor_of(secret: KubeObject, name: str | None = None) -> KubeObject:
    """Return ``secret`` as a new object, without what belongs to the one it follows."""
    metadata = secret["metadata"]
    kept = {key: metadata[key] for key in ("labels", "annotations", "ownerReferences") if metadata.get(key)}
    place = {"name": name or metadata["name"], "namespace": metadata["namespace"]}
    return {key: value for key, value in secret.items() if key != "status"} | {"metadata": {**kept, **place}}


def managed_by(target: KubeObject | None, manager: str) -> Managed:
    """Return which keys a field manager owns in ``target``, by whichever kind of write. Cannot fail."""
    found = Managed()
    for entry in ((target or {}).get("metadata") or {}).get("managedFields") or ():
        if entry.get("manager") != manager:
            continue
        fields: dict[str, Any] = entry.get("fieldsV1") or {}
        metadata = fields.get("f:metadata") or {}
        found = replace(
            found,
            data=found.data | _keys(fields.get("f:data")),
            labels=found.labels | _keys(metadata.get("f:labels")),
            annotations=found.annotations | _keys(metadata.get("f:annotations")),
            made=found.made or "f:type" in fields,
        )
    return found


def managers_of(target: KubeObject | None) -> list[str]:
    """Return the names of all who ever wrote ``target``."""
    entries = ((target or {}).get("metadata") or {}).get("managedFields") or ()
    return sorted({str(entry.get("manager")) for entry in entries if entry.get("manager")})


def data_of(secret: KubeObject) -> dict[str, bytes]:
    """Return a Secret's data, decoded; what is no base64 counts as empty."""
    found: dict[str, bytes] = {}
    for key, text in (secret.get("data") or {}).items():
        try:
            found[key] = base64.b64decode(text or "", validate=True)
        except ValueError:
            found[key] = b""
    return found


def controller_of(target: KubeObject | None) -> KubeObject | None:
    """Return the owner that controls ``target``, if any."""
    owners = ((target or {}).get("metadata") or {}).get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)


def is_owned(obj: KubeObject, target: KubeObject | None) -> bool:
    """Return whether ``target`` is controlled by this very ExternalSecret."""
    controller = controller_of(target)
    return controller is not None and controller.get("uid") == obj["metadata"].get("uid")


def was_owned(obj: KubeObject, target: KubeObject | None) -> bool:
    """Return whether ``target`` is controlled by an ExternalSecret of the same name that is gone."""
    controller = controller_of(target)
    return controller is not None and _is_namesake(controller, obj)


def _is_namesake(owner: KubeObject, obj: KubeObject) -> bool:
    return owner.get("kind") == EXTERNALSECRETS.kind and owner.get("name") == obj["metadata"]["name"]


def _owners(obj: KubeObject, wanted: Wanted, owners: Any) -> list[KubeObject]:
    others = [owner for owner in owners if owner.get("uid") != obj["metadata"]["uid"] and not _is_namesake(owner, obj)]
    if wanted.creation != "Owner":
        return others
    own = {
        "apiVersion": EXTERNALSECRETS.api_version,
        "kind": EXTERNALSECRETS.kind,
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return [*others, own]


def _encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


def _without(pairs: Mapping[str, Any] | None, gone: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in (pairs or {}).items() if key not in gone}


def _keys(fields: Mapping[str, Any] | None) -> frozenset[str]:
    return frozenset(name.removeprefix("f:") for name in fields or () if name.startswith("f:"))


def _copied(pairs: Mapping[str, str] | None) -> dict[str, str]:
    return {key: value for key, value in (pairs or {}).items() if key not in NEVER_COPIED}
