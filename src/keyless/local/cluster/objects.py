"""Metadata rules for objects on their way in: names, identity, generation, what a caller may not change. Pure.

Spec: https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#metadata
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyless.local.cluster.catalogue import Served
from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.status import ApiError, bad_request, conflict, invalid
from keyless.local.cluster.store import Key

Object = dict[str, Any]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    r" '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_NAMED = {("", "namespaces"), ("", "services")}
_KEEPS_STATUS_ON_CREATE = {("", "nodes"), ("apiextensions.k8s.io", "customresourcedefinitions")}
# Kinds whose generation counts changes of the specification; the others have none.
_COUNTED = {
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "daemonsets"),
    ("apps", "statefulsets"),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
    ("networking.k8s.io", "ingresses"),
    ("networking.k8s.io", "networkpolicies"),
    ("policy", "poddisruptionbudgets"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
}
_NAME_SUFFIX_ROOM = 58  # 63 characters less the five random ones of generateName
# The server's own metadata: a caller's values are ignored on update.
_OURS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink")


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about: a resource of a cluster, and below it as far as the path goes."""

    cluster: str
    served: Served
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> Key:
        """Where the object is stored."""
        return Key(self.cluster, self.served.group, self.served.plural, self.namespace, self.name)

    @property
    def place(self) -> tuple[str, str]:
        """(group, resource): how tables of rules are keyed."""
        return (self.served.group, self.served.plural)


def typed(obj: object, target: Target) -> Object:
    """The body as an object of the target's kind and version; an absent kind is filled in."""
    if not isinstance(obj, dict):
        raise bad_request(f"the body is no object: expected a {target.served.kind}")
    served = target.served
    version, kind = obj.get("apiVersion") or served.api_version, obj.get("kind") or served.kind
    if version != served.api_version:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({served.api_version})"
        )
    if kind != served.kind:
        raise bad_request(f"the object provided is unrecognized (must be of type {served.kind}): found {kind}")
    metadata = obj.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise bad_request(f"metadata of {served.kind}: expected an object")
    for name in ("labels", "annotations"):
        _check_strings(metadata.get(name), name, served)
    return {"apiVersion": version, "kind": kind, **obj, "metadata": _without_nulls(metadata)}


def _check_strings(values: object, name: str, served: Served) -> None:
    fine = values is None or (isinstance(values, dict) and all(isinstance(v, str) for v in values.values()))
    if not fine:
        raise Malformed(
            f'{served.kind} in version "{served.version}" cannot be handled as a {served.kind}:'
            f" json: cannot unmarshal metadata.{name} into Go struct field ObjectMeta of type map[string]string"
        )


def _without_nulls(metadata: Mapping[str, Any]) -> Object:
    return {key: value for key, value in metadata.items() if value is not None}


def counts_generation(target: Target) -> bool:
    """Whether the resource has a generation."""
    return target.served.custom is not None or target.place in _COUNTED


def for_create(obj: Object, target: Target, *, now: str, uid: str, suffix: str) -> Object:
    """The object with the server's own metadata; ``suffix`` completes ``generateName``."""
    metadata = {k: v for k, v in obj["metadata"].items() if k not in {*_OURS, "resourceVersion"}}
    if obj["metadata"].get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][:_NAME_SUFFIX_ROOM] + suffix
    metadata = _placed(metadata, target)
    _check_name(metadata.get("name", ""), target)
    metadata |= {"uid": uid, "creationTimestamp": now}
    if counts_generation(target):
        metadata["generation"] = 1
    new = {**obj, "metadata": metadata}
    if target.served.has_status and target.place not in _KEEPS_STATUS_ON_CREATE:
        new.pop("status", None)
    return new


def _placed(metadata: Object, target: Target) -> Object:
    namespace = metadata.pop("namespace", "")
    if target.served.namespaced:
        if namespace and namespace != target.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        return {**metadata, "namespace": target.namespace}
    return metadata


