"""What EKS needs of the Kubernetes API; ``keyless.kube.Kube`` has it."""

from __future__ import annotations

from typing import Any, Protocol

from keyless.kube import KubeObject, Page, Resource
from keyless.kube.model import Selector


class Kubernetes(Protocol):
    """The requests that EKS sends to its cluster, as cluster administrator."""

    async def apply(
        self, res: Resource, obj: KubeObject, namespace: str | None = None, *, field_manager: str
    ) -> KubeObject:
        """Server-side apply."""
        ...

    async def delete(self, res: Resource, name: str, namespace: str | None = None) -> None:
        """Delete; raises ``NotFound``."""
        ...

    async def list(self, res: Resource, namespace: str | None = None, *, labels: Selector = None) -> Page:
        """All objects, or those with the labels."""
        ...

    async def request(self, method: str, path: str, *, body: Any = None) -> KubeObject | str:
        """Any other request."""
        ...
