"""Stores opened for writing: the same credentials, conditions and scopes as for reading."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from keyless.shared_secrets.push.plan import Remote, Write
from keyless.shared_secrets.push.writers import Deletion, ParameterStoreWriter, SecretsManagerWriter, Writer
from keyless.shared_secrets.stores.model import PARAMETER_STORE
from keyless.shared_secrets.stores.resolution import StoreRef, Stores, Use
from keyless.shared_secrets.stores.scoping import require_in_scope


def opens(stores: Stores) -> Callable[[StoreRef, str], Awaitable[Writer]]:
    """Return how a PushSecret's namespace opens a store; raises ``StoreFault``."""

    async def opened(ref: StoreRef, namespace: str) -> Writer:
        found = await stores.use(ref, namespace)
        writer = _writer(found)
        return ScopedWriter(writer, found) if found.bounds else writer

    return opened


def _writer(found: Use) -> Writer:
    session, provider = found.opened.session, found.provider
    if provider.service == PARAMETER_STORE:
        return ParameterStoreWriter(session, provider.prefix)
    return SecretsManagerWriter(session, provider.prefix, Deletion(provider.force_delete, provider.recovery_days))


class ScopedWriter:
    """A writer for one namespace: a key outside of its scopes is refused before anything is asked."""

    def __init__(self, writer: Writer, use: Use) -> None:
        self._writer, self._use = writer, use

    async def look(self, key: str) -> Remote:
        """Look at what is in scope."""
        await self._require(key)
        return await self._writer.look(key)

    async def write(self, write: Write) -> None:
        """Write what is in scope."""
        await self._require(write.key)
        await self._writer.write(write)

    async def delete(self, key: str) -> None:
        """Delete what is in scope."""
        await self._require(key)
        await self._writer.delete(key)

    async def _require(self, key: str) -> None:
        use = self._use
        if use.bounds is not None:
            await require_in_scope(key, "write", use.opened.session, use.provider, use.bounds)
