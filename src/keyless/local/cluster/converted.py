"""What a conversion webhook answers, read and judged. Pure.

Who an object is stays as it was: name, namespace, uid, kind; of the metadata labels and annotations alone are taken.
Texts: k8s.io/apiextensions-apiserver ``pkg/apiserver/conversion``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from keyless.api import Permanent
from keyless.local.cluster.builtin.metadata_rules import validate_metadata
from keyless.local.cluster.faults import Object, aggregate

IDENTITY = (("name", "name"), ("namespace", "namespace"), ("uid", "UID"))
GO_TYPES = {dict: "map[string]interface {}", list: "[]interface {}", str: "string", bool: "bool", int: "int64"}
MOST_TEXT = 1000
"""Characters of a webhook's own words that are passed on."""


class Unusable(Permanent):
    """An answer that cannot be taken; the message ends a sentence about the webhook."""


def answered(body: bytes, version: str, uid: str) -> list[Any]:
    """The converted objects of an answer, as they are; raises ``Unusable`` where there is none, or it is a refusal."""
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unusable("the answer is no JSON") from error
    if not isinstance(review, dict):
        raise Unusable("the answer is no ConversionReview")
    response = review.get("response")
    if version == "v1":
        _check_kind(review)
    if not isinstance(response, dict):
        raise Unusable("no response provided")
    if version == "v1" and response.get("uid") != uid:
        raise Unusable(f'expected response.uid="{uid}", got "{_text(response.get("uid"))}"')
    result = response.get("result")
    status = result.get("status") if isinstance(result, dict) else ""
    if status != "Success":
        message = result.get("message") if isinstance(result, dict) else ""
        raise Unusable(_text(message) or f"response.result.status was '{_text(status)}', not 'Success'")
    objects = response.get("convertedObjects")
    return objects if isinstance(objects, list) else []


def _check_kind(review: Mapping[str, Any]) -> None:
    found = f"{_text(review.get('apiVersion'))}, Kind={_text(review.get('kind'))}"
    expected = "apiextensions.k8s.io/v1, Kind=ConversionReview"
    if found != expected:
        raise Unusable(f"expected webhook response of {expected}, got {found}")


def taken(old: Object, new: Any, version: str) -> Object:
    """The converted object with the old one's metadata; raises ``Unusable`` where it is another one or no object."""
    if not isinstance(new, dict):
        raise Unusable(f"object at index 0: expected an object, found {_go_type(new)}")
    for name, expected in (("apiVersion", version), ("kind", old["kind"])):
        if new.get(name) != expected:
            what = "groupVersion" if name == "apiVersion" else "kind"
            found = _text(new.get(name))
            raise Unusable(f"object at index 0: invalid {what} (expected {expected}, received {found})")
    before, after = old["metadata"], new.get("metadata")
    if after is None:
        raise Unusable("metadata: missing metadata in converted object")
    if not isinstance(after, dict):
        raise Unusable(f"metadata: invalid metadata of type {_go_type(after)} in converted object")
    for name, shown in IDENTITY:
        if (before.get(name) or "") != (after.get(name) or ""):
            raise Unusable(f"object: must have the same {shown}: {before.get(name) or ''} != {_text(after.get(name))}")
    return {**new, "metadata": _restored(before, after)}


def _restored(before: Mapping[str, Any], after: Mapping[str, Any]) -> Object:
    metadata = {key: value for key, value in before.items() if key not in {"labels", "annotations"}}
    for name in ("labels", "annotations"):
        values = after.get(name)
        if values is None:
            continue
        _check_values(name, values)
        if values != before.get(name):
            faults = validate_metadata({"metadata": {**metadata, name: values}})
            if faults:
                raise Unusable(f"metadata: {aggregate(faults)}")
        metadata[name] = values
    return metadata


def _check_values(name: str, values: Any) -> None:
    if not isinstance(values, dict):
        raise Unusable(f"metadata: invalid metadata.{name} of type {_go_type(values)} in converted object")
    for key, value in values.items():
        if not isinstance(value, str):
            kind = _go_type(value)
            raise Unusable(f"metadata: metadata.{name}[{key}] must be a string, but is {kind} in converted object")


def _go_type(value: Any) -> str:
    return GO_TYPES.get(type(value), "float64" if isinstance(value, float) else "<nil>")


def _text(value: Any) -> str:
    return value[:MOST_TEXT] if isinstance(value, str) else ""
