"""Who has an identity: service accounts, the association list and the ConfigMap, as of now.

Service accounts come from an informer that keeps metadata only; one it does not hold is asked of the API server before
the pod is answered, because a pod created right after its service account would otherwise start without an identity.
The list file is looked at on every question: a changed one counts at once, an unreadable one leaves the last good list.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

import structlog

from keyless.identity.injection.lookup import Lookup
from keyless.identity.injection.model import (
    Account,
    Known,
    MappedRole,
    read_associations_untrusted,
    read_mapped_roles_untrusted,
)

log = structlog.get_logger()


class ServiceAccounts(Protocol):
    """The two ways to a service account."""

    def cached(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return it if the informer holds it."""
        ...

    async def fetch(self, namespace: str, name: str) -> dict[str, Any]:
        """Ask the API server; raises ``NotFound``."""
        ...


class AssociationFile:
    """The container credentials list on disk."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._read: frozenset[tuple[str, str]] = frozenset()

    def current(self) -> frozenset[tuple[str, str]]:
        """Return the list as the file has it now."""
        if not self._path:
            return self._read
        try:
            found = os.stat(self._path)
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if stamp != self._stamp:
                with open(self._path, encoding="utf-8") as file:
                    self._read = read_associations_untrusted(file.read())
                self._stamp = stamp
        except FileNotFoundError:
            self._stamp, self._read = None, frozenset()
        except (OSError, ValueError) as error:
            log.warning("association list not read; the last good one counts", path=self._path, error=str(error))
        return self._read


class AssociationMap:
    """The container credentials list in a ConfigMap: a kubelet brings a changed file late, a watch at once."""

    def __init__(self) -> None:
        self._read: frozenset[tuple[str, str]] = frozenset()

    def current(self) -> frozenset[tuple[str, str]]:
        """Return the list as it was last seen."""
        return self._read

    def show(self, config_map: dict[str, Any] | None) -> None:
        """Take over what the ConfigMap says; None: there is none."""
        try:
            text = ((config_map or {}).get("data") or {}).get("config.json", "")
            self._read = read_associations_untrusted(text) if text else frozenset()
        except ValueError as error:
            log.warning("association list not read; the last good one counts", error=str(error))


class Directory:
    """The facts for one decision, gathered."""

    def __init__(
        self,
        accounts: ServiceAccounts,
        associations: AssociationFile | AssociationMap,
        *,
        lookup_seconds: float,
        account: Account | None = None,
    ) -> None:
        self._accounts = accounts
        self._associations = associations
        self._lookup = Lookup(accounts.fetch, seconds=lookup_seconds)
        self._account = account
        self._mapped: dict[tuple[str, str], MappedRole] = {}

    def known(self) -> Known:
        """Return everything but the service account."""
        return Known(self._associations.current(), self._mapped, self._account)

    async def service_account(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return the service account, None when there is none; raises ``KeylessError`` when nobody can say."""
        found = self._accounts.cached(namespace, name)
        if found is not None:
            return found
        # The watch may have brought it while the API server was asked.
        return await self._lookup.get(namespace, name) or self._accounts.cached(namespace, name)

    def service_account_changed(self, namespace: str, name: str) -> None:
        """The watch has told of it: that there is none is remembered no longer."""
        self._lookup.changed(namespace, name)

    def set_mapped_roles(self, config_map: dict[str, Any] | None) -> None:
        """Take over the ConfigMap's ``config`` key; unreadable JSON leaves the last good map."""
        text = ((config_map or {}).get("data") or {}).get("config", "")
        try:
            self._mapped = read_mapped_roles_untrusted(text)
        except ValueError as error:
            log.warning("ConfigMap pod-identity-webhook not read; the last good one counts", error=str(error))
