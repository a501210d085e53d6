"""Operations on aliases. ``alias/aws/…`` belong to AWS: they are listed, and nobody makes, moves or deletes them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms.keyring import Keyring
from keyless.local.cloud.kms.model import Alias
from keyless.local.cloud.kms.paging import page
from keyless.local.cloud.kms.states import not_pending

_NAME = re.compile(r"alias/[a-zA-Z0-9/_-]+")


class AliasOperations:
    """One method for each operation."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def create(self, call: Call) -> None:
        name = _own_name(call)
        key = not_pending(self._keyring.existing(call, str(call.params["TargetKeyId"])))
        if self._keyring.alias(name, call.now) is not None:
            raise AwsError("AlreadyExistsException", f"An alias with the name {call.arn(name)} already exists")
        self._keyring.keep_alias(Alias(name, key.id, call.now, call.now))

    def update(self, call: Call) -> None:
        name = _own_name(call)
        alias = self._existing(call, name)
        key = not_pending(self._keyring.existing(call, str(call.params["TargetKeyId"])))
        old = self._keyring.find(alias.key, call.now)
        if old is not None and (old.usage, old.spec == "SYMMETRIC_DEFAULT") != (
            key.usage,
            key.spec == "SYMMETRIC_DEFAULT",
        ):
            text = f"Alias {call.arn(name)} cannot be moved to a key of another type or usage"
            raise AwsError("ValidationException", text, status=400)
        self._keyring.keep_alias(replace(alias, key=key.id, updated=call.now))

    def delete(self, call: Call) -> None:
        name = _own_name(call)
        self._existing(call, name)
        self._keyring.forget_alias(name)

    def list_all(self, call: Call) -> dict[str, Any]:
        wanted = call.params.get("KeyId")
        only = self._keyring.existing(call, str(wanted)).id if wanted else None
        living = {key.id for key in self._keyring.all(call.now)}
        aliases = [
            _shown(call, alias)
            for alias in self._keyring.aliases()
            if alias.key in living and only in {None, alias.key}
        ]
        return page(call, "Aliases", aliases, most=100, default=50)

    def _existing(self, call: Call, name: str) -> Alias:
        if (found := self._keyring.alias(name, call.now)) is None:
            raise AwsError("NotFoundException", f"Alias {call.arn(name)} is not found.")
        return found


def _own_name(call: Call) -> str:
    name = str(call.params["AliasName"])
    if not name.startswith("alias/"):
        raise AwsError("ValidationException", "Invalid identifier", status=400)
    if name.startswith("alias/aws/"):
        raise AwsError("NotAuthorizedException", "", status=400)
    if not _NAME.fullmatch(name):
        text = (
            f"1 validation error detected: Value '{name}' at 'aliasName' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"
        )
        raise AwsError("ValidationException", text, status=400)
    return name


def _shown(call: Call, alias: Alias) -> dict[str, Any]:
    times = {"CreationDate": alias.created, "LastUpdatedDate": alias.updated}
    return {
        "AliasName": alias.name,
        "AliasArn": call.arn(alias.name),
        "TargetKeyId": alias.key,
        **{name: datetime.fromtimestamp(at, UTC) for name, at in times.items() if at},
    }
