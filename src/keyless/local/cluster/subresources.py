"""Subresources with a shape of their own: scale, binding, eviction.

``status`` goes through the ordinary writes, ``token`` and ``log`` have modules of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cluster import writing
from keyless.local.cluster.api import Api
from keyless.local.cluster.changes import Write, update_object
from keyless.local.cluster.conversion import entry_in_version
from keyless.local.cluster.deleting import delete_object
from keyless.local.cluster.messages import Reply, Request, json_reply
from keyless.local.cluster.objects import Object, Target
from keyless.local.cluster.options import DeleteOptions, write_options
from keyless.local.cluster.patches import PatchError, json_patch, merge_patch
from keyless.local.cluster.status import ApiError, bad_request, conflict, invalid, not_found, unsupported_media

_BUILT_IN_SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": "",
}


async def scale(api: Api, request: Request, target: Target, body: Any) -> Reply:
    """GET, PUT or PATCH …/scale."""
    entry = api.store.get(target.key)
    if entry is None:
        raise not_found(target.served.group, target.served.plural, target.name)
    if request.method == "GET":
        found = await entry_in_version(api, target.served, entry)
        return json_reply(200, _scale_of(found.object, target))
    whole = Target(target.cluster, target.served, target.namespace, target.name)
    paths = _paths(target)

    def change(live: Object) -> Object:
        wanted = _wanted_scale(request, _scale_of(live, target), body)
        version = (wanted.get("metadata") or {}).get("resourceVersion")
        if version and version != live["metadata"]["resourceVersion"]:
            raise conflict(target.served.group, target.served.plural, target.name)
        replicas = (wanted.get("spec") or {}).get("replicas", 0)
        if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
            message = f"Invalid value: {replicas}: must be greater than or equal to 0"
            cause = {"reason": "FieldValueInvalid", "message": message, "field": "spec.replicas"}
            raise invalid("autoscaling", "Scale", target.name, [cause])
        return _with(live, paths["specReplicasPath"].strip(".").split("."), replicas)

    obj, warnings = await update_object(Write(api, request, whole, write_options(request)), change)
    return json_reply(200, _scale_of(obj, target), warnings=warnings)


def _wanted_scale(request: Request, current: Object, body: Any) -> Object:
    if request.method == "PUT":
        if not isinstance(body, dict):
            raise bad_request("the body is no Scale")
        return body
    try:
        if request.media_type == writing.JSON_PATCH:
            return json_patch(current, body)
        if request.media_type in {writing.MERGE, writing.STRATEGIC, writing.APPLY}:
            return merge_patch(current, body)
    except PatchError as error:
        raise ApiError(error.code, error.reason, error.message) from error
    raise unsupported_media([writing.JSON_PATCH, writing.MERGE])


def _paths(target: Target) -> Mapping[str, str]:
    custom = target.served.custom
    return custom.scale if custom and custom.scale else _BUILT_IN_SCALE


def _scale_of(obj: Object, target: Target) -> Object:
    paths = _paths(target)
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    if target.served.custom:
        selector = _at(obj, paths.get("labelSelectorPath") or "") or ""
    else:
        labels = obj.get("spec", {}).get("selector") or {}
        selector = ",".join(f"{k}={v}" for k, v in sorted((labels.get("matchLabels") or {}).items()))
    status: Object = {"replicas": _at(obj, paths["statusReplicasPath"]) or 0}
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: obj["metadata"][name] for name in names if name in obj["metadata"]},
        "spec": {"replicas": _at(obj, paths["specReplicasPath"]) or 0},
        "status": status,
    }


def _at(obj: Object, path: str) -> Any:
    value: Any = obj
    for step in path.strip(".").split(".") if path else ["-"]:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _with(obj: Object, steps: list[str], value: Any) -> Object:
    if not steps:
        raise bad_request("the scale subresource names no path of replicas")
    if len(steps) == 1:
        return {**obj, steps[0]: value}
    return {**obj, steps[0]: _with(obj.get(steps[0]) or {}, steps[1:], value)}


def bind(api: Api, request: Request, target: Target, body: Object) -> Reply:
    """POST …/pods/NAME/binding: the scheduler's decision."""
    node = (body.get("target") or {}).get("name")
    if not node:
        cause = {"reason": "FieldValueRequired", "message": "Required value", "field": "target.name"}
        raise invalid("", "Binding", target.name, [cause])
    entry = api.store.get(target.key)
    if entry is None:
        raise not_found("", "pods", target.name)
    live = entry.object
    taken = live["spec"].get("nodeName")
    if taken:
        raise conflict("", "pods/binding", target.name, f'pod {target.name} is already assigned to node "{taken}"')
    if "deletionTimestamp" in live["metadata"]:
        raise conflict("", "pods/binding", target.name, f"pod {target.name} is being deleted, cannot be assigned")
    if not write_options(request).dry_run:
        api.store.put(target.key, _bound(live, node, api.timestamp()))
    answer = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return json_reply(201, answer)


def _bound(pod: Object, node: str, now: str) -> Object:
    status = dict(pod.get("status") or {})
    others = [c for c in status.get("conditions") or [] if c["type"] != "PodScheduled"]
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    return {
        **pod,
        "spec": {**pod["spec"], "nodeName": node},
        "status": {**status, "conditions": [*others, scheduled]},
    }


async def evict(api: Api, request: Request, target: Target, body: Object) -> Reply:
    """POST …/pods/NAME/eviction: a deletion; disruption budgets are not counted here."""
    options = body.get("deleteOptions") or {}
    pod = Target(target.cluster, target.served, target.namespace, target.name)
    grace = options.get("gracePeriodSeconds")
    await delete_object(api, request, pod, DeleteOptions(bool(options.get("dryRun")), grace))
    answer = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return json_reply(201, answer)
