"""delete and deletecollection: finalizers, grace periods of pods, what becomes of dependents.

Dependents themselves are removed by the garbage collection controller; this module only leaves the finalizer that
tells it what the caller wished. Spec: https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

from __future__ import annotations

from datetime import timedelta

from keyless.local.cluster import strategies
from keyless.local.cluster.admission import Attributes
from keyless.local.cluster.api import Api, timestamp
from keyless.local.cluster.bodies import decode
from keyless.local.cluster.conversion import entry_in_version, in_version
from keyless.local.cluster.messages import Reply, Request, json_reply
from keyless.local.cluster.objects import Object, Target, counts_generation
from keyless.local.cluster.options import DeleteOptions, delete_options
from keyless.local.cluster.presenting import view
from keyless.local.cluster.reading import select, wanted
from keyless.local.cluster.status import ApiError, conflict, not_found, success

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_DEFAULT_POD_GRACE_SECONDS = 30
_ATTEMPTS = 8
# These answer with the object that was deleted, the others with a Status.
_ANSWER_OBJECT = {
    ("", "pods"),
    ("", "serviceaccounts"),
    ("", "services"),
    ("", "persistentvolumes"),
    ("", "persistentvolumeclaims"),
    ("", "podtemplates"),
    ("", "resourcequotas"),
}


async def delete(api: Api, request: Request, target: Target) -> Reply:
    """DELETE an object."""
    options = delete_options(request, decode(request))
    shown = view(request, target.served, api.now)
    obj, gone = await delete_object(api, request, target, options)
    served = target.served
    if gone and target.place not in _ANSWER_OBJECT:
        return json_reply(200, success(served.group, served.plural, target.name, obj["metadata"]["uid"]))
    if obj["apiVersion"] != served.api_version:
        [obj] = await in_version(api, served, [obj])
    return Reply(202 if not gone and options.policy == "Foreground" else 200, shown.one(obj))


async def delete_collection(api: Api, request: Request, target: Target) -> Reply:
    """DELETE every object that the selectors choose."""
    options = delete_options(request, decode(request))
    shown = view(request, target.served, api.now)
    chosen = await select(api, target, wanted(request, target))
    for entry in chosen:
        one = Target(target.cluster, target.served, entry.key.namespace, entry.key.name)
        try:
            await delete_object(api, request, one, options)
        except ApiError as error:
            if error.code != 404:
                raise
    metadata = {"resourceVersion": str(api.store.resource_version)}
    return Reply(200, shown.many([(entry.object, entry.data) for entry in chosen], metadata))


async def delete_object(api: Api, request: Request, target: Target, options: DeleteOptions) -> tuple[Object, bool]:
    """Remove, or mark as going; returns the object and whether it is gone."""
    served = target.served
    attributes = Attributes("DELETE", target, request.user, options.dry_run, _option_object(options))
    for _ in range(_ATTEMPTS):
        entry = api.store.get(target.key)
        if entry is None:
            raise not_found(served.group, served.plural, target.name)
        _check_preconditions(entry.object, target, options)
        shown = await entry_in_version(api, served, entry)
        await api.admission.validate(attributes, None, shown.object)
        if api.store.get(target.key) is not entry:
            continue
        marked = _marked(api, entry.object, target, options)
        waits = _waits(marked, target)
        if options.dry_run:
            return marked, not waits
        if waits and marked == entry.object:
            return entry.object, False
        done = api.store.put(target.key, marked) if waits else api.store.delete(target.key)
        strategies.after(api, target)
        return done.object, not waits
    raise conflict(served.group, served.plural, target.name)


def _check_preconditions(obj: Object, target: Target, options: DeleteOptions) -> None:
    metadata, served = obj["metadata"], target.served
    pairs = (
        ("UID", options.uid, metadata["uid"]),
        ("ResourceVersion", options.resource_version, metadata["resourceVersion"]),
    )
    for name, asked, found in pairs:
        if asked and asked != found:
            why = f"Precondition failed: {name} in precondition: {asked}, {name} in object meta: {found}"
            raise conflict(served.group, served.plural, target.name, why)


def _marked(api: Api, obj: Object, target: Target, options: DeleteOptions) -> Object:
    """The object with deletionTimestamp, grace period and the finalizer for its dependents."""
    metadata = {**obj["metadata"], "finalizers": _finalizers(obj, options)}
    if not metadata["finalizers"]:
        del metadata["finalizers"]
    grace = _grace(obj, target, options)
    going = "deletionTimestamp" in metadata
    if not going or grace < metadata.get("deletionGracePeriodSeconds", 0):
        metadata["deletionTimestamp"] = timestamp(api.now() + timedelta(seconds=grace))
        metadata["deletionGracePeriodSeconds"] = grace
        if not going and counts_generation(target):
            metadata["generation"] = metadata.get("generation", 0) + 1
    return strategies.on_delete(target, {**obj, "metadata": metadata})


def _finalizers(obj: Object, options: DeleteOptions) -> list[str]:
    present = list(obj["metadata"].get("finalizers", ()))
    if options.policy is None:
        return present
    asked = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(options.policy)
    kept = [name for name in present if name not in {FOREGROUND, ORPHAN}]
    return [*kept, asked] if asked else kept


def _grace(obj: Object, target: Target, options: DeleteOptions) -> int:
    if target.place != ("", "pods"):
        return 0
    # A pod that no node runs has nobody to wait for.
    spec = obj.get("spec", {})
    if not spec.get("nodeName") or obj.get("status", {}).get("phase") in {"Failed", "Succeeded"}:
        return 0
    if options.grace_seconds is not None:
        return options.grace_seconds
    if "deletionGracePeriodSeconds" in obj["metadata"]:
        return int(obj["metadata"]["deletionGracePeriodSeconds"])
    return int(spec.get("terminationGracePeriodSeconds", _DEFAULT_POD_GRACE_SECONDS))


def _waits(marked: Object, target: Target) -> bool:
    metadata = marked["metadata"]
    return bool(
        metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds") or strategies.holds(target, marked)
    )


def _option_object(options: DeleteOptions) -> Object:
    body: Object = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
    if options.policy:
        body["propagationPolicy"] = options.policy
    if options.dry_run:
        body["dryRun"] = ["All"]
    return body
