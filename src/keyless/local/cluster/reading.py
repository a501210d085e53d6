"""get and list: selectors, pages, resourceVersion rules.

A continue token names the place where the next page begins and the resourceVersion of the first page. Later pages
show the present state; their resourceVersion stays that of the first page, so a watch from it repeats every change
that happened between the pages. When that version has left the ring the token is Expired, as Kubernetes does.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any

import orjson

from keyless.api.numbers import is_digits
from keyless.local.cluster import selectors
from keyless.local.cluster.api import Api
from keyless.local.cluster.conversion import entries_in_version, entry_in_version
from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.list_options import check_options
from keyless.local.cluster.messages import Reply, Request
from keyless.local.cluster.objects import Target
from keyless.local.cluster.presenting import view
from keyless.local.cluster.status import ApiError, bad_request, expired, not_found
from keyless.local.cluster.store import Entry


@dataclass(frozen=True, slots=True)
class Filter:
    """Which objects of a collection a caller wants."""

    target: Target
    labels: selectors.LabelSelector
    fields: selectors.FieldSelector

    def __call__(self, obj: dict[str, Any]) -> bool:
        """Whether the object is wanted."""
        metadata = obj["metadata"]
        if self.target.namespace and metadata.get("namespace") != self.target.namespace:
            return False
        if self.target.name and metadata["name"] != self.target.name:
            return False
        return self.labels.matches(metadata.get("labels") or {}) and self.fields.matches(obj)


def wanted(request: Request, target: Target) -> Filter:
    """Read the selectors; 400 for one that cannot be read or a field that cannot be selected."""
    try:
        labels = selectors.LabelSelector.parse(request.params.get("labelSelector", ""))
        custom = target.served.custom.selectable if target.served.custom else ()
        allowed = selectors.selectable_fields(target.served.group, target.served.plural, custom)
        fields = selectors.FieldSelector.parse(request.params.get("fieldSelector", ""), allowed)
    except Malformed as error:
        raise bad_request(str(error)) from error
    return Filter(target, labels, fields)


async def get(api: Api, request: Request, target: Target) -> Reply:
    """One object."""
    shown = view(request, target.served, api.now)
    entry = api.store.get(target.key)
    if entry is None:
        raise not_found(target.served.group, target.served.plural, target.name)
    found = await entry_in_version(api, target.served, entry)
    return Reply(200, shown.one(found.object, found.data))


async def select(api: Api, target: Target, keep: Filter) -> list[Entry]:
    """The wanted objects of a collection, sorted, in the target's version: selectors look at that, too.

    The store is read before anything is waited for: a resourceVersion taken just before the call is the list's.
    """
    served = target.served
    if keep.fields.name is not None and (target.namespace or not served.namespaced):
        entry = api.store.get(replace(target, name=keep.fields.name, subresource="").key)
        entries = [entry] if entry else []
    else:
        entries = api.store.list(target.cluster, served.group, served.plural, target.namespace or None)
    return [entry for entry in await entries_in_version(api, served, entries) if keep(entry.object)]


async def list_objects(api: Api, request: Request, target: Target) -> Reply:
    """A collection, or a page of it."""
    shown = view(request, target.served, api.now)
    check_options(request, watch=False)
    version = api.store.resource_version
    entries = await select(api, target, wanted(request, target))
    limit = _number(request, "limit")
    token = request.params.get("continue", "")
    if token:
        version, start = _read_token(api, target, token)
        entries = [entry for entry in entries if (entry.key.namespace, entry.key.name) > start]
    else:
        _check_version(api, request)
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if limit and len(entries) > limit:
        metadata["continue"] = _token(version, entries[limit - 1])
        metadata["remainingItemCount"] = len(entries) - limit
        entries = entries[:limit]
    return Reply(200, shown.many([(entry.object, entry.data) for entry in entries], metadata))


def _number(request: Request, name: str) -> int:
    text = request.params.get(name, "") or "0"
    if not is_digits(text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _check_version(api: Api, request: Request) -> None:
    asked, match = _number(request, "resourceVersion"), request.params.get("resourceVersionMatch", "")
    current = api.store.resource_version
    if asked > current:
        raise too_new(asked, current)
    if match == "Exact" and asked != current:
        # Only the newest state is held; anything else is, to us, compacted.
        raise expired(f"The resourceVersion for the provided list is too old: {asked} ({current})")


def too_new(asked: int, current: int) -> ApiError:
    """504: a version from the future, such as one of a store that was lost."""
    return ApiError(
        504,
        "Timeout",
        f"Too large resource version: {asked}, current: {current}",
        details={
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
    )


def _token(version: int, last: Entry) -> str:
    place = {"v": "meta.k8s.io/v1", "rv": version, "start": f"{last.key.namespace}/{last.key.name}"}
    return base64.urlsafe_b64encode(orjson.dumps(place)).rstrip(b"=").decode()


def _read_token(api: Api, target: Target, token: str) -> tuple[int, tuple[str, str]]:
    try:
        place = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, (namespace, name) = int(place["rv"]), place["start"].split("/")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise bad_request("continue key is not valid: expected the token of the previous page") from error
    if api.store.since(target.key.bucket, version) is None:
        raise expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list"
            " without the continue parameter."
        )
    return version, (namespace, name)
