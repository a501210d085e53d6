"""What happens to objects of the memory server as they change and go: generations, finalizers, owners, namespaces."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from keyless.kube.conditions import timestamp
from keyless.kube.errors import Conflict, failure_status
from keyless.kube.memory.objects import Objects
from keyless.kube.memory.route import Key
from keyless.kube.model import version_of
from keyless.kube.resources import KubeObject

_SERVER_OWNED = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "namespace", "name")
_STALE = (
    'Operation cannot be fulfilled on {} "{}": the object has been modified; '
    "please apply your changes to the latest version and try again"
)


class Lifecycle:
    """Rules that reach beyond one request."""

    def __init__(self, objects: Objects, now: Callable[[], datetime]) -> None:
        self._objects = objects
        self._now = now

    def prepared(self, live: KubeObject, new: KubeObject, subresource: str) -> KubeObject:
        """``new`` as it may be stored: the version checked, only the addressed part changed."""
        if version_of(new) not in {"", version_of(live)}:
            kind = str(live.get("kind", "")).lower() + "s"
            message = _STALE.format(kind, live["metadata"]["name"])
            raise Conflict(failure_status(409, "Conflict", message))
        if subresource in ("status", "approval"):  # of a CertificateSigningRequest, whose status it is, too
            return {**live, "status": new.get("status", {})}
        old, metadata = live["metadata"], dict(new.get("metadata") or {})
        metadata |= {key: old[key] for key in _SERVER_OWNED if key in old}
        result = {**new, "metadata": metadata}
        if "status" in live:
            result["status"] = live["status"]
        if result.get("spec") != live.get("spec"):
            metadata["generation"] = int(old.get("generation") or 0) + 1
        return result

    def update(self, key: Key, live: KubeObject, new: KubeObject) -> KubeObject:
        """Store a changed object; one that was only waiting for its finalizers goes."""
        if {**new, "metadata": {**new["metadata"], "resourceVersion": version_of(live)}} == live:
            return live  # a write that changes nothing makes no version, as on a real server
        stored = self._objects.put(key, new)
        metadata = stored["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            return self._remove(key)
        return stored

    def delete(self, key: Key, *, orphan: bool) -> KubeObject:
        """Delete, or mark as deleted while finalizers or a namespace's content remain."""
        live = self._objects.get(key)
        assert live is not None
        if orphan:
            self._release(live["metadata"]["uid"])
        if key.plural == "namespaces" and not key.group:
            return self._end_namespace(key, live)
        if not live["metadata"].get("finalizers"):
            return self._remove(key)
        if live["metadata"].get("deletionTimestamp"):
            return live
        return self._objects.put(key, self._marked(live))

    def _marked(self, live: KubeObject) -> KubeObject:
        return {**live, "metadata": {**live["metadata"], "deletionTimestamp": timestamp(self._now())}}

    def _remove(self, key: Key) -> KubeObject:
        last = self._objects.remove(key)
        self._cascade(last["metadata"].get("uid", ""))
        if key.namespace:
            self._finish_namespace(key.namespace)
        return last

    def _cascade(self, uid: str) -> None:
        for key, obj in self._objects.items():
            owners = obj["metadata"].get("ownerReferences") or ()
            if owners and all(owner["uid"] == uid for owner in owners) and self._objects.get(key):
                self.delete(key, orphan=False)

    def _release(self, uid: str) -> None:
        for key, obj in self._objects.items():
            owners = obj["metadata"].get("ownerReferences") or ()
            kept = [owner for owner in owners if owner["uid"] != uid]
            if len(kept) != len(owners):
                self._objects.put(key, {**obj, "metadata": {**obj["metadata"], "ownerReferences": kept}})

    def _end_namespace(self, key: Key, live: KubeObject) -> KubeObject:
        if not live["metadata"].get("deletionTimestamp"):
            live = self._objects.put(key, {**self._marked(live), "status": {"phase": "Terminating"}})
        for inner, _ in self._objects.items():
            if inner.namespace == key.name and self._objects.get(inner):
                self.delete(inner, orphan=False)
        self._finish_namespace(key.name)
        return self._objects.get(key) or live

    def _finish_namespace(self, name: str) -> None:
        key = Key("", "namespaces", "", name)
        live = self._objects.get(key)
        if live is None or not live["metadata"].get("deletionTimestamp") or live["metadata"].get("finalizers"):
            return
        if not any(inner.namespace == name for inner, _ in self._objects.items()):
            self._remove(key)
