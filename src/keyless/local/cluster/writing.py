"""create, update and patch, as clients send them: bodies read, patches applied, fields checked.

What happens between the proposed object and the stored one is in ``changes``. Spec:
https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keyless.local.cluster import builtin
from keyless.local.cluster.api import Api, name_suffix, new_uid
from keyless.local.cluster.apply import ApplyConflict, server_side_apply, with_last_applied
from keyless.local.cluster.bodies import decode, decode_json, decode_yaml
from keyless.local.cluster.changes import ATTEMPTS, Transform, Write, create_object, shape_of, update_object
from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.messages import Reply, Request
from keyless.local.cluster.objects import Object, Target, for_create, typed
from keyless.local.cluster.options import WriteOptions, write_options
from keyless.local.cluster.patches import PatchError, json_patch, merge_patch, strategic_patch
from keyless.local.cluster.presenting import view
from keyless.local.cluster.status import ApiError, bad_request, conflict, details, invalid, unsupported_media

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


async def create(api: Api, request: Request, target: Target) -> Reply:
    """POST to a collection."""
    shown, options = view(request, target.served, api.now), write_options(request)
    body = typed(_decoded(request), target)
    body, warnings = _known_fields(body, target, options, decoding=True)
    for attempt in range(ATTEMPTS):
        obj = for_create(body, target, now=api.timestamp(), uid=new_uid(), suffix=name_suffix())
        named = Target(target.cluster, target.served, target.namespace, obj["metadata"]["name"])
        try:
            made, more = await create_object(Write(api, request, named, options), obj)
        except ApiError as error:
            generated = not body["metadata"].get("name")
            if error.status["reason"] != "AlreadyExists" or not generated or attempt == ATTEMPTS - 1:
                raise
            continue
        return Reply(201, shown.one(made), warnings=(*warnings, *more))
    raise conflict(target.served.group, target.served.plural, "")


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
    obj, more = await update_object(Write(api, request, target, options), lambda _: body)
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
        try:
            proposed, found = _known_fields(typed(transform(live), target), target, options, decoding=False)
        except Malformed as error:
            raise _bad_patch(str(error), target, strategic=request.media_type == STRATEGIC) from error
        warnings[:] = found
        return proposed

    obj, more = await update_object(Write(api, request, target, options), change)
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


def _bad_patch(fault: str, target: Target, *, strategic: bool) -> ApiError:
    """422 for an object that a patch has made unreadable; unlike Kubernetes, without its values: they may be secret."""
    text = fault[fault.find("json: ") :] if "json: " in fault else fault
    if strategic and "cannot unmarshal number into" in text and text.endswith(" of type string"):
        text = "cannot convert int64 to string"  # Kubernetes reads strategic patches with another decoder
    message = f'Invalid value: "the {target.served.kind} as patched": {text}'
    return invalid("", "", "", [{"reason": "FieldValueInvalid", "message": message, "field": "patch"}])


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
        if options.manager == "kubectl" and live is not None and not target.subresource:
            return with_last_applied(result, live, applied)
        return result

    write = Write(api, request, target, options, applying=True)
    for _ in range(ATTEMPTS):
        if api.store.get(target.key) or target.subresource:
            obj, more = await update_object(write, merge)
            return Reply(200, shown.one(obj), warnings=(*warnings, *more))
        fresh = for_create(merge(None), target, now=api.timestamp(), uid=new_uid(), suffix="")
        try:
            obj, more = await create_object(write, fresh)
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


def _decoded(request: Request) -> Any:
    body = decode(request)
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
        if not decoding:
            raise
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
