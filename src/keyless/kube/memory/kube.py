"""The memory server behind the ordinary :class:`Kube`: every request takes the real path but for the wire."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime

from keyless.kube.conditions import timestamp
from keyless.kube.kube import Kube
from keyless.kube.memory.route import Key
from keyless.kube.memory.server import Admit, MemoryServer, utc_now
from keyless.kube.resources import NAMESPACES, KubeObject, Resource
from keyless.kube.transport import Request


class MemoryKube(Kube):
    """A :class:`Kube` with a server of its own; share one server by passing the same object around."""

    def __init__(self, *, now: Callable[[], datetime] = utc_now) -> None:
        self._server = MemoryServer(now)
        self._now = now
        super().__init__(self._server)
        for name in ("default", "kube-system"):
            self.put(NAMESPACES, {"metadata": {"name": name}, "status": {"phase": "Active"}})

    @property
    def calls(self) -> list[str]:
        """Every request so far, as ``METHOD path``; clear it to start afresh."""
        return self._server.calls

    @property
    def before(self) -> Callable[[Request], None]:
        """Called with each request before it is answered; what it raises the caller sees."""
        return self._server.before

    @before.setter
    def before(self, hook: Callable[[Request], None]) -> None:
        self._server.before = hook

    @property
    def admit(self) -> Admit:
        """Called with (CREATE or UPDATE, plural, object); returns the object to store."""
        return self._server.admit

    @admit.setter
    def admit(self, hook: Admit) -> None:
        self._server.admit = hook

    @property
    def answers(self) -> dict[str, Callable[[KubeObject], KubeObject]]:
        """By plural: what a POST of it is answered with (reviews), instead of being stored."""
        return self._server.answers

    @property
    def texts(self) -> dict[str, str]:
        """By path: answers that are plain text (logs)."""
        return self._server.texts

    def put(self, res: Resource, obj: KubeObject) -> KubeObject:
        """Store an object as it is, status included, without admission or hooks."""
        metadata = {
            "uid": str(uuid.uuid4()),
            "creationTimestamp": timestamp(self._now()),
            "generation": 1,
            **obj["metadata"],
        }
        key = Key(res.group, res.plural, metadata.get("namespace", "") if res.namespaced else "", metadata["name"])
        typed = {"apiVersion": res.api_version, "kind": res.kind, **obj, "metadata": metadata}
        return self._server.objects.put(key, typed)

    def stored(self, res: Resource, namespace: str | None = None) -> list[KubeObject]:
        """What is there, without a request."""
        return [
            obj
            for key, obj in self._server.objects.items()
            if (key.group, key.plural) == (res.group, res.plural) and namespace in {None, key.namespace}
        ]

    def drop_watches(self) -> None:
        """End every watch, as a restarting server does."""
        self._server.objects.drop_followers()

    def expire_history(self) -> None:
        """Forget past changes: watches from older versions get 410."""
        self._server.objects.cut()

    def bookmark(self) -> None:
        """Send every watch the present version."""
        self._server.objects.bookmark()
