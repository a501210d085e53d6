"""Secrets Manager and Parameter Store behind the one small port. A read is a call within the guide's three actions.

Where a ``Batcher`` is given, reads of the present version go through it: several become one call if that is allowed.

Versions: a plain word is a stage (or a parameter's label or number), ``uuid/ID`` a version id.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from keyless.api import Reason
from keyless.aws import AwsPermanent
from keyless.gotemplate.json_text import json_of
from keyless.shared_secrets.stores.batching import Batcher, Batchers
from keyless.shared_secrets.stores.metered import Caller
from keyless.shared_secrets.stores.model import (
    PARAMETER_STORE,
    AwsProvider,
    Payload,
    RemoteRef,
    Search,
    SecretMissing,
    StoreFault,
)
from keyless.shared_secrets.stores.ports import Reader
from keyless.shared_secrets.stores.sessions import Opened

DEFAULT_STAGE = "AWSCURRENT"
MOST_PAGES = 200
"""Twenty thousand secrets, ten thousand parameters: a search of more is a burden on everybody in the account."""
# AWS documents InvalidRequestException for a secret that waits for its deletion; older SDK models name the other.
_PENDING_CODES = frozenset({"InvalidRequestException", "InvalidParameterException"})


def open_reader(opened: Opened, provider: AwsProvider, batchers: Batchers | None = None) -> Reader:
    """Return the reader for the provider's service."""
    parameters = provider.service == PARAMETER_STORE
    kind, service = (ParameterStore, "ssm") if parameters else (SecretsManager, "secretsmanager")
    # Of the chain itself: what a prefix or a scope tells apart may still travel in one call.
    batcher = batchers.of(opened.identity, opened.session, service, provider.region) if batchers else None
    # The same key is another secret behind another prefix or service: their reads and failures are never shared.
    named = replace(opened, identity=f"{opened.identity}/{provider.service}/{provider.region}/{provider.prefix}")
    return kind(named, provider.prefix, batcher)


class SecretsManager:
    """GetSecretValue; DescribeSecret for metadata."""

    def __init__(self, opened: Opened, prefix: str, batcher: Batcher | None = None) -> None:
        self.identity, self.by_controller = opened.identity, opened.by_controller
        self._session, self._prefix, self._batcher = opened.session, prefix, batcher

    async def read(self, ref: RemoteRef) -> Payload:
        """Read a secret's value, or its tags as a JSON object."""
        # A batch answers with the present version alone.
        if self._batcher is None or ref.metadata or ref.version not in {"", DEFAULT_STAGE}:
            return await self._single(ref)
        return await self._batcher.read(self._prefix + ref.key, lambda: self._single(ref))

    async def search(self, search: Search) -> tuple[str, ...]:
        """Return the names that begin with the path and have the tags; needs secretsmanager:ListSecrets."""
        path = self._prefix + search.path
        filters = [{"Key": "name", "Values": [path]}] if path else []
        # AWS matches keys and values of tags apart, and by their beginnings: it narrows, and what counts is seen here.
        filters += [{"Key": "tag-key", "Values": [key]} for key, _ in search.tags[:MOST_TAGS]]
        found = await _pages(
            self._session, "secretsmanager", "ListSecrets", "SecretList", Filters=filters, MaxResults=100
        )
        names = (one["Name"] for one in found if _has_tags(one.get("Tags") or (), search))
        return tuple(sorted(name.removeprefix(self._prefix) for name in names if name.startswith(path)))

    async def _single(self, ref: RemoteRef) -> Payload:
        name = self._prefix + ref.key
        try:
            if ref.metadata:
                described = await self._session.call("secretsmanager", "DescribeSecret", SecretId=name)
                return Payload(text=_tags(described.get("Tags") or ()))
            answer = await self._session.call(
                "secretsmanager", "GetSecretValue", SecretId=name, **_secret_version(ref.version)
            )
        except AwsPermanent as error:
            pending = error.code in _PENDING_CODES and "marked for deletion" in error.message
            if error.code == "ResourceNotFoundException" or pending:
                raise _missing(error) from error
            raise
        return Payload(answer.get("SecretString"), answer.get("SecretBinary"), answer.get("VersionId", ""))


class ParameterStore:
    """GetParameter, decrypted; ListTagsForResource for metadata."""

    def __init__(self, opened: Opened, prefix: str, batcher: Batcher | None = None) -> None:
        self.identity, self.by_controller = opened.identity, opened.by_controller
        self._session, self._prefix, self._batcher = opened.session, prefix, batcher

    async def read(self, ref: RemoteRef) -> Payload:
        """Read a parameter's value, or its tags as a JSON object."""
        if self._batcher is None or ref.metadata:
            return await self._single(ref)
        name = self._prefix + ref.key
        return await self._batcher.read(f"{name}:{ref.version}" if ref.version else name, lambda: self._single(ref))

    async def search(self, search: Search) -> tuple[str, ...]:
        """Return the names below the path with the tags; needs ssm:DescribeParameters, which reads no value."""
        path = self._prefix + search.path
        filters = [{"Key": "Name", "Option": "BeginsWith", "Values": [path]}] if path else []
        filters += [{"Key": f"tag:{key}", "Values": [value]} for key, value in search.tags[:MOST_TAGS]]
        found = await _pages(
            self._session, "ssm", "DescribeParameters", "Parameters", ParameterFilters=filters, MaxResults=50
        )
        names = (one["Name"] for one in found)
        return tuple(sorted(name.removeprefix(self._prefix) for name in names if name.startswith(path)))

    async def _single(self, ref: RemoteRef) -> Payload:
        name = self._prefix + ref.key
        try:
            if ref.metadata:
                listed = await self._session.call(
                    "ssm", "ListTagsForResource", ResourceType="Parameter", ResourceId=name
                )
                return Payload(text=_tags(listed.get("TagList") or ()))
            asked = f"{name}:{ref.version}" if ref.version else name
            answer = await self._session.call("ssm", "GetParameter", Name=asked, WithDecryption=True)
        except AwsPermanent as error:
            if error.code == "ParameterNotFound":
                raise _missing(error) from error
            raise
        found = answer["Parameter"]
        return Payload(text=found["Value"], version=str(found.get("Version", "")))


MOST_TAGS = 4


async def _pages(session: Caller, service: str, operation: str, member: str, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    more: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        answer = await session.call(
            service, operation, **{name: value for name, value in asked.items() if value}, **more
        )
        found += answer.get(member) or ()
        if not answer.get("NextToken"):
            return found
        more = {"NextToken": answer["NextToken"]}
    raise StoreFault(Reason.INVALID_STORE_CONFIGURATION, f"find: more than {MOST_PAGES} pages; give find.path")


def _has_tags(tags: Any, search: Search) -> bool:
    held = {tag.get("Key"): tag.get("Value", "") for tag in tags}
    return all(held.get(key) == value for key, value in search.tags)


def _secret_version(version: str) -> dict[str, str]:
    if version.startswith("uuid/"):
        return {"VersionId": version.removeprefix("uuid/")}
    return {"VersionStage": version or DEFAULT_STAGE}


def _tags(tags: Any) -> str:
    # As Go writes a map: compact, keys in order, <>& escaped.
    return json_of({tag["Key"]: tag["Value"] for tag in tags})


def _missing(error: AwsPermanent) -> SecretMissing:
    return SecretMissing(error.message, code=error.code, request_id=error.request_id)
