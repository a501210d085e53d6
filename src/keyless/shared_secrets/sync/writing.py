"""Writes to the target, each one request, and the one plan of several: a target that cannot be changed, made anew.

Stopped after any step, a plan leaves a state from which the next sync goes on; the keys are never only in this process.
"""

from __future__ import annotations

import hashlib

from keyless.api import Transient
from keyless.kube import AlreadyExists, ApiError, Conflict, Kube, KubeObject, Name, NotFound
from keyless.kube.resources import SECRETS
from keyless.shared_secrets.sync.answers import of_kubernetes
from keyless.shared_secrets.sync.hashes import field_manager
from keyless.shared_secrets.sync.model import Wanted
from keyless.shared_secrets.sync.plan import DELETE_FAILED, ORPHANS_FAILED, UPDATE_FAILED
from keyless.shared_secrets.sync.target import is_owned, is_same, successor_of

SPARE_SUFFIX = ".keyless-spare-"


class NotSynced(Transient):
    """Raised when the status has said so, to be tried again with backoff."""


class WriteRefused(Exception):
    """Kubernetes refused a write; the text holds nothing of the Secret. Nothing was changed."""


class Raced(Exception):
    """The target changed between reading and writing: read it and decide anew."""


class Targets:
    """Reads and writes the Secrets of one control plane."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def get(self, wanted: Wanted) -> KubeObject | None:
        """Return the target."""
        return await self._found(Name(wanted.namespace, wanted.target))

    async def write(self, wanted: Wanted, target: KubeObject | None, secret: KubeObject) -> bool:
        """Create or replace the target in one request; returns whether it changed.

        Raises ``WriteRefused``; ``Raced`` when the target is no longer ``target``; ``NotSynced``.
        """
        if is_same(target, secret):
            return False
        manager = field_manager(wanted.name)
        try:
            if target is None:
                await self._kube.create(SECRETS, secret, field_manager=manager)
            else:
                await self._kube.replace(SECRETS, secret, field_manager=manager)
        except (Conflict, AlreadyExists):
            raise Raced from None
        except NotFound as error:
            if target is not None:
                raise Raced from None
            raise WriteRefused(f"{UPDATE_FAILED}: {of_kubernetes(error)}") from None
        except ApiError as error:
            raise _refused(error) from None
        return True

    async def exchange(self, wanted: Wanted, target: KubeObject, secret: KubeObject) -> None:
        """Delete the target and make it anew, with a spare beside it until the new one stands.

        The spare is made first: whatever the API server has against the new Secret, it says then. Raises as ``write``.
        """
        await self._make(wanted, successor_of(secret, spare_name(wanted)), replacing=True)
        try:
            metadata = target["metadata"]
            await self._kube.delete(
                SECRETS,
                wanted.target,
                wanted.namespace,
                uid=metadata["uid"],
                resource_version=metadata["resourceVersion"],
            )
        except NotFound:
            pass
        except Conflict:
            await self.drop_spare(wanted)
            raise Raced from None
        except ApiError as error:
            await self.drop_spare(wanted)
            raise _refused(error, UPDATE_FAILED) from None
        await self._make(wanted, successor_of(secret), replacing=False)
        await self.drop_spare(wanted)

    async def spare(self, obj: KubeObject, wanted: Wanted) -> KubeObject | None:
        """Return the spare that a stopped exchange of this ExternalSecret left."""
        found = await self._found(Name(wanted.namespace, spare_name(wanted)))
        return found if is_owned(obj, found) else None

    async def finish(self, wanted: Wanted, spare: KubeObject) -> None:
        """Make the target from the spare. Raises as ``write``."""
        await self._make(wanted, successor_of(spare, wanted.target), replacing=False)
        await self.drop_spare(wanted)

    async def drop_spare(self, wanted: Wanted) -> None:
        """Remove the spare."""
        try:
            await self._kube.delete(SECRETS, spare_name(wanted), wanted.namespace)
        except NotFound:
            pass
        except ApiError as error:
            raise _refused(error, DELETE_FAILED) from None

    async def delete(self, target: KubeObject) -> None:
        """Delete the target as it was read. Raises ``WriteRefused``, ``Raced``, ``NotSynced``."""
        await self._delete(target, DELETE_FAILED)

    async def delete_renamed(self, obj: KubeObject, wanted: Wanted, old: list[str]) -> None:
        """Delete Secrets of this ExternalSecret under names that are no longer the target's.

        One that somebody freed of its owner stays: the label alone is no right to delete. Raises as ``delete``.
        """
        for name in old:
            found = await self._found(Name(wanted.namespace, name))
            if found is not None and is_owned(obj, found):
                await self._delete(found, ORPHANS_FAILED)

    async def _delete(self, secret: KubeObject, failed: str) -> None:
        metadata = secret["metadata"]
        try:
            await self._kube.delete(
                SECRETS,
                metadata["name"],
                metadata["namespace"],
                uid=metadata["uid"],
                resource_version=metadata["resourceVersion"],
            )
        except NotFound:
            return
        except Conflict:
            raise Raced from None
        except ApiError as error:
            raise _refused(error, failed) from None

    async def _make(self, wanted: Wanted, secret: KubeObject, *, replacing: bool) -> None:
        try:
            await self._kube.create(SECRETS, secret, field_manager=field_manager(wanted.name))
        except AlreadyExists:
            if not replacing:
                raise Raced from None  # finalizers hold the old one, or somebody was faster
            await self.drop_spare(wanted)
            await self._make(wanted, secret, replacing=False)
        except ApiError as error:
            raise _refused(error) from None

    async def _found(self, key: Name) -> KubeObject | None:
        try:
            return await self._kube.get(SECRETS, key.name, key.namespace)
        except NotFound:
            return None


def spare_name(wanted: Wanted) -> str:
    """Return the spare's name: long targets are cut, and told apart by their hash."""
    digest = hashlib.sha256(wanted.target.encode()).hexdigest()[:8]
    return wanted.target[:200].rstrip(".-") + SPARE_SUFFIX + digest


def _refused(error: ApiError, failed: str = UPDATE_FAILED) -> Exception:
    text = f"{failed}: {of_kubernetes(error)}"
    return NotSynced(text) if isinstance(error, Transient) else WriteRefused(text)
