"""Gather an ExternalSecret's values: open its stores, read each thing once, shape the results.

A failure carries what a person needs: the key, the store, AWS's code and request id; never a value. What waits for its
deletion in AWS is not missing: it can be restored, so nothing is removed for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from keyless.api import KeylessError, Reason
from keyless.api.numbers import is_digits
from keyless.aws import AWS_FAILURES
from keyless.kube import ApiError
from keyless.shared_secrets.staging.plan import name_of_source
from keyless.shared_secrets.stores.guard import ReadGuard
from keyless.shared_secrets.stores.model import Payload, RemoteRef, SecretMissing, StoreFault
from keyless.shared_secrets.stores.ports import Reader
from keyless.shared_secrets.stores.resolution import StoreRef, Stores
from keyless.shared_secrets.sync import answers
from keyless.shared_secrets.sync.model import ExtractItem, Find, GeneratorRef, Source, Wanted
from keyless.shared_secrets.sync.templates import Renders, renamed
from keyless.shared_secrets.sync.truth import Failure, Seen
from keyless.shared_secrets.sync.values import NamesWanted, ValueFault, extract, matching, shaped, value_of

MOST_FOUND = 500
"""A Secret holds 1 MiB: so many values leave two thousand bytes for each."""
# A secret that waits for its deletion answers so, as AWS documents it and as older models of its SDKs do.
PENDING_CODES = frozenset({"InvalidRequestException", "InvalidParameterException"})
# Secrets Manager and Parameter Store hand on what KMS says under codes of their own.
_OF_KMS = ("KMS", "kms:", "customer master key")
_KMS_CODES = frozenset({"DecryptionFailure", "InvalidKeyId"})


Makes = Callable[[GeneratorRef], Awaitable[dict[str, bytes]]]
"""Returns what a generator made for the ExternalSecret; raises ``ValueFault``."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A key that the provider does not have, left out as the deletion policy says."""

    key: str
    code: str


@dataclass(frozen=True, slots=True)
class Read:
    """What was read."""

    data: dict[str, bytes]
    skipped: tuple[Skipped, ...]

    def __repr__(self) -> str:
        # The keys, too, may come from the provider.
        return f"Read({len(self.data)} keys, skipped={self.skipped})"


class ReadFailed(KeylessError):
    """The values could not be had; ``code`` is AWS's where it spoke, ``brief`` the text without a request's id."""

    def __init__(
        self,
        brief: str,
        *,
        code: str = "",
        request_id: str = "",
        reason: Reason = Reason.SECRET_SYNCED_ERROR,
        kms: bool = False,
    ) -> None:
        super().__init__(f"{brief} (request {request_id})" if request_id else brief)
        self.brief, self.code, self.reason = brief, code, reason
        self.failure = Failure(code, request_id, kms) if code else None


