"""The secrets of the account: kept as documents by name, found by name, ARN or partial ARN.

States of before kept values as they were: they are encrypted when the store is made, and nothing of them is
left on disk.
"""

from __future__ import annotations

import re
import secrets
import string
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam.principals import UnknownPrincipal, shown, stored
from keyless.local.cloud.kms import Place
from keyless.local.cloud.secretsmanager.model import Secret, Version, secret_of
from keyless.local.cloud.secretsmanager.values import Plain, Values

KIND = "secretsmanager"
_SUFFIX = string.ascii_letters + string.digits
_WHOLE_ARN = re.compile(r"-[A-Za-z0-9]{6}")
_SUFFIX_LENGTH = 7  # with its hyphen


def not_found() -> AwsError:
    """AWS says the same for a secret that never was and for one that is gone."""
    return AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


def usable(secret: Secret) -> Secret:
    """The secret; raises where it waits for its deletion."""
    if secret.deletion is not None:
        text = "You can't perform this operation on the secret because it was marked for deletion."
        raise AwsError("InvalidRequestException", text)
    return secret


def arn_suffix() -> str:
    """The six random characters that end a secret's ARN."""
    return "-" + "".join(secrets.choice(_SUFFIX) for _ in range(6))


class Secrets:
    """All secrets of the account in this region."""

    def __init__(self, database: Database, values: Values) -> None:
        self._database = database
        self._bring_forward(values)

    def find(self, secret_id: str, now: float) -> Secret | None:
        """The secret that a name, an ARN or a partial ARN (without the random end) means.

        An ARN that ends in a hyphen and six characters counts as whole, also where a name ends so: AWS's own trap.
        """
        if not secret_id.startswith("arn:"):
            return self._live(secret_id, now)
        name = name_in(secret_id)
        if not _WHOLE_ARN.fullmatch(name[-_SUFFIX_LENGTH:]):
            found = self._live(name, now)
            return found if found and found.arn.startswith(secret_id) else None
        found = self._live(name[:-_SUFFIX_LENGTH], now)
        return found if found and found.arn == secret_id else None

    def all(self, now: float) -> Iterator[Secret]:
        """Every secret by name, deleted ones that still wait included."""
        for document in self._database.all(KIND):
            secret = secret_of(document)
            if secret.deletion is None or secret.deletion > now:
                yield secret

    def keep(self, secret: Secret) -> None:
        """Write a secret."""
        self._database.put(KIND, secret.name, secret)

    def forget(self, secret: Secret) -> None:
        """Remove a secret for good."""
        self._database.remove(KIND, secret.name)

    def kept_policy(self, text: str, account: str) -> str:
        """A valid resource policy as it is kept: users and roles by unique id, who must be there."""
        try:
            return stored(self._database.connection, text, account=account)
        except UnknownPrincipal:
            text = "This resource policy contains an unsupported principal."
            raise AwsError("MalformedPolicyDocumentException", text) from None

    def shown_policy(self, secret: Secret) -> str:
        """A secret's resource policy as it is read."""
        return shown(self._database.connection, secret.policy)

    def _live(self, name: str, now: float) -> Secret | None:
        document = self._database.get(KIND, name)
        if document is None:
            return None
        secret = secret_of(document)
        return None if secret.deletion is not None and secret.deletion <= now else secret

    def _bring_forward(self, values: Values) -> None:
        old = [document for document in self._database.all(KIND) if "kmsKeyId" in document]
        if old:
            with self._database.rewriting():
                for document in old:
                    self.keep(_forward(document, values))


def name_in(arn: str) -> str:
    """What follows ``secret:`` in an ARN; raises for an ARN of something else."""
    segments = arn.split(":", 6)
    if len(segments) != 7 or segments[2] != "secretsmanager" or segments[5] != "secret":
        raise AwsError("ValidationException", "Invalid ARN. Expected one of a secret.", status=400)
    return segments[6]


def _forward(old: Mapping[str, Any], values: Values) -> Secret:
    """A secret of version 1: values in plain base64 or text, the key named and never used."""
    secret = Secret(
        name=old["name"],
        arn=old["arn"],
        created=old["created"],
        changed=old["changed"],
        description=old["description"],
        key_id=old["kmsKeyId"],
        tags=old["tags"],
        accessed=old["accessed"],
        deletion=old["deletion"],
        policy=old["policy"],
    )
    _, _, _, region, account, _ = secret.arn.split(":", 5)
    place = Place(account, region, secret.changed)
    versions = {
        name: Version(
            values.seal_at_start(place, secret, name, _plain_of(version)), version["created"], tuple(version["stages"])
        )
        for name, version in old["versions"].items()
    }
    return replace(secret, versions=versions)


def _plain_of(version: Mapping[str, Any]) -> Plain:
    return str(version["string"]) if "string" in version else b64decode(version["binary"])
