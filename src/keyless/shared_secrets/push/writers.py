"""Secrets Manager and Parameter Store as places to write to.

What is created carries the tag from its first moment, so no stop in between leaves something that nobody owns. Nothing
that a request did not name is changed: a resource policy, a description or a replica stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from keyless.aws import AwsPermanent
from keyless.shared_secrets.push.model import Metadata
from keyless.shared_secrets.push.plan import OWNER, TAG, PushFault, Remote, Write
from keyless.shared_secrets.stores.metered import Caller
from keyless.shared_secrets.stores.model import Payload

_PENDING = frozenset({"InvalidRequestException", "InvalidParameterException"})


class Writer(Protocol):
    """One store, opened for writing."""

    async def look(self, key: str) -> Remote:
        """Return what is there; raises ``OutOfScope`` before any call, ``AwsTransient`` or ``AwsPermanent``."""
        ...

    async def write(self, write: Write) -> None:
        """Make or change one; raises as ``look`` does."""
        ...

    async def delete(self, key: str) -> None:
        """Delete one; one that is gone is no fault."""
        ...


@dataclass(frozen=True, slots=True)
class Deletion:
    """A store's ``secretsManager``: how long a secret can be restored."""

    force: bool = False
    days: int = 0


class SecretsManagerWriter:
    """CreateSecret, PutSecretValue, DeleteSecret."""

    def __init__(self, session: Caller, prefix: str, deletion: Deletion) -> None:
        self._session, self._prefix, self._deletion = session, prefix, deletion

    async def look(self, key: str) -> Remote:
        """Read tags first: of what is somebody else's the value is not needed."""
        name = self._prefix + key
        try:
            described = await self._call("DescribeSecret", SecretId=name)
        except AwsPermanent as error:
            if error.code == "ResourceNotFoundException":
                return Remote()
            raise
        managed = _is_managed(described.get("Tags") or ())
        if described.get("DeletedDate"):
            return Remote(managed=managed, pending=True)
        try:
            answer = await self._call("GetSecretValue", SecretId=name)
        except AwsPermanent as error:
            if error.code == "ResourceNotFoundException":
                return Remote(b"", managed)  # it has no version yet
            raise
        return Remote(Payload(answer.get("SecretString"), answer.get("SecretBinary")).structured(), managed)

    async def write(self, write: Write) -> None:
        """Create with the tag, or put a new version."""
        name, said = self._prefix + write.key, write.metadata
        value = _secret_value(write.value, binary=said.binary)
        if not write.creates:
            await self._call("PutSecretValue", SecretId=name, **value)
            return
        more = {"Description": said.description, "KmsKeyId": said.kms_key_id}
        given = {key: text for key, text in more.items() if text}
        await self._call("CreateSecret", Name=name, Tags=_tags(said), **value, **given)

    async def delete(self, key: str) -> None:
        """Schedule it, as long as the store says."""
        how: dict[str, Any] = {}
        if self._deletion.force:
            how["ForceDeleteWithoutRecovery"] = True
        elif self._deletion.days:
            how["RecoveryWindowInDays"] = self._deletion.days
        try:
            await self._call("DeleteSecret", SecretId=self._prefix + key, **how)
        except AwsPermanent as error:
            gone = error.code == "ResourceNotFoundException"
            if not gone and not (error.code in _PENDING and "marked for deletion" in error.message):
                raise

    async def _call(self, operation: str, **params: Any) -> dict[str, Any]:
        return await self._session.call("secretsmanager", operation, **params)


class ParameterStoreWriter:
    """PutParameter, DeleteParameter; what is made is a SecureString unless the PushSecret says otherwise."""

    def __init__(self, session: Caller, prefix: str) -> None:
        self._session, self._prefix = session, prefix

    async def look(self, key: str) -> Remote:
        """Read the value and the tags."""
        name = self._prefix + key
        try:
            found = (await self._call("GetParameter", Name=name, WithDecryption=True))["Parameter"]
        except AwsPermanent as error:
            if error.code == "ParameterNotFound":
                return Remote()
            raise
        listed = await self._call("ListTagsForResource", ResourceType="Parameter", ResourceId=name)
        return Remote(
            found["Value"].encode("utf-8", "surrogatepass"),
            _is_managed(listed.get("TagList") or ()),
            kind=str(found.get("Type") or ""),
        )

    async def write(self, write: Write) -> None:
        """Create with the tag, or overwrite the value alone: AWS takes no tags then."""
        said = write.metadata
        try:
            value = write.value.decode()
        except UnicodeDecodeError:
            raise PushFault(f"what goes to parameter {write.key} is no UTF-8 text") from None
        kind = said.parameter_type or write.kind or "SecureString"
        more = {"Description": said.description, "KeyId": said.kms_key_id, "Tier": said.tier}
        given: dict[str, Any] = {key: text for key, text in more.items() if text}
        given |= {"Tags": _tags(said)} if write.creates else {"Overwrite": True}
        await self._call("PutParameter", Name=self._prefix + write.key, Value=value, Type=kind, **given)

    async def delete(self, key: str) -> None:
        """Delete it: Parameter Store has no way back."""
        try:
            await self._call("DeleteParameter", Name=self._prefix + key)
        except AwsPermanent as error:
            if error.code != "ParameterNotFound":
                raise

    async def _call(self, operation: str, **params: Any) -> dict[str, Any]:
        return await self._session.call("ssm", operation, **params)


def _secret_value(value: bytes, *, binary: bool) -> dict[str, Any]:
    try:
        return {"SecretBinary": value} if binary else {"SecretString": value.decode()}
    except UnicodeDecodeError:
        return {"SecretBinary": value}


def _is_managed(tags: Any) -> bool:
    return any(tag.get("Key") == TAG and tag.get("Value") == OWNER for tag in tags)


def _tags(said: Metadata) -> list[dict[str, str]]:
    # The tag is ours to set: a PushSecret that gave it another value could not be updated any more.
    return [{"Key": key, "Value": value} for key, value in {**dict(said.tags), TAG: OWNER}.items()]
