"""The middle of every write: from a proposed object to a committed one.

Admission may wait (webhooks); the commit may not. So a change is made from the live object, admitted and validated,
and committed only if the object is still the one it was made from; else it is made again. The order is Kubernetes':
default, field owners, mutating admission, the resource's own preparation, validation, validating admission, commit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keyless.local.cluster import builtin, strategies
from keyless.local.cluster.admission import Attributes, Operation
from keyless.local.cluster.api import Api
from keyless.local.cluster.apply import Shape, builtin_shape, track_update
from keyless.local.cluster.conversion import entry_in_version, for_storage
from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.messages import Request
from keyless.local.cluster.objects import Object, Target, for_update, same, with_generation
from keyless.local.cluster.options import WriteOptions
from keyless.local.cluster.status import already_exists, bad_request, conflict, invalid, not_found
from keyless.local.cluster.store import Entry
from keyless.local.cluster.strategies import Step

ATTEMPTS = 8
_NOT_THEIRS = ("name", "namespace", "uid", "creationTimestamp", "managedFields")

Transform = Callable[[Object], Object]
"""From the live object (in the caller's version) to the proposed one."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write on its way. ``applying``: the object carries the managedFields of a server-side apply already."""

    api: Api
    request: Request
    target: Target
    options: WriteOptions
    applying: bool = False

    def attributes(self, operation: Operation, options_kind: str) -> Attributes:
        """What admission is told."""
        options = _option_object(options_kind, self.options)
        return Attributes(operation, self.target, self.request.user, self.options.dry_run, options)


async def create_object(write: Write, obj: Object) -> tuple[Object, tuple[str, ...]]:
    """Default, admit, validate and store a new object."""
    api, target = write.api, write.target
    served = target.served
    if api.store.get(target.key):
        raise already_exists(served.group, served.plural, target.name)
    attributes = write.attributes("CREATE", "CreateOptions")
    sent = _tracked(write, None, _defaulted(obj, target))
    admitted, warnings = await api.admission.mutate(attributes, sent, None)
    prepared = strategies.on_create(Step(api, write.request.user, target, _defaulted(_kept(admitted, sent), target)))
    _validate(prepared, None, target)
    warnings += await api.admission.validate(attributes, prepared, None)
    stored = await for_storage(api, target, prepared)
    if api.store.get(target.key):
        raise already_exists(served.group, served.plural, target.name)
    api.admission.check_namespace(attributes)
    if write.options.dry_run:
        return prepared, warnings
    entry = api.store.put(target.key, stored)
    strategies.after(api, target)
    return (await entry_in_version(api, served, entry)).object, warnings


def _kept(admitted: Object, obj: Object) -> Object:
    """Webhooks may not change who an object is, nor who owns its fields."""
    ours = {k: obj["metadata"][k] for k in _NOT_THEIRS if k in obj["metadata"]}
    return {**admitted, "metadata": {**admitted["metadata"], **ours}}


async def update_object(write: Write, transform: Transform) -> tuple[Object, tuple[str, ...]]:
    """Change an existing object; made again when it moved meanwhile."""
    api, target = write.api, write.target
    served = target.served
    attributes = write.attributes("UPDATE", "PatchOptions" if write.request.method == "PATCH" else "UpdateOptions")
    for _ in range(ATTEMPTS):
        entry = api.store.get(target.key)
        if entry is None:
            raise not_found(served.group, served.plural, target.name)
        live = (await entry_in_version(api, served, entry)).object
        new = _defaulted(for_update(transform(live), live, target), target)
        if same(new, live):
            return live, ()
        new = _tracked(write, live, new)
        owners = new["metadata"]["managedFields"]
        new, warnings = await api.admission.mutate(attributes, new, live)
        new = _defaulted(for_update(new, live, target), target)
        new = {**new, "metadata": {**new["metadata"], "managedFields": owners}}
        new = strategies.on_update(Step(api, write.request.user, target, new, live))
        new = with_generation(new, live, target)
        _validate(new, live, target)
        warnings += await api.admission.validate(attributes, new, live)
        stored = await for_storage(api, target, new)
        if api.store.get(target.key) is not entry:
            continue
        if same(new, live):
            return live, warnings
        if write.options.dry_run:
            return new, warnings
        return (await entry_in_version(api, served, _commit(api, target, stored))).object, warnings
    raise conflict(served.group, served.plural, target.name)


def _commit(api: Api, target: Target, stored: Object) -> Entry:
    """Store, or remove an object that was only waiting for its last finalizer."""
    metadata = stored["metadata"]
    done = (
        "deletionTimestamp" in metadata
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
        and not strategies.holds(target, stored)
    )
    entry = api.store.delete(target.key, stored) if done else api.store.put(target.key, stored)
    strategies.after(api, target)
    return entry


def _defaulted(obj: Object, target: Target) -> Object:
    """As it is stored: in the form of Go's types, which applies and webhooks do not keep, and with the defaults."""
    served = target.served
    if served.custom:
        return served.custom.schema.default(obj)
    if target.subresource == "finalize":
        return obj  # the default of a namespace's finalizers is what this call takes away
    return builtin.default(served.group, served.kind, _normal(obj, target))


def _normal(obj: Object, target: Target) -> Object:
    served = target.served
    try:
        return builtin.normalize(served.group, served.version, served.kind, obj)
    except Malformed as error:
        raise bad_request(f"{served.kind}: {error}") from error


def _validate(obj: Object, old: Object | None, target: Target) -> None:
    served = target.served
    if served.custom:
        faults = served.custom.schema.validate(obj, old)
    else:
        faults = builtin.validate(served.group, served.kind, obj, old)
    if faults:
        raise invalid(served.group, served.kind, obj["metadata"]["name"], [fault.cause() for fault in faults])


def shape_of(target: Target) -> Shape:
    """How the target's fields merge."""
    served = target.served
    return served.custom.shape if served.custom else builtin_shape(served.group, served.kind)


def _tracked(write: Write, old: Object | None, new: Object) -> Object:
    """Before admission, as Kubernetes does: what a webhook adds is nobody's, and conflicts with no later apply."""
    if write.applying:
        return {**new, "metadata": {**new["metadata"], "managedFields": new["metadata"].get("managedFields", [])}}
    try:
        fields = track_update(
            old,
            new,
            manager=write.options.manager,
            api_version=write.target.served.api_version,
            subresource=write.target.subresource,
            now=write.api.timestamp(),
            schema=shape_of(write.target),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        # Of an object of a wrong form nobody owns a field; validation, which comes later, says what is wrong with it.
        fields = (old or {}).get("metadata", {}).get("managedFields", [])
    return {**new, "metadata": {**new["metadata"], "managedFields": fields}}


def _option_object(kind: str, options: WriteOptions) -> Object:
    body: Object = {"kind": kind, "apiVersion": "meta.k8s.io/v1", "fieldManager": options.manager}
    if options.dry_run:
        body["dryRun"] = ["All"]
    return body
