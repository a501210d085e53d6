"""Secrets Manager and Parameter Store behind the one small port. One call per read, within the guide's three actions.

Versions: a plain word is a stage (or a parameter's label or number), ``uuid/ID`` a version id.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from keyless.aws import AwsPermanent
from keyless.gotemplate.json_text import json_of
from keyless.shared_secrets.stores.model import PARAMETER_STORE, AwsProvider, Payload, RemoteRef, SecretMissing
from keyless.shared_secrets.stores.ports import Reader
from keyless.shared_secrets.stores.sessions import Opened

DEFAULT_STAGE = "AWSCURRENT"
# AWS documents InvalidRequestException for a secret that waits for its deletion; older SDK models name the other.
_PENDING_CODES = frozenset({"InvalidRequestException", "InvalidParameterException"})


def open_reader(opened: Opened, provider: AwsProvider) -> Reader:
    """Return the reader for the provider's service."""
    kind = ParameterStore if provider.service == PARAMETER_STORE else SecretsManager
    # The same key is another secret behind another prefix or service: their reads and failures are never shared.
    named = replace(opened, identity=f"{opened.identity}/{provider.service}/{provider.region}/{provider.prefix}")
    return kind(named, provider.prefix)


class SecretsManager:
    """GetSecretValue; DescribeSecret for metadata."""

    def __init__(self, opened: Opened, prefix: str) -> None:
        self.identity, self.by_controller = opened.identity, opened.by_controller
        self._session, self._prefix = opened.session, prefix

    async def read(self, ref: RemoteRef) -> Payload:
        """Read a secret's value, or its tags as a JSON object."""
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

    def __init__(self, opened: Opened, prefix: str) -> None:
        self.identity, self.by_controller = opened.identity, opened.by_controller
        self._session, self._prefix = opened.session, prefix

    async def read(self, ref: RemoteRef) -> Payload:
        """Read a parameter's value, or its tags as a JSON object."""
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