def _check_name(name: object, target: Target) -> None:
    served = target.served
    if not isinstance(name, str) or not name:
        raise _invalid_name(served, "", "FieldValueRequired", "Required value: name or generateName is required")
    if served.group == "rbac.authorization.k8s.io":
        if name in {".", ".."} or "/" in name or "%" in name:
            raise _invalid_name(served, name, "FieldValueInvalid", f"Invalid value: \"{name}\": may not contain '/'")
        return
    label = target.place in _LABEL_NAMED
    fits = (_LABEL if label else _SUBDOMAIN).fullmatch(name)
    if not fits or len(name) > (63 if label else 253):
        text = f'Invalid value: "{name}": {_LABEL_TEXT if label else _SUBDOMAIN_TEXT}'
        raise _invalid_name(served, name, "FieldValueInvalid", text)


def _invalid_name(served: Served, name: str, reason: str, message: str) -> ApiError:
    return invalid(served.group, served.kind, name, [{"reason": reason, "message": message, "field": "metadata.name"}])


def for_update(new: Object, live: Object, target: Target) -> Object:
    """What the caller proposes, with everything that is not the caller's taken from the live object."""
    served, old = target.served, live["metadata"]
    metadata = dict(new["metadata"])
    _check_identity(metadata, old, target)
    for name in _OURS:
        metadata.pop(name, None)
        if name in old:
            metadata[name] = old[name]
    metadata["name"] = old["name"]
    if "namespace" in old:
        metadata["namespace"] = old["namespace"]
    metadata["resourceVersion"] = old["resourceVersion"]
    if "generateName" in old:
        metadata.setdefault("generateName", old["generateName"])
    if "managedFields" in old:
        metadata.setdefault("managedFields", old["managedFields"])
    updated = {**new, "metadata": metadata}
    if target.subresource == "status":
        return _status_only(updated, live, target)
    if served.has_status:
        updated.pop("status", None)
        if "status" in live:
            updated["status"] = live["status"]
    return updated


def _status_only(new: Object, live: Object, target: Target) -> Object:
    kept = {**live, "metadata": {**live["metadata"], "managedFields": new["metadata"].get("managedFields", [])}}
    if target.served.custom is None:
        for name in ("labels", "annotations"):
            if name in new["metadata"]:
                kept["metadata"][name] = new["metadata"][name]
    kept.pop("status", None)
    return {**kept, "status": new["status"]} if "status" in new else kept


def _check_identity(metadata: Mapping[str, Any], old: Mapping[str, Any], target: Target) -> None:
    served, name = target.served, old["name"]
    given = metadata.get("name") or name
    if given != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    if metadata.get("namespace") and metadata["namespace"] != old.get("namespace", metadata["namespace"]):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    version = metadata.get("resourceVersion")
    # "0" is any version to Kubernetes, as no version is.
    if version not in {None, "", "0"} and version != old["resourceVersion"]:
        raise conflict(served.group, served.plural, name)
    uid = metadata.get("uid")
    if uid and uid != old["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['uid']}"
        raise conflict(served.group, served.plural, name, why)


def with_generation(new: Object, live: Object, target: Target) -> Object:
    """Count the generation up when the specification has changed."""
    if not counts_generation(target) or target.subresource == "status":
        return new
    ignored = {"metadata", "status"} if target.served.has_status else {"metadata"}
    before = {key: value for key, value in live.items() if key not in ignored}
    after = {key: value for key, value in new.items() if key not in ignored}
    if before == after:
        return new
    generation = live["metadata"].get("generation", 0) + 1
    return {**new, "metadata": {**new["metadata"], "generation": generation}}


def same(new: Object, live: Object) -> bool:
    """Whether nothing but the times in managedFields differs: such a write is answered, not stored."""
    return _compared(new) == _compared(live)


def _compared(obj: Object) -> Object:
    metadata = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
    if "managedFields" in metadata:
        metadata["managedFields"] = [{k: v for k, v in f.items() if k != "time"} for f in metadata["managedFields"]]
    return {**obj, "metadata": metadata}
