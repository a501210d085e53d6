"""create, update and patch: from a body to a committed object.

Admission may wait (webhooks); the commit may not. So a change is made from the live object, admitted and validated,
and committed only if the object is still the one it was made from; else it is made again. The order is Kubernetes':
decode, default, mutating admission, the resource's own preparation, validation, validating admission, commit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keyless.local.cluster import builtin, strategies
from keyless.local.cluster.admission import Attributes
from keyless.local.cluster.api import Api, name_suffix, new_uid
from keyless.local.cluster.apply import ApplyConflict, Shape, builtin_shape, server_side_apply, track_update
from keyless.local.cluster.bodies import YAML, decode, decode_json, decode_yaml
from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.messages import Reply, Request
from keyless.local.cluster.objects import Object, Target, for_create, for_update, same, typed, with_generation
from keyless.local.cluster.options import WriteOptions, write_options
from keyless.local.cluster.patches import PatchError, json_patch, merge_patch, strategic_patch
from keyless.local.cluster.presenting import view
from keyless.local.cluster.status import (
    ApiError,
    already_exists,
    bad_request,
    conflict,
    details,
    invalid,
    not_found,
    unsupported_media,
)
from keyless.local.cluster.store import Entry, Key
from keyless.local.cluster.strategies import Step

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_ATTEMPTS = 8

Transform = Callable[[Object], Object]
"""From the live object (in the caller's version) to the proposed one."""


async def create(api: Api, request: Request, target: Target) -> Reply:
    """POST to a collection."""
    shown, options = view(request, target.served, api.now), write_options(request)
    body = typed(_decoded(request), target)
    body, warnings = _known_fields(body, target, options, decoding=True)
    for attempt in range(_ATTEMPTS):
        obj = for_create(body, target, now=api.timestamp(), uid=new_uid(), suffix=name_suffix())
        named = Target(target.cluster, target.served, target.namespace, obj["metadata"]["name"])
        try:
            made, more = await create_object(api, request, named, obj, options)
        except ApiError as error:
            generated = not body["metadata"].get("name")
            if error.status["reason"] != "AlreadyExists" or not generated or attempt == _ATTEMPTS - 1:
                raise
            continue
        return Reply(201, shown.one(made), warnings=(*warnings, *more))
    raise conflict(target.served.group, target.served.plural, "")


async def create_object(
    api: Api, request: Request, target: Target, obj: Object, options: WriteOptions
) -> tuple[Object, tuple[str, ...]]:
    """Default, admit, validate and store a new object."""
    served = target.served
    if api.store.get(target.key):
        raise already_exists(served.group, served.plural, target.name)
    attributes = Attributes("CREATE", target, request.user, options.dry_run, _option_object("CreateOptions", options))
    admitted, warnings = await api.admission.mutate(attributes, _defaulted(obj, target), None)
    prepared = strategies.on_create(Step(api, request.user, target, _defaulted(_kept(admitted, obj), target)))
    _validate(prepared, None, target)
    warnings += await api.admission.validate(attributes, prepared, None)
    if not any(f.get("operation") == "Apply" for f in prepared["metadata"].get("managedFields", ())):
        prepared = _tracked(None, prepared, target, options, api.timestamp())
    if api.store.get(target.key):
        raise already_exists(served.group, served.plural, target.name)
    api.admission.check_namespace(attributes)
    if options.dry_run:
        return prepared, warnings
    entry = api.store.put(target.key, _stored(prepared, target))
    strategies.after(api, target)
    return entry.object, warnings


def _kept(admitted: Object, obj: Object) -> Object:
    """Webhooks may not change who an object is."""
    ours = {k: obj["metadata"][k] for k in ("name", "namespace", "uid", "creationTimestamp") if k in obj["metadata"]}
    return {**admitted, "metadata": {**admitted["metadata"], **ours}}


async def replace(api: Api, request: Request, target: Target) -> Reply:
    """PUT an object or its status."""
    options = write_options(request)
    body = typed(_decoded(request), target)
    body, warnings = _known_fields(body, target, options, decoding=True)
    if target.served.custom and not body["metadata"].get("resourceVersion"):
        cause = {"reason": "FieldValueInvalid", "message": "Invalid value: 0x0: must be specified for an update"}
        raise invalid(
            target.served.group, target.served.kind, target.name, [{**cause, "field": "metadata.resourceVersion"}]
        )
    obj, more = await update_object(api, request, target, lambda _: body, options)
    return Reply(200, view(request, target.served, api.now).one(obj), warnings=(*warnings, *more))


async def patch(api: Api, request: Request, target: Target) -> Reply:
    """PATCH an object or its status, with any of the four kinds of patch."""
    shown, options = view(request, target.served, api.now), write_options(request)
    if request.media_type == APPLY:
        return await _apply(api, request, target, options)
    content = decode_json(request.body)
    transform = _patching(request.media_type, content, target)
    warnings: list[str] = []

    def change(live: Object) -> Object:
        proposed, found = _known_fields(typed(transform(live), target), target, options, decoding=False)
        warnings[:] = found
        return proposed

    obj, more = await update_object(api, request, target, change, options)
    return Reply(200, shown.one(obj), warnings=(*warnings, *more))


def _patching(media: str, content: Any, target: Target) -> Transform:
    served = target.served
    if media == JSON_PATCH:
        return lambda live: _patched(lambda: json_patch(live, content), target)
    if media == MERGE:
        return lambda live: _patched(lambda: merge_patch(live, content), target)
    if media == STRATEGIC and not served.custom:
        return lambda live: _patched(
            lambda: strategic_patch(live, content, group=served.group, kind=served.kind), target
        )
    known = [JSON_PATCH, MERGE, APPLY] if served.custom else [JSON_PATCH, MERGE, STRATEGIC, APPLY]
    raise unsupported_media(known)


def _patched(make: Callable[[], Object], target: Target) -> Object:
    try:
        return make()
    except PatchError as error:
        served = target.served
        extra = details(served.group, served.kind, target.name, error.causes) if error.causes else None
        raise ApiError(error.code, error.reason, error.message, details=extra) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise bad_request(f"the patch cannot be applied: {str(error)[:100]}") from error


async def _apply(api: Api, request: Request, target: Target, options: WriteOptions) -> Reply:
    served, shown = target.served, view(request, target.served, api.now)
    if not request.params.get("fieldManager"):
        cause = {"reason": "FieldValueRequired", "message": "Required value: is required for apply patch"}
        raise invalid("meta.k8s.io", "PatchOptions", "", [{**cause, "field": "fieldManager"}])
    applied = typed(decode_yaml(request.body), target)
    if applied["metadata"].get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    applied, warnings = _known_fields(applied, target, options, decoding=True, sparse=True)
    applied = _placed_apply(applied, target)

    def merge(live: Object | None) -> Object:
        result = server_side_apply(
            live,
            applied,
            manager=options.manager,
            force=options.force,
            subresource=target.subresource,
            now=api.timestamp(),
            schema=shape_of(target),
            status_is_separate=served.has_status,
        )
        if isinstance(result, ApplyConflict):
            extra = {"causes": list(result.causes)}
            raise ApiError(409, "Conflict", result.message, details=extra)
        return result

    for _ in range(_ATTEMPTS):
        if api.store.get(target.key) or target.subresource:
            obj, more = await update_object(api, request, target, merge, options, applying=True)
            return Reply(200, shown.one(obj), warnings=(*warnings, *more))
        fresh = for_create(merge(None), target, now=api.timestamp(), uid=new_uid(), suffix="")
        try:
            obj, more = await create_object(api, request, target, fresh, options)
        except ApiError as error:
            if error.status["reason"] != "AlreadyExists":
                raise
            continue
        return Reply(201, shown.one(obj), warnings=(*warnings, *more))
    raise conflict(served.group, served.plural, target.name)


def _placed_apply(applied: Object, target: Target) -> Object:
    metadata = dict(applied["metadata"])
    if metadata.setdefault("name", target.name) != target.name:
        raise bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({target.name})"
        )
    if target.served.namespaced and metadata.setdefault("namespace", target.namespace) != target.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    return {**applied, "metadata": metadata}


