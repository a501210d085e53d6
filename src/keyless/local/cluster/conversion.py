"""Objects of a custom resource in the version that a caller names, and in the one that is stored.

Where a definition has a conversion webhook, it turns one version into another: what it answers is taken, but for the
metadata, of which it may change labels and annotations alone. Without one, versions differ by their name. What comes
out is cut and filled by the schema of its version, as what comes in is. A webhook that does not answer, or answers
what cannot be taken, fails the request with 500, for this one kind. Spec:
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from keyless.local.cluster.admission.caller import Unreachable, WebhookCaller
from keyless.local.cluster.api import Api
from keyless.local.cluster.catalogue import Served
from keyless.local.cluster.converted import Unusable, answered, taken
from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.objects import Object, Target
from keyless.local.cluster.status import ApiError
from keyless.local.cluster.store import Entry

TIMEOUT_SECONDS = 30.0
MOST_OBJECTS = 100
"""One question's size: an answer stays small enough to be waited for."""
REVIEW_VERSIONS = ("v1", "v1beta1")


async def entries_in_version(api: Api, served: Served, entries: Sequence[Entry]) -> list[Entry]:
    """The entries as objects of the version of ``served``; those that are in it already stay as they are."""
    differing = [entry for entry in entries if entry.object["apiVersion"] != served.api_version]
    if not differing:
        return list(entries)
    made = await in_version(api, served, [entry.object for entry in differing])
    shown = {
        (entry.key, entry.rv): replace(entry, object=obj, data=orjson.dumps(obj))
        for entry, obj in zip(differing, made, strict=True)
    }
    return [shown.get((entry.key, entry.rv), entry) for entry in entries]


async def entry_in_version(api: Api, served: Served, entry: Entry) -> Entry:
    """One entry."""
    return (await entries_in_version(api, served, [entry]))[0]


async def in_version(api: Api, served: Served, objects: Sequence[Object]) -> list[Object]:
    """Stored objects of other versions in the version of ``served``; ``ApiError`` 500 where the webhook fails."""
    return [_fitted(obj, served) for obj in await _converted(api, served, objects, served.api_version)]


async def for_storage(api: Api, target: Target, obj: Object) -> Object:
    """What is stored of an object that came in the target's version."""
    served = target.served
    if served.api_version == served.stored_api_version:
        return {**obj, "apiVersion": served.stored_api_version}
    [made] = await _converted(api, served, [obj], served.stored_api_version)
    # Not served any more: then nobody reads it in that version, and whoever reads it has it cut by another schema.
    stored = api.catalogues.of(target.cluster).find(served.group, served.storage_version, served.plural)
    return _fitted(made, stored) if stored is not None else made


async def _converted(api: Api, served: Served, objects: Sequence[Object], desired: str) -> list[Object]:
    webhook = served.custom.conversion if served.custom is not None else None
    if webhook is None:
        return [{**obj, "apiVersion": desired} for obj in objects]
    made: list[Object] = []
    for start in range(0, len(objects), MOST_OBJECTS):
        made += await _asked(api.admission.caller, webhook, objects[start : start + MOST_OBJECTS], desired)
    return made


def _fitted(obj: Object, served: Served) -> Object:
    if served.custom is None:
        return obj
    try:
        return served.custom.schema.default(served.custom.schema.prune(obj)[0])
    except Malformed as error:
        raise _failed(obj, f"returned invalid object: {error}") from error


async def _asked(
    caller: WebhookCaller, webhook: Mapping[str, Any], objects: Sequence[Object], desired: str
) -> list[Object]:
    uid = str(uuid.uuid4())
    wanted = webhook.get("conversionReviewVersions") or ["v1"]
    version = next((known for known in wanted if known in REVIEW_VERSIONS), "")
    if not version:
        raise _failed(objects[0], "no supported conversion review versions", plain=True)
    body = {
        "kind": "ConversionReview",
        "apiVersion": f"apiextensions.k8s.io/{version}",
        "request": {"uid": uid, "desiredAPIVersion": desired, "objects": list(objects)},
    }
    try:
        answer = await caller.post(webhook.get("clientConfig") or {}, body, TIMEOUT_SECONDS)
        found = answered(answer, version, uid)
    except (Unreachable, Unusable) as error:
        raise _failed(objects[0], f"failed: {error}") from error
    if len(found) != len(objects):
        raise _failed(objects[0], f"returned {len(found)} objects, expected {len(objects)}")
    made = []
    for obj, new in zip(objects, found, strict=True):
        try:
            made.append(taken(obj, new, desired))
        except Unusable as error:
            raise _failed(obj, f"returned invalid {error}") from error
    return made


def _failed(obj: Object, what: str, *, plain: bool = False) -> ApiError:
    text = what if plain else f"conversion webhook for {obj['apiVersion']}, Kind={obj['kind']} {what}"
    return ApiError(500, "", text)
