"""The life of a CustomResourceDefinition: accepted and established at once, its objects gone before it goes.

Pure but for ``finish_deletions``, which removes from the store. Spec:
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keyless.local.cluster import builtin
from keyless.local.cluster.apply import schema_shape
from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.objects import Object
from keyless.local.cluster.schema import SchemaError, Structural
from keyless.local.cluster.status import invalid
from keyless.local.cluster.store import Store

PLACE = ("apiextensions.k8s.io", "customresourcedefinitions")
ROOT = "spec.validation.openAPIV3Schema"
"""Where Kubernetes reports the faults of a schema that is the only one."""
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def established(obj: Object, old: Object | None, store: Store, cluster: str, now: str) -> Object:
    """The definition with its status, and the finalizer that removes its objects first."""
    _check(obj, old)
    spec, metadata = obj["spec"], obj["metadata"]
    names = {**spec["names"]}
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", names["kind"] + "List")
    taken = _taken(obj, store, cluster)
    before = (old or {}).get("status") or {}
    storage = next(v["name"] for v in spec["versions"] if v.get("storage"))
    stored = before.get("storedVersions", [])
    given = (obj.get("status") or {}).get("storedVersions") or stored
    conditions = _conditions(before.get("conditions", []), taken, now)
    if any(c["type"] == "Terminating" for c in before.get("conditions", [])):
        conditions.append(_condition("Terminating", "True", "InstanceDeletionInProgress", "", now))
    status = {
        "conditions": conditions,
        "acceptedNames": before.get("acceptedNames", {"plural": "", "kind": ""}) if taken else names,
        "storedVersions": given if storage in given else [*given, storage],
    }
    finalizers = metadata.get("finalizers", [])
    if old is None and CLEANUP not in finalizers:
        metadata = {**metadata, "finalizers": [*finalizers, CLEANUP]}
    return {**obj, "metadata": metadata, "spec": {**spec, "names": names}, "status": status}


def _check(obj: Object, old: Object | None) -> None:
    name, spec = obj["metadata"]["name"], obj.get("spec") or {}
    causes = builtin.validate("apiextensions.k8s.io", "CustomResourceDefinition", obj, old)
    if causes:
        raise invalid(PLACE[0], "CustomResourceDefinition", name, [cause.cause() for cause in causes])
    for path in _missing(spec):
        raise _fault(name, path, "Required value")
    expected = f"{spec['names']['plural']}.{spec['group']}"
    if name != expected:
        raise _fault(name, "metadata.name", f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group')
    if sum(1 for version in spec["versions"] if version.get("storage")) != 1:
        raise _fault(name, "spec.versions", "Invalid value: must have exactly one version marked as storage version")
    for index, version in enumerate(spec["versions"]):
        place = f"spec.versions[{index}].schema.openAPIV3Schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if not schema:
            raise _fault(name, place, "Required value: schemas are required")
        root = place if len(spec["versions"]) > 1 else ROOT
        try:
            # A schema that did not change was taken before, maybe by a version without limits: its total alone counts.
            dear = Structural.compile(schema, root).too_dear(root, each=schema != _schema_before(old, version["name"]))
            if dear:
                raise SchemaError(dear)
            schema_shape(schema)
        except SchemaError as error:
            faults = [fault.cause() for fault in error.errors]
            raise invalid(PLACE[0], "CustomResourceDefinition", name, faults) from error
        except (Malformed, ValueError) as error:
            raise _fault(name, place, f"Invalid value: {error}") from error


def _schema_before(old: Object | None, version: str) -> Any:
    versions = ((old or {}).get("spec") or {}).get("versions") or ()
    found: Mapping[str, Any] = next((each for each in versions if each.get("name") == version), {})
    return (found.get("schema") or {}).get("openAPIV3Schema")


def _missing(spec: Mapping[str, Any]) -> Iterator[str]:
    names = spec.get("names") or {}
    found = {
        "spec.group": spec.get("group"),
        "spec.scope": spec.get("scope"),
        "spec.names.plural": names.get("plural"),
        "spec.names.kind": names.get("kind"),
        "spec.versions": spec.get("versions"),
    }
    yield from (path for path, value in found.items() if not value)
    yield from (f"spec.versions[{i}].name" for i, v in enumerate(spec.get("versions") or ()) if not v.get("name"))


def _fault(name: str, field: str, message: str) -> Exception:
    reason = "FieldValueRequired" if message.startswith("Required") else "FieldValueInvalid"
    cause = {"reason": reason, "message": message, "field": field}
    return invalid(PLACE[0], "CustomResourceDefinition", name, [cause])


def _taken(obj: Object, store: Store, cluster: str) -> str:
    """Which of the names another definition of the group has already."""
    spec = obj["spec"]
    for entry in store.list(cluster, *PLACE):
        other = entry.object
        if other["spec"]["group"] != spec["group"] or entry.key.name == obj["metadata"]["name"]:
            continue
        if other["status"]["acceptedNames"].get("kind") == spec["names"]["kind"]:
            return f'"{spec["names"]["kind"]}" is already in use'
    return ""


def _conditions(before: list[Object], taken: str, now: str) -> list[Object]:
    wanted = [
        ("NamesAccepted", "False", "KindConflict", taken)
        if taken
        else ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        ("Established", "False", "NotAccepted", "not all names are accepted")
        if taken
        else ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    since: dict[tuple[str, str], str] = {(c["type"], c["status"]): c["lastTransitionTime"] for c in before}
    return [_condition(kind, state, why, text, since.get((kind, state), now)) for kind, state, why, text in wanted]


def _condition(kind: str, status: str, reason: str, message: str, since: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}


def terminating(obj: Object) -> Object:
    """The definition once its deletion was asked for."""
    since = obj["metadata"]["deletionTimestamp"]
    conditions = [c for c in obj.get("status", {}).get("conditions", []) if c["type"] != "Terminating"]
    conditions.append(
        _condition("Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress", since)
    )
    return {**obj, "status": {**obj.get("status", {}), "conditions": conditions}}


def finish_deletions(store: Store, cluster: str) -> None:
    """Remove the objects of definitions that are going, then the definitions; objects with finalizers hold them."""
    for entry in store.list(cluster, *PLACE):
        metadata, spec = entry.object["metadata"], entry.object["spec"]
        if "deletionTimestamp" not in metadata or CLEANUP not in metadata.get("finalizers", []):
            continue
        for instance in store.list(cluster, spec["group"], spec["names"]["plural"]):
            own = instance.object["metadata"]
            if not own.get("finalizers"):
                store.delete(instance.key)
            elif "deletionTimestamp" not in own:
                marked = {**own, "deletionTimestamp": metadata["deletionTimestamp"], "deletionGracePeriodSeconds": 0}
                store.put(instance.key, {**instance.object, "metadata": marked})
        if store.list(cluster, spec["group"], spec["names"]["plural"]):
            continue
        left = [name for name in metadata["finalizers"] if name != CLEANUP]
        if left:
            store.put(entry.key, {**entry.object, "metadata": {**metadata, "finalizers": left}})
        else:
            store.delete(entry.key)
