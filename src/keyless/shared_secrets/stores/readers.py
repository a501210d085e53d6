"""Secrets Manager and Parameter Store behind the one small port. A read is a call within the guide's three actions.

Where a ``Batcher`` is given, reads of the present version go through it: several become one call if that is allowed.

Versions: a plain word is a stage (or a parameter's label or number), ``uuid/ID`` a version id.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from keyless.aws import AwsPermanent
from keyless.gotemplate.json_text import json_of
from keyless.shared_secrets.stores.batching import Batcher, Batchers
from keyless.shared_secrets.stores.model import PARAMETER_STORE, AwsProvider, Payload, RemoteRef, SecretMissing
from keyless.shared_secrets.stores.ports import Reader
from keyless.shared_secrets.stores.sessions import Opened

DEFAULT_STAGE = "AWSCURRENT"
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


def _secret_version(version: str) -> dict[str, str]:
    if version.startswith("uuid/"):
        return {"VersionId": version.removeprefix("uuid/")}
    return {"VersionStage": version or DEFAULT_STAGE}


def _tags(tags: Any) -> str:
    # As Go writes a map: compact, keys in order, <>& escaped.
    return json_of({tag["Key"]: tag["Value"] for tag in tags})


def _missing(error: AwsPermanent) -> SecretMissing:
    return SecretMissing(error.message, code=error.code, request_id=error.request_id)
