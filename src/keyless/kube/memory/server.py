"""The verbs of the memory server: a :class:`Transport` that answers from :class:`Objects`.

What it keeps of Kubernetes' rules is listed in the package's docstring.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from keyless.kube.conditions import timestamp
from keyless.kube.errors import AlreadyExists, ApiError, Conflict, Forbidden, NotFound, Rejected, failure_status
from keyless.kube.memory import managers, secrets
from keyless.kube.memory.apply import fields_of
from keyless.kube.memory.lifecycle import Lifecycle
from keyless.kube.memory.objects import Change, Objects
from keyless.kube.memory.patching import patched
from keyless.kube.memory.route import Key, Route, route_of
from keyless.kube.memory.selection import Selection
from keyless.kube.resources import KubeObject
from keyless.kube.transport import Request, Response, Stream

Admit = Callable[[str, str, KubeObject], KubeObject]

_ADMITTED_VERBS = {"POST": "CREATE", "PUT": "UPDATE", "PATCH": "UPDATE"}
INITIAL_END = {"annotations": {"k8s.io/initial-events-end": "true"}}


class MemoryServer:
    """See the package's docstring for what its hooks do."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.objects = Objects()
        self.lifecycle = Lifecycle(self.objects, now)
        self.calls: list[str] = []
        self.before: Callable[[Request], None] = lambda request: None  # noqa: ARG005 - nobody looks
        self.admit: Admit = lambda operation, resource, obj: obj  # noqa: ARG005 - everything is admitted as it is
        self.answers: dict[str, Callable[[KubeObject], KubeObject]] = {}
        self.texts: dict[str, str] = {}
        self._now = now
        self._tokens = 0

    async def send(self, request: Request) -> Response:
        """Answer a call."""
        self._enter(request)
        if request.path in self.texts:
            return Response(200, {"content-type": "text/plain"}, self.texts[request.path].encode())
        try:
            code, answer = 200, self._answer(request)
        except ApiError as error:
            code, answer = error.code, error.status
        return Response(code, {"content-type": "application/json"}, orjson.dumps(answer))

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[Stream, None]:
        """Answer a watch."""
        self._enter(request)
        yield Stream(200, self._watch(route_of(request.path), request.params))

    async def aclose(self) -> None:
        """End every watch."""
        self.objects.drop_followers()

    def _enter(self, request: Request) -> None:
        self.calls.append(request.subject)
        self.before(request)

    def _answer(self, request: Request) -> KubeObject:
        route = route_of(request.path)
        body: Any = orjson.loads(request.body) if request.body else {}
        if request.method == "GET":
            return self._found(route) if route.name else self._list(route, request)
        if request.method == "POST":
            return self._post(route, body, request)
        if request.method == "DELETE":
            return self._delete(route, body)
        if request.method not in {"PUT", "PATCH"}:
            raise Rejected(failure_status(405, "MethodNotAllowed", f"{request.method} is not offered here"))
        return self._change(route, body, request)

    def _found(self, route: Route) -> KubeObject:
        obj = self.objects.get(route.key)
        if obj is None:
            raise _missing(route)
        return obj

    def _list(self, route: Route, request: Request) -> KubeObject:
        selection = Selection.of(route, request.params)
        items = [obj for key, obj in self.objects.items() if selection.holds(key, obj)]
        if "PartialObjectMetadata" in request.headers.get("accept", ""):
            items = [_partial(item) for item in items]
        return {"kind": "List", "metadata": {"resourceVersion": str(self.objects.version)}, "items": items}

    def _post(self, route: Route, body: KubeObject, request: Request) -> KubeObject:
        if route.subresource == "token":
            return self._token(route, body)
        if answer := self.answers.get(route.plural):
            return {**body, **answer(body)}
        metadata = dict(body.get("metadata") or {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp(self._now()), "generation": 1}
        if route.namespace:
            metadata["namespace"] = route.namespace
        key = Key(route.group, route.plural, route.namespace, metadata["name"])
        self._must_accept(route, key)
        admitted = self._validated(key, None, self.admit("CREATE", route.plural, {**body, "metadata": metadata}))
        if "dryRun" in request.params:
            return admitted
        return self.objects.put(key, self._managed(key, {}, admitted, request))

    def _must_accept(self, route: Route, key: Key) -> None:
        if route.namespace:
            namespace = self.objects.get(Key("", "namespaces", "", route.namespace))
            if namespace is None:
                raise NotFound(failure_status(404, "NotFound", f'namespaces "{route.namespace}" not found'))
            if namespace["metadata"].get("deletionTimestamp"):
                message = (
                    f'{route.qualified} "{key.name}" is forbidden: namespace {route.namespace} is being terminated'
                )
                raise Forbidden(failure_status(403, "Forbidden", message))
        if self.objects.get(key) is not None:
            raise AlreadyExists(failure_status(409, "AlreadyExists", f'{route.qualified} "{key.name}" already exists'))

    def _change(self, route: Route, body: Any, request: Request) -> KubeObject:
        live = self.objects.get(route.key)
        content_type = request.headers.get("content-type", "")
        applying = content_type.startswith("application/apply-patch")
        if live is None and applying and not route.subresource:
            if "dryRun" not in request.params:
                self._own(route.key, body, request)
            try:
                return self._post(Route(route.group, route.version, route.plural, route.namespace), body, request)
            except ApiError:
                self.objects.owners.pop(route.key, None)
                raise
        if live is None:
            raise _missing(route)
        if request.method == "PUT":
            new = body
        else:
            owners = self.objects.owners.get(route.key, {})
            new = patched(live, body, content_type, request.params, owners)
        # Admission first, as on a real server: the generation counts changes of what is stored, not of what was sent.
        new = self.admit(_ADMITTED_VERBS[request.method], route.plural, new)
        new = self._validated(route.key, live, self.lifecycle.prepared(live, new, route.subresource))
        if "dryRun" in request.params:
            return new
        if applying:
            self._own(route.key, body, request)
        return self.lifecycle.update(route.key, live, self._managed(route.key, live, new, request))

    def _validated(self, key: Key, live: KubeObject | None, new: KubeObject) -> KubeObject:
        """``new`` with a Secret's defaults; raises ``Invalid`` where a server would. Other kinds have no rules here."""
        return secrets.validated(live, new) if _is_secret(key) else new

    def _managed(self, key: Key, live: KubeObject, new: KubeObject, request: Request) -> KubeObject:
        """``new`` with ``metadata.managedFields``: for Secrets alone, the only kind whose managers anybody reads."""
        if not _is_secret(key):
            return new
        if not request.headers.get("content-type", "").startswith("application/apply-patch"):
            owners = self.objects.owners.get(key, {})
            manager = request.params.get("fieldManager", "unknown")
            self.objects.owners[key] = managers.after_update(owners, live, new, manager)
        shown = managers.managed_fields(self.objects.owners.get(key, {}))
        return {**new, "metadata": {**new["metadata"], "managedFields": shown}}

    def _own(self, key: Key, body: KubeObject, request: Request) -> None:
        manager = request.params["fieldManager"]
        self.objects.owners.setdefault(key, {})[manager] = frozenset(fields_of(body))

    def _delete(self, route: Route, options: KubeObject) -> KubeObject:
        live = self._found(route)
        for field, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            asked, found = (options.get("preconditions") or {}).get(field), live["metadata"][field]
            if asked and asked != found:
                text = (
                    f'Operation cannot be fulfilled on {route.qualified} "{route.name}": the {word} in the '
                    f"precondition ({asked}) does not match the {word} in record ({found})"
                )
                raise Conflict(failure_status(409, "Conflict", text))
        return self.lifecycle.delete(route.key, orphan=options.get("propagationPolicy") == "Orphan")

    def _token(self, route: Route, body: KubeObject) -> KubeObject:
        if self.objects.get(route.key) is None:
            raise _missing(route)
        self._tokens += 1
        spec = body["spec"]
        expires = self._now() + timedelta(seconds=spec.get("expirationSeconds") or 3600)
        audiences = "+".join(spec.get("audiences") or ())
        token = f"token-{self._tokens}-for-{route.namespace}/{route.name}-to-{audiences}"
        return {**body, "status": {"token": token, "expirationTimestamp": timestamp(expires)}}

    async def _watch(self, route: Route, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        selection = Selection.of(route, params)
        version = params.get("resourceVersion", "")
        initial = params.get("sendInitialEvents") == "true" or version in {"", "0"}
        if not initial and int(version) < self.objects.oldest:
            status = failure_status(410, "Expired", f"too old resource version: {version} ({self.objects.oldest})")
            yield orjson.dumps({"type": "ERROR", "object": status})
            return
        follower = self.objects.follow(None if initial else int(version))
        try:
            if initial:
                for key, obj in self.objects.items():
                    if selection.holds(key, obj):
                        yield _line("ADDED", obj)
            if params.get("sendInitialEvents") == "true":
                yield _bookmark(self.objects.version, INITIAL_END)
            while not follower.dropped:
                follower.news.clear()
                for change in self.objects.read(follower):
                    if line := _seen(change, selection):
                        yield line
                await follower.news.wait()
        finally:
            self.objects.unfollow(follower)


def _seen(change: Change, selection: Selection) -> bytes | None:
    """A change as this watch sees it: entering the selection is an addition, leaving it a deletion."""
    if change.key is None or change.object is None:
        return _bookmark(change.version, {})
    before = change.old is not None and selection.holds(change.key, change.old)
    after = change.type != "DELETED" and selection.holds(change.key, change.object)
    if not before and not after:
        return None
    return _line("DELETED" if not after else "MODIFIED" if before else "ADDED", change.object)


def _line(kind: str, obj: KubeObject) -> bytes:
    return orjson.dumps({"type": kind, "object": obj})


def _bookmark(version: int, metadata: KubeObject) -> bytes:
    return _line("BOOKMARK", {"metadata": {"resourceVersion": str(version), **metadata}})


def _partial(obj: KubeObject) -> KubeObject:
    return {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": obj["metadata"]}


def _is_secret(key: Key) -> bool:
    return key.plural == "secrets" and not key.group


def _missing(route: Route) -> NotFound:
    return NotFound(failure_status(404, "NotFound", f'{route.qualified} "{route.name}" not found'))


def utc_now() -> datetime:
    """The clock that a memory server uses unless it is given one."""
    return datetime.now(UTC)
