"""What sync needs of a store."""

from __future__ import annotations

from typing import Protocol

from keyless.shared_secrets.stores.model import Payload, RemoteRef, Search


class Reader(Protocol):
    """One store, opened with one identity."""

    identity: str
    """Names the chain of credentials and the region; values are never shared between identities."""
    by_controller: bool
    """Whether the chain begins with the identity of the controller's own pod."""

    async def read(self, ref: RemoteRef) -> Payload:
        """Read one secret; raises ``SecretMissing``, ``AwsTransient`` or ``AwsPermanent``."""
        ...

    async def search(self, search: Search) -> tuple[str, ...]:
        """Return the names of what is there, without the store's prefix; reads no value. Raises as ``read`` does."""
        ...