async def update_object(
    api: Api,
    request: Request,
    target: Target,
    transform: Transform,
    options: WriteOptions,
    *,
    applying: bool = False,
) -> tuple[Object, tuple[str, ...]]:
    """Change an existing object; made again when it moved meanwhile."""
    served = target.served
    option_kind = "PatchOptions" if request.method == "PATCH" else "UpdateOptions"
    attributes = Attributes("UPDATE", target, request.user, options.dry_run, _option_object(option_kind, options))
    for _ in range(_ATTEMPTS):
        entry = api.store.get(target.key)
        if entry is None:
            raise not_found(served.group, served.plural, target.name)
        live = {**entry.object, "apiVersion": served.api_version}
        new = _defaulted(for_update(transform(live), live, target), target)
        if same(new, live):
            return entry.object, ()
        new, warnings = await api.admission.mutate(attributes, new, live)
        new = _defaulted(for_update(new, live, target), target)
        new = strategies.on_update(Step(api, request.user, target, new, live))
        new = with_generation(new, live, target)
        _validate(new, live, target)
        warnings += await api.admission.validate(attributes, new, live)
        if not applying:
            new = _tracked(live, new, target, options, api.timestamp())
        if api.store.get(target.key) is not entry:
            continue
        if same(new, live):
            return entry.object, warnings
        if options.dry_run:
            return new, warnings
        return _commit(api, target, new), warnings
    raise conflict(served.group, served.plural, target.name)


