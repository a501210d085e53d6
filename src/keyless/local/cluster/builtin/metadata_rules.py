"""Checks of object metadata that are the same for every kind, custom ones included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cluster.builtin import go_text, names
from keyless.local.cluster.faults import FieldError, forbidden, invalid

ANNOTATIONS_BYTES = 256 * 1024
STANDARD_FINALIZERS = {"kubernetes", "orphan", "foregroundDeletion"}


def validate_metadata(obj: Mapping[str, Any], *, bare_finalizers: bool = True) -> list[FieldError]:
    """Labels, annotations, finalizers and owners; names are checked where they are made.

    ``bare_finalizers``: finalizers need no domain, as for custom resources.
    """
    metadata = obj.get("metadata") or {}
    errors = names.labels("metadata.labels", metadata.get("labels"))
    errors += _annotations(metadata.get("annotations") or {})
    errors += _owners(metadata.get("ownerReferences") or [])
    return errors + _finalizers(metadata.get("finalizers") or [], bare=bare_finalizers)


def validate_change(obj: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """What may not be done to an object that is being deleted."""
    before = old.get("metadata") or {}
    if not before.get("deletionTimestamp"):
        return []
    added = set((obj.get("metadata") or {}).get("finalizers") or []) - set(before.get("finalizers") or [])
    if not added:
        return []
    text = "no new finalizers can be added if the object is being deleted, found new finalizers "
    return [forbidden("metadata.finalizers", text + go_text.string_list(sorted(added)))]


def _annotations(found: Mapping[str, str]) -> list[FieldError]:
    errors = []
    for name in found:
        # Kubernetes is more lenient with the case of an annotation's prefix than of a label's.
        if problem := names.qualified(name.lower()):
            errors.append(invalid("metadata.annotations", name, problem))
    size = sum(len(name.encode()) + len(value.encode()) for name, value in found.items())
    if size > ANNOTATIONS_BYTES:
        text = f"Too long: may not be more than {ANNOTATIONS_BYTES} bytes"
        errors.append(FieldError("metadata.annotations", "FieldValueTooLong", text))
    return errors


def _owners(owners: list[Mapping[str, Any]]) -> list[FieldError]:
    path = "metadata.ownerReferences"
    errors = []
    for owner in owners:
        for key, word in (("apiVersion", "version"), ("kind", "kind"), ("name", "name"), ("uid", "uid")):
            if not owner.get(key):
                place = path if key == "apiVersion" else f"{path}.{key}"
                errors.append(invalid(place, owner.get(key, ""), f"{word} must not be empty"))
    controllers = [owner.get("uid", "") for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        errors.append(forbidden(path, f"Only one reference can have Controller set to true. Found {len(controllers)}"))
    return errors


def _finalizers(found: list[str], *, bare: bool) -> list[FieldError]:
    errors = []
    for index, name in enumerate(found):
        path = f"metadata.finalizers[{index}]"
        if problem := names.qualified(name):
            errors.append(invalid(path, name, problem))
        elif not bare and "/" not in name and name not in STANDARD_FINALIZERS:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(path, name, text))
    return errors