class Gathering:
    """Reads for one ExternalSecret; of what is in ``held`` (``staging.plan.held_of``) that version, not the present."""

    def __init__(
        self,
        stores: Stores,
        guard: ReadGuard,
        wanted: Wanted,
        renderer: Renders,
        *,
        fresh: bool,
        makes: Makes,
        most_age_seconds: float = 0.0,
        pending_is_missing: bool = False,
        held: Mapping[str, str] | None = None,
    ) -> None:
        self._held = held or {}
        self._pending_is_missing = pending_is_missing
        self._stores, self._guard, self._wanted, self._fresh = stores, guard, wanted, fresh
        self._most_age_seconds, self._makes = most_age_seconds, makes
        self._renderer = renderer
        self._readers: dict[StoreRef, Reader] = {}
        self._payloads: dict[tuple[StoreRef, object], Payload] = {}
        self.by_controller = False
        """Whether the last read was signed with credentials of the Space."""
        self.again_seconds: float | None = None
        """How long to wait after a read that failed: an answer from memory makes nobody's wait longer."""
        self.seen: dict[tuple[StoreRef, RemoteRef | None], Seen] = {}
        """What was asked for, and what came of it."""

    async def run(self) -> Read:
        """Return the keys in order of precedence: every ``dataFrom``, then ``data``; raises ``ReadFailed``."""
        data: dict[str, bytes] = {}
        skipped: list[Skipped] = []
        for item in self._wanted.extracts:
            if item.generator is not None:
                with _told(item.source):
                    data |= await self._generated(item, item.generator)
                continue
            if item.find is not None:
                with self._noted(item.source, None), _told(item.source):
                    data |= await self._found(item, item.find)
                continue
            payload = await self._payload(item.source, skipped)
            if payload is not None:
                with _told(item.source):
                    data |= await self._extracted(item, payload)
        for entry in self._wanted.data:
            payload = await self._payload(entry.source, skipped)
            if payload is not None:
                with _told(entry.source):
                    data[entry.secret_key] = value_of(entry.source, payload)
        return Read(data, tuple(skipped))

    async def _extracted(self, item: ExtractItem, payload: Payload) -> dict[str, bytes]:
        return await self._shaped(lambda renames: extract(item.source, payload, item.rewrites, renames))

    async def _generated(self, item: ExtractItem, ref: GeneratorRef) -> dict[str, bytes]:
        made = await self._makes(ref)
        return await self._shaped(lambda renames: shaped(item.source, made, item.rewrites, renames))

    async def _found(self, item: ExtractItem, find: Find) -> dict[str, bytes]:
        """Return the values of all names that a search finds; one that may not be read fails them all."""
        reader = await self._reader(item.source.store)
        self.by_controller = reader.by_controller
        matches = matching(find.regexp)
        names = [name for name in await reader.search(find.search) if matches(name)]
        if len(names) > MOST_FOUND:
            raise ValueFault(f"dataFrom.find: more than {MOST_FOUND} names match; narrow name, path or tags")
        read = await asyncio.gather(*(self._one_found(reader, name) for name in names), return_exceptions=True)
        for one in read:
            if isinstance(one, BaseException) and not isinstance(one, SecretMissing):
                raise one
        # What is gone since the search is as if it had not been found.
        values = {n: p.plain() for n, p in zip(names, read, strict=True) if not isinstance(p, BaseException)}
        return await self._shaped(lambda renames: shaped(item.source, values, item.rewrites, renames))

    async def _one_found(self, reader: Reader, name: str) -> Payload:
        return await self._guard.read(
            reader, RemoteRef(name), fresh=self._fresh, most_age_seconds=self._most_age_seconds
        )

    async def _shaped(self, shape: Callable[[dict[str, dict[str, str]]], dict[str, bytes]]) -> dict[str, bytes]:
        renames: dict[str, dict[str, str]] = {}
        while True:
            try:
                return shape(renames)
            except NamesWanted as wanted:
                # Each question is another rewrite's, so there are no more of them than rewrites.
                renames.setdefault(wanted.template, {}).update(await renamed(wanted, self._renderer))

    async def _payload(self, source: Source, skipped: list[Skipped]) -> Payload | None:
        known = self._payloads.get((source.store, source.remote))
        if known is not None:
            return known
        with self._noted(source, source.remote), _told(source):
            reader = await self._reader(source.store)
            self.by_controller = reader.by_controller
            try:
                remote = self._versioned(source)
                payload = await self._guard.read(
                    reader, remote, fresh=self._fresh, most_age_seconds=self._most_age_seconds
                )
            except SecretMissing as missing:
                pending = missing.code in PENDING_CODES and not self._pending_is_missing
                if self._wanted.deletion == "Retain" or pending:
                    raise
                skipped.append(Skipped(source.remote.key, missing.code))
                self._note(source, source.remote, failure=Failure(missing.code, missing.request_id))
                return None
            finally:
                self.again_seconds = self._guard.wait_seconds(reader, source.remote)
        self._payloads[(source.store, source.remote)] = payload
        age = self._guard.age_seconds(reader, source.remote)
        self._note(source, source.remote, version=payload.version, age_seconds=age)
        return payload

    def _versioned(self, source: Source) -> RemoteRef:
        version = self._held.get(name_of_source(source.store.kind, source.store.name, source.remote))
        if version is None or source.remote.metadata:
            return source.remote
        # A number is a parameter's; Secrets Manager takes a plain word for a stage.
        return replace(source.remote, version=version if is_digits(version) else f"uuid/{version}")

    def _note(self, source: Source, remote: RemoteRef | None, **what: Any) -> None:
        self.seen[source.store, remote] = Seen(source.store, remote, **what)

    @contextmanager
    def _noted(self, source: Source, remote: RemoteRef | None) -> Iterator[None]:
        """Keep what AWS said of a thing, or of a search, whichever way it went."""
        try:
            yield
        except ReadFailed as failed:
            if failed.failure:
                self._note(source, remote, failure=failed.failure)
            raise
        if remote is None:
            self._note(source, remote)

    async def _reader(self, ref: StoreRef) -> Reader:
        if ref not in self._readers:
            self._readers[ref] = await self._stores.open(ref, self._wanted.namespace)
        return self._readers[ref]


@contextmanager
def _told(source: Source) -> Iterator[None]:
    """Turn whatever goes wrong with ``source`` into ``ReadFailed`` that says where."""
    # The names that find found are the provider's, and are not told.
    what = f"key {source.remote.key!r}" if source.remote.key else "find"
    where = f"{what} of {source.store.kind} {source.store.name!r}"
    try:
        yield
    except SecretMissing as error:
        told = answers.sentence(error.message)
        text = f"{where}: {error.code}: {told}" if told else f"{where}: {error.code}"
        raise ReadFailed(text, code=error.code, request_id=error.request_id) from None
    except AWS_FAILURES as error:
        text = f"{where}: {error.operation}: {error.code}: {answers.of_aws(error)}"
        kms = any(word in error.message for word in _OF_KMS) or error.code in _KMS_CODES
        raise ReadFailed(text, code=error.code, request_id=error.request_id, kms=kms) from None
    except StoreFault as error:
        failed = ReadFailed(f"{source.store.kind} {source.store.name!r}: {error}", code=error.code)
        # Nobody was asked, so there is no code of AWS's: our own reason says whose turn it is.
        failed.failure = failed.failure or Failure(error.reason)
        raise failed from None
    except ValueFault as error:
        raise ReadFailed(str(error), reason=error.reason) from None
    except ApiError as error:
        # A Kubernetes answer about a Secret may quote what is in it.
        raise ReadFailed(f"{source.store.kind} {source.store.name!r}: {answers.of_kubernetes(error)}") from None