def _commit(api: Api, target: Target, new: Object) -> Object:
    """Store, or remove an object that was only waiting for its last finalizer."""
    metadata = new["metadata"]
    done = (
        "deletionTimestamp" in metadata
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
        and not strategies.holds(target, new)
    )
    key = Key(target.cluster, target.served.group, target.served.plural, target.namespace, target.name)
    stored = _stored(new, target)
    entry: Entry = api.store.delete(key, stored) if done else api.store.put(key, stored)
    strategies.after(api, target)
    return entry.object


def _decoded(request: Request) -> Any:
    body = decode(request) if request.media_type != YAML else decode_yaml(request.body)
    if body is None:
        raise bad_request("the body is empty: expected an object")
    return body


def _known_fields(
    obj: Object, target: Target, options: WriteOptions, *, decoding: bool, sparse: bool = False
) -> tuple[Object, list[str]]:
    """Drop fields that no schema knows: refused under Strict, told under Warn. ``sparse`` keeps empty values."""
    served = target.served
    try:
        if served.custom:
            pruned, unknown = served.custom.schema.prune(obj)
        else:
            unknown = builtin.unknown_fields(served.group, served.version, served.kind, obj)
            pruned = (
                obj if sparse and not unknown else builtin.normalize(served.group, served.version, served.kind, obj)
            )
    except Malformed as error:
        prefix = f'{served.kind} in version "{served.version}" cannot be handled as a {served.kind}: '
        raise bad_request(prefix + str(error)) from error
    if not unknown or options.validation == "Ignore":
        return pruned, []
    faults = [f'unknown field "{path}"' for path in unknown]
    if options.validation == "Warn":
        return pruned, faults
    text = f"strict decoding error: {', '.join(faults)}"
    if decoding and not served.custom and not sparse:
        text = f'{served.kind} in version "{served.version}" cannot be handled as a {served.kind}: {text}'
    raise bad_request(text)


def _defaulted(obj: Object, target: Target) -> Object:
    if target.served.custom:
        return target.served.custom.schema.default(obj)
    if target.subresource == "finalize":
        return obj  # the default of a namespace's finalizers is what this call takes away
    return builtin.default(target.served.group, target.served.kind, obj)


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


def _tracked(old: Object | None, new: Object, target: Target, options: WriteOptions, now: str) -> Object:
    fields = track_update(
        old,
        new,
        manager=options.manager,
        api_version=target.served.api_version,
        subresource=target.subresource,
        now=now,
        schema=shape_of(target),
    )
    return {**new, "metadata": {**new["metadata"], "managedFields": fields}}


def _stored(obj: Object, target: Target) -> Object:
    return {**obj, "apiVersion": target.served.stored_api_version}


def _option_object(kind: str, options: WriteOptions) -> Object:
    body: Object = {"kind": kind, "apiVersion": "meta.k8s.io/v1", "fieldManager": options.manager}
    if options.dry_run:
        body["dryRun"] = ["All"]
    return body
