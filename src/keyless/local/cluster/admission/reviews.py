"""AdmissionReview v1: the question to a webhook, and the reading of its answer. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import orjson

from keyless.local.cluster.admission.attributes import Attributes

Object = dict[str, Any]


class BadAnswer(Exception):
    """The webhook's answer is no AdmissionReview."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a webhook said. ``patch`` is a JSON patch."""

    allowed: bool
    patch: list[Any]
    warnings: tuple[str, ...]
    code: int
    message: str
    reason: str


def question(uid: str, attributes: Attributes, obj: Object | None, old: Object | None) -> Object:
    """The AdmissionReview to send."""
    target = attributes.target
    served = target.served
    kind = {"group": served.group, "version": served.version, "kind": served.kind}
    resource = {"group": served.group, "version": served.version, "resource": served.plural}
    user = attributes.user
    request: Object = {
        "uid": uid,
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": target.name,
        "namespace": target.namespace or (target.name if target.place == ("", "namespaces") else ""),
        "operation": attributes.operation,
        "userInfo": {"username": user.name, "uid": user.uid, "groups": list(user.groups)},
        "object": obj,
        "oldObject": old,
        "dryRun": attributes.dry_run,
        "options": attributes.options,
    }
    if target.subresource:
        request |= {"subResource": target.subresource, "requestSubResource": target.subresource}
    filled = {key: value for key, value in request.items() if value != ""}
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": filled}


def read_untrusted(uid: str, body: bytes) -> Verdict:
    """Read an answer; raises only ``BadAnswer``."""
    try:
        review = orjson.loads(body)
        response = review["response"]
        if response.get("uid") != uid:
            raise BadAnswer(f"expected response.uid={uid!r}, got {str(response.get('uid'))[:40]!r}")
        status = response.get("status") or {}
        return Verdict(
            bool(response["allowed"]),
            _patch(response),
            tuple(str(text) for text in response.get("warnings") or ()),
            int(status.get("code") or 403),
            str(status.get("message") or ""),
            str(status.get("reason") or ""),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadAnswer("the answer is no AdmissionReview of version admission.k8s.io/v1") from error


def _patch(response: Object) -> list[Any]:
    if not response.get("patch"):
        return []
    if response.get("patchType") != "JSONPatch":
        raise BadAnswer("patchType must be JSONPatch when there is a patch")
    try:
        patch = orjson.loads(base64.b64decode(response["patch"], validate=True))
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise BadAnswer("the patch is no base64 of a JSON patch") from error
    if not isinstance(patch, list):
        raise BadAnswer("the patch is no list of operations")
    return patch
