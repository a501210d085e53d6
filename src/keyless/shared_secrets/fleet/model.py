"""What is read of every control plane to tell which of them holds which version."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from keyless.kube import KubeObject

State = Literal["Current", "Behind", "Stale", "Failing", "NotRead", "NotSynced", "Unreachable"]
"""Judged in this order, the last that holds: ``Behind`` another control plane has a newer version of the same key."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One control plane as it answered; ``unreachable`` says why it did not."""

    name: str
    group: str
    external_secrets: tuple[KubeObject, ...] = ()
    cluster_external_secrets: tuple[KubeObject, ...] = ()
    cluster_secret_stores: tuple[KubeObject, ...] = ()
    unreachable: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One key of one ExternalSecret in one control plane; times are Kubernetes' own form, versions the provider's."""

    group: str
    control_plane: str
    state: State
    namespace: str = ""
    external_secret: str = ""
    shared_external_secret: str = ""
    secret: str = ""
    store: str = ""
    store_kind: str = ""
    shared_store: str = ""
    key: str = ""
    requested_version: str = ""
    version: str = ""
    version_time: str = ""
    read_time: str = ""
    next_read_time: str = ""
    ready: str = "Unknown"
    reason: str = ""
    authorized: str = "Unknown"
    message: str = ""
    failure: KubeObject = field(default_factory=dict)

    def document(self) -> KubeObject:
        """Return the row for programs: what is not known is left out."""
        named = {
            "group": self.group,
            "controlPlane": self.control_plane,
            "state": self.state,
            "namespace": self.namespace,
            "externalSecret": self.external_secret,
            "sharedExternalSecret": self.shared_external_secret,
            "secret": self.secret,
            "store": self.store,
            "storeKind": self.store_kind,
            "sharedStore": self.shared_store,
            "key": self.key,
            "requestedVersion": self.requested_version,
            "version": self.version,
            "versionTime": self.version_time,
            "readTime": self.read_time,
            "nextReadTime": self.next_read_time,
            "ready": self.ready,
            "reason": self.reason,
            "authorized": self.authorized,
            "message": self.message,
            "failure": self.failure,
        }
        return {name: value for name, value in named.items() if value}
