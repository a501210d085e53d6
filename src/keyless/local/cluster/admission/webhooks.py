"""Runs the webhooks that a request concerns: the mutating ones in order, the validating ones together."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from keyless.local.cluster.admission.attributes import Attributes
from keyless.local.cluster.admission.caller import Unreachable, WebhookCaller
from keyless.local.cluster.admission.matching import concerns
from keyless.local.cluster.admission.reviews import BadAnswer, Verdict, question, read_untrusted
from keyless.local.cluster.patches import PatchError, json_patch
from keyless.local.cluster.status import ApiError, bad_request, internal
from keyless.local.cluster.store import Key, Store

GROUP = "admissionregistration.k8s.io"
_DEFAULT_TIMEOUT_SECONDS = 10

Object = dict[str, Any]
Webhook = Mapping[str, Any]
Warnings = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """The objects of a request, and the labels of their namespace."""

    obj: Object | None
    old: Object | None
    namespace: Mapping[str, str] | None

    @property
    def labels(self) -> tuple[Mapping[str, str], ...]:
        return tuple((one["metadata"].get("labels") or {}) for one in (self.obj, self.old) if one)


async def mutate(
    store: Store, caller: WebhookCaller, attributes: Attributes, obj: Object | None, old: Object | None
) -> tuple[Any, Warnings]:
    """Let each webhook change the object; those that wish are asked again when a later one has changed it."""
    namespace = _namespace_labels(store, attributes, obj or old)
    warnings: Warnings = ()
    asked: list[tuple[Webhook, Object | None]] = []
    for webhook in _webhooks(store, attributes, "mutatingwebhookconfigurations"):
        if concerns(webhook, attributes, _Change(obj, old, namespace).labels, namespace):
            obj, more = await _ask_mutating(caller, webhook, attributes, _Change(obj, old, namespace))
            warnings += more
            asked.append((webhook, obj))
    for webhook, answered in asked:
        if webhook.get("reinvocationPolicy") == "IfNeeded" and answered != obj:
            obj, more = await _ask_mutating(caller, webhook, attributes, _Change(obj, old, namespace))
            warnings += more
    return obj, warnings


async def validate(
    store: Store, caller: WebhookCaller, attributes: Attributes, obj: Object | None, old: Object | None
) -> Warnings:
    """Ask every validating webhook; the first refusal wins."""
    change = _Change(obj, old, _namespace_labels(store, attributes, obj or old))
    chosen = [
        webhook
        for webhook in _webhooks(store, attributes, "validatingwebhookconfigurations")
        if concerns(webhook, attributes, change.labels, change.namespace)
    ]
    verdicts = await asyncio.gather(*(_ask(caller, webhook, attributes, change) for webhook in chosen))
    warnings: Warnings = ()
    for webhook, verdict in zip(chosen, verdicts, strict=True):
        if verdict:
            _check_allowed(webhook, verdict)
            warnings += verdict.warnings
    return warnings


def _webhooks(store: Store, attributes: Attributes, resource: str) -> Iterator[Webhook]:
    for entry in store.list(attributes.target.cluster, GROUP, resource):
        yield from entry.object.get("webhooks") or ()


def _namespace_labels(store: Store, attributes: Attributes, obj: Object | None) -> Mapping[str, str] | None:
    """The labels that namespaceSelector looks at; None for objects of the cluster scope."""
    target = attributes.target
    if target.place == ("", "namespaces"):
        return ((obj or {}).get("metadata") or {}).get("labels") or {}
    if not target.served.namespaced:
        return None
    entry = store.get(Key(target.cluster, "", "namespaces", "", target.namespace))
    return (entry.object["metadata"].get("labels") or {}) if entry else {}


async def _ask_mutating(
    caller: WebhookCaller, webhook: Webhook, attributes: Attributes, change: _Change
) -> tuple[Object | None, Warnings]:
    verdict = await _ask(caller, webhook, attributes, change)
    if verdict is None:
        return change.obj, ()
    _check_allowed(webhook, verdict)
    if not verdict.patch or change.obj is None:
        return change.obj, verdict.warnings
    try:
        return json_patch(change.obj, verdict.patch), verdict.warnings
    except PatchError as error:
        raise internal(f'failed calling webhook "{webhook["name"]}": its patch cannot be applied: {error}') from error


async def _ask(caller: WebhookCaller, webhook: Webhook, attributes: Attributes, change: _Change) -> Verdict | None:
    """The verdict, or None when the webhook failed and may be ignored."""
    if attributes.dry_run and webhook.get("sideEffects") not in {"None", "NoneOnDryRun"}:
        raise bad_request(f'admission webhook "{webhook["name"]}" does not support dry run')
    uid = str(uuid.uuid4())
    seconds = webhook.get("timeoutSeconds") or _DEFAULT_TIMEOUT_SECONDS
    body = question(uid, attributes, change.obj, change.old)
    try:
        return read_untrusted(uid, await caller.post(webhook.get("clientConfig") or {}, body, seconds))
    except (Unreachable, BadAnswer) as error:
        if webhook.get("failurePolicy", "Fail") == "Ignore":
            return None
        raise internal(f'failed calling webhook "{webhook["name"]}": failed to call webhook: {error}') from error


def _check_allowed(webhook: Webhook, verdict: Verdict) -> None:
    if verdict.allowed:
        return
    text = f'admission webhook "{webhook["name"]}" denied the request'
    text += f": {verdict.message or verdict.reason}" if verdict.message or verdict.reason else " without explanation"
    code = verdict.code if 400 <= verdict.code < 600 else 403
    raise ApiError(code, verdict.reason or ("Forbidden" if code == 403 else ""), text)
