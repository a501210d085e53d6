"""Requests to one Kubernetes API server, with plain dictionaries as objects.

A :class:`Kube` knows how requests are spelled and what answers mean. It does not connect (see ``connect``), cache (see
``informer``), retry (see ``controller``) or interpret objects.

Spelling: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any

import orjson

from keyless.api import KeylessError
from keyless.kube.contact import Contact
from keyless.kube.errors import ApiError, Expired, Unreachable, error_of, failure_status, status_of_untrusted, wait_of
from keyless.kube.fenced import FencedTransport
from keyless.kube.model import (
    Event,
    Page,
    PatchKind,
    Propagation,
    Selector,
    TokenStatus,
    selector_text,
)
from keyless.kube.resources import PODS, SERVICEACCOUNTS, KubeObject, Resource
from keyless.kube.transport import Request, Response, Stream, Transport
from keyless.kube.untrusted import chunk_of, event_of, object_of, stored_of, token_of

CHUNK_ITEMS = 500
"""Items asked for at once when listing: kubectl's own number."""

_JSON = "application/json"
_METADATA = "application/json;as={};g=meta.k8s.io;v=v1"
_PATCH_TYPES: Mapping[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


class Kube:
    """One API server, or one logical cluster of it, as one identity."""

    def __init__(self, transport: Transport) -> None:
        self.contact = Contact()
        """What the last answer says about the connection."""
        self._transport = transport

    async def __aenter__(self) -> Kube:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; watches that are still open end."""
        await self._transport.aclose()

    def fenced(self, may_write: Callable[[], bool]) -> Kube:
        """The same connection; each write asks ``may_write`` first, and raises ``NotHeld`` where that says no."""
        fenced = Kube(FencedTransport(self._transport, may_write))
        fenced.contact = self.contact
        return fenced

    async def get(
        self, res: Resource, name: str, namespace: str | None = None, *, metadata_only: bool = False
    ) -> KubeObject:
        """Read one object; with ``metadata_only`` that is all that comes back."""
        accept = f"{_METADATA.format('PartialObjectMetadata')},{_JSON}" if metadata_only else _JSON
        return await self._stored("GET", res.path(namespace, name), accept=accept)

    async def list(
        self,
        res: Resource,
        namespace: str | None = None,
        *,
        labels: Selector = None,
        fields: Selector = None,
        metadata_only: bool = False,
    ) -> Page:
        """Read all objects, chunk by chunk; a chunk token that expires on the way makes it one whole list."""
        params = _selection(labels, fields)
        try:
            return await self._list(res, namespace, {**params, "limit": str(CHUNK_ITEMS)}, metadata_only=metadata_only)
        except Expired:
            return await self._list(res, namespace, params, metadata_only=metadata_only)

    async def create(
        self,
        res: Resource,
        obj: KubeObject,
        namespace: str | None = None,
        *,
        field_manager: str = "",
        dry_run: bool = False,
    ) -> KubeObject:
        """Create an object, its fields owned by ``field_manager``; raises ``AlreadyExists`` when the name is taken."""
        path = res.path(_namespace(obj, namespace))
        return await self._object("POST", path, body=_typed(res, obj), params=_dry(dry_run) | _managed(field_manager))

    async def replace(
        self,
        res: Resource,
        obj: KubeObject,
        namespace: str | None = None,
        *,
        field_manager: str = "",
        subresource: str | None = None,
    ) -> KubeObject:
        """Write a whole object; its resourceVersion, when it carries one, must still be the current one.

        Fields that change become ``field_manager``'s own.
        """
        path = res.path(_namespace(obj, namespace), obj["metadata"]["name"], subresource)
        return await self._stored("PUT", path, body=_typed(res, obj), params=_managed(field_manager))

    async def apply(
        self,
        res: Resource,
        obj: KubeObject,
        namespace: str | None = None,
        *,
        field_manager: str,
        force: bool = True,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> KubeObject:
        """Server-side apply: create or change exactly the fields in ``obj``, owned by ``field_manager``."""
        return await self._stored(
            "PATCH",
            res.path(_namespace(obj, namespace), obj["metadata"]["name"], subresource),
            body=_typed(res, obj),
            params={"fieldManager": field_manager, "force": str(force).lower(), **_dry(dry_run)},
            content_type="application/apply-patch+yaml",
        )

    async def patch(
        self,
        res: Resource,
        name: str,
        patch: KubeObject | Sequence[KubeObject],
        namespace: str | None = None,
        *,
        kind: PatchKind = "merge",
        subresource: str | None = None,
        metadata_only: bool = False,
    ) -> KubeObject:
        """Change part of an object; ``json`` takes a list of operations, the others an object.

        With ``metadata_only`` that is all that comes back.
        """
        path = res.path(namespace, name, subresource)
        accept = f"{_METADATA.format('PartialObjectMetadata')},{_JSON}" if metadata_only else _JSON
        return await self._stored("PATCH", path, body=patch, content_type=_PATCH_TYPES[kind], accept=accept)

    async def delete(
        self,
        res: Resource,
        name: str,
        namespace: str | None = None,
        *,
        propagation: Propagation = "Background",
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        """Ask for deletion (finalizers may delay it).

        ``uid`` guards against deleting a successor, ``resource_version`` against deleting what changed meanwhile.
        """
        options: KubeObject = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        conditions = {"uid": uid, "resourceVersion": resource_version}
        if wanted := {name: value for name, value in conditions.items() if value}:
            options["preconditions"] = wanted
        await self._send("DELETE", res.path(namespace, name), body=options)

    async def request(
        self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None
    ) -> KubeObject | str:
        """Any other request: a JSON answer as its value, any other (a log, say) as text."""
        response = await self._send(method, path, body=body, params=params)
        if response.headers.get("content-type", "").startswith(_JSON):
            with self.contact.noted():
                return object_of(response.body, f"{method} {path}")
        return response.body.decode("utf-8", "replace")

    async def token(
        self,
        service_account: str,
        namespace: str,
        *,
        audiences: Sequence[str],
        expiration_seconds: int,
        bound_pod: KubeObject | None = None,
    ) -> TokenStatus:
        """Have a token of a service account issued; with ``bound_pod`` it dies with that pod."""
        spec: KubeObject = {"audiences": list(audiences), "expirationSeconds": expiration_seconds}
        if bound_pod is not None:
            metadata = bound_pod["metadata"]
            spec["boundObjectRef"] = {
                "apiVersion": PODS.api_version,
                "kind": PODS.kind,
                "name": metadata["name"],
                "uid": metadata["uid"],
            }
        path = SERVICEACCOUNTS.path(namespace, service_account, "token")
        answer = await self._object(
            "POST",
            path,
            body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": spec},
        )
        return token_of(answer, f"POST {path}")

    async def watch(
        self,
        res: Resource,
        namespace: str | None = None,
        *,
        resource_version: str = "",
        labels: Selector = None,
        fields: Selector = None,
        metadata_only: bool = False,
        initial_events: bool = False,
        timeout_seconds: int | None = None,
        opened: Callable[[], None] | None = None,
    ) -> AsyncGenerator[Event, None]:
        """One watch request: changes after ``resource_version`` until the server ends it.

        Raises ``Expired`` when that version is too old. With ``initial_events`` what exists comes first as ADDED,
        closed by a BOOKMARK. ``opened`` is called when the server has let us in. For a watch that heals itself use
        ``Informer``.
        """
        params = {"watch": "true", "allowWatchBookmarks": "true", **_selection(labels, fields)}
        if resource_version:
            params["resourceVersion"] = resource_version
        if initial_events:
            params |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        if timeout_seconds:
            params["timeoutSeconds"] = str(timeout_seconds)
        accept = _METADATA.format("PartialObjectMetadata") if metadata_only else _JSON
        request = Request("GET", res.path(namespace), params, {"accept": accept})
        try:
            async with self._transport.stream(request) as stream:
                await self._let_in(stream, request)
                if opened is not None:
                    opened()
                async for line in stream.lines:
                    if line:
                        yield event_of(res, line, request.subject)
        except ApiError as error:
            self.contact.failed(error)
            raise

    async def _let_in(self, stream: Stream, request: Request) -> None:
        if 200 <= stream.status < 300:
            self.contact.heard()
            return
        body = b"\n".join([line async for line in stream.lines])
        raise _failure(request, Response(stream.status, stream.headers, body))

    async def _list(
        self, res: Resource, namespace: str | None, params: Mapping[str, str], *, metadata_only: bool
    ) -> Page:
        accept = f"{_METADATA.format('PartialObjectMetadataList')},{_JSON}" if metadata_only else _JSON
        items: list[KubeObject] = []
        token = ""
        while True:
            chunk_params = {**params, **({"continue": token} if token else {})}
            path = res.path(namespace)
            response = await self._send("GET", path, params=chunk_params, accept=accept)
            with self.contact.noted():
                some, token, version = chunk_of(res, response.body, f"GET {path}")
            items += some
            if not token:
                return Page(items, version)

    async def _stored(
        self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None, **how: str
    ) -> KubeObject:
        response = await self._send(method, path, body=body, params=params, **{"accept": _JSON, **how})
        with self.contact.noted():
            return stored_of(response.body, f"{method} {path}")

    async def _object(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, str] | None = None,
    ) -> KubeObject:
        response = await self._send(method, path, body=body, params=params, accept=_JSON)
        with self.contact.noted():
            return object_of(response.body, f"{method} {path}")

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        content_type: str = _JSON,
        accept: str = f"{_JSON}, */*",
    ) -> Response:
        headers = {"accept": accept}
        if body is not None:
            headers["content-type"] = content_type
        encoded = None if body is None else orjson.dumps(body)
        request = Request(method, path, params or {}, headers, encoded)
        with self.contact.noted():
            response = await self._transport.send(request)
            if not 200 <= response.status < 300:
                raise _failure(request, response)
        return response


def _failure(request: Request, response: Response) -> KeylessError:
    status = status_of_untrusted(response.status, response.body, subject=request.subject)
    if response.status < 400:
        # Kubernetes never redirects: a proxy wants a login.
        return Unreachable(failure_status(0, "", str(status.get("message"))))
    return error_of(status, retry_after_seconds=_wait(response.headers.get("retry-after"), datetime.now(UTC)))


def _selection(labels: Selector, fields: Selector) -> dict[str, str]:
    pairs = (("labelSelector", selector_text(labels)), ("fieldSelector", selector_text(fields)))
    return {key: text for key, text in pairs if text}


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _managed(field_manager: str) -> dict[str, str]:
    return {"fieldManager": field_manager} if field_manager else {}


def _namespace(obj: KubeObject, namespace: str | None) -> str | None:
    return namespace or obj.get("metadata", {}).get("namespace")


def _typed(res: Resource, obj: KubeObject) -> KubeObject:
    """Objects may be written without their type: the resource knows it."""
    return {"apiVersion": res.api_version, "kind": res.kind, **obj}


def _wait(retry_after: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header: a number, or a date (RFC 9110, 10.2.3)."""
    if not retry_after:
        return None
    try:
        return wait_of((parsedate_to_datetime(retry_after) - now).total_seconds())
    except (TypeError, ValueError):
        return wait_of(retry_after)
