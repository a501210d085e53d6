"""Operations on grants: give a principal the use of a key beside the key's policy, and take it back.

A grant counts at once, so its token is accepted and adds nothing; on AWS it bridges the seconds until a new grant is
known everywhere. https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import orjson

from keyless.local.cloud.call import Call, ResourcePolicy, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam.principals import UnknownPrincipal, shown_entry, stored_entry
from keyless.local.cloud.kms import specs
from keyless.local.cloud.kms.keyring import Keyring
from keyless.local.cloud.kms.model import Grant, Key
from keyless.local.cloud.kms.paging import page
from keyless.local.cloud.kms.policies import with_statements
from keyless.local.cloud.kms.states import finish_dry_run, not_pending, usable
from keyless.local.cloud.kms.targets import Targets, principal

_PRINCIPAL = re.compile(
    r"arn:aws[a-z-]*:(iam|sts)::\d{12}:(root|(user|role|assumed-role|federated-user)/[\w+=,.@/-]+)"
    r"|[a-z0-9.-]+\.amazonaws\.com",
    re.ASCII,
)
_MOST_LISTED, _LISTED = 100, 50
_FORM = "keyless-grant-1"


class GrantOperations:
    """One method for each operation."""

    def __init__(self, keyring: Keyring, targets: Targets) -> None:
        self._keyring = keyring
        self._targets = targets

    # Authorisation

    def target_of_retiring(self, call: Call) -> Target:
        """RetireGrant: its retiring principal and, where the grant says so, its grantee may; else as policies say."""
        key, grant = self._meant(call)
        may = [grant.retiring] if grant.retiring else []
        if "RetireGrant" in grant.operations:
            may.append(grant.grantee)
        statements = [
            {"Sid": f"grant {grant.id}", "Effect": "Allow", "Principal": principal(who), "Action": "kms:RetireGrant"}
            | {"Resource": "*"}
            for who in may
        ]
        target = self._targets.of(call, key)
        return replace(target, policy=ResourcePolicy(with_statements(key.policy, statements), "key policy"))

    # Operations

    def create(self, call: Call) -> dict[str, Any]:
        key = usable(self._key(call))
        wanted = self._kept(call, _checked(key, call.params))
        check_tokens(call.params)
        finish_dry_run(call)
        grants = self._keyring.grants(key.id)
        # A name makes the request idempotent: the same again is the same grant.
        same = next((g for g in grants if g.name and _shape(g) == _shape(wanted)), None)
        grant = same or replace(wanted, id=token_hex(32), created=call.now)
        if same is None:
            self._keyring.keep_grants(key.id, [*grants, grant])
        return {"GrantToken": _token(key.id, grant.id), "GrantId": grant.id}

    def list_all(self, call: Call) -> dict[str, Any]:
        key, params = not_pending(self._key(call)), call.params
        wanted, grantee = params.get("GrantId"), params.get("GranteePrincipal")
        found = [
            grant
            for grant in self._keyring.grants(key.id)
            if (not wanted or grant.id == wanted) and (not grantee or self._named(grant.grantee) == grantee)
        ]
        return self._listed(call, [self._shown(call, key, grant) for grant in found])

    def list_retirable(self, call: Call) -> dict[str, Any]:
        who = call.params.get("RetiringPrincipal")
        found = [
            self._shown(call, key, grant)
            for key in self._keyring.all(call.now)
            for grant in self._keyring.grants(key.id)
            if self._named(grant.retiring) == who
        ]
        return self._listed(call, found)

    def revoke(self, call: Call) -> None:
        key = not_pending(self._key(call))
        grant = _grant(self._keyring.grants(key.id), str(call.params["GrantId"]))
        finish_dry_run(call)
        self._remove(key, grant)

    def retire(self, call: Call) -> None:
        key, grant = self._meant(call)
        not_pending(key)
        finish_dry_run(call)
        self._remove(key, grant)

    # Shared steps

    def _meant(self, call: Call) -> tuple[Key, Grant]:
        """The grant that RetireGrant names: by its token, or by key and id."""
        params = call.params
        if params.get("GrantToken"):
            key_id, grant_id = read_token_untrusted(str(params["GrantToken"]))
            key = self._keyring.find(key_id, call.now)
            if key is None:
                raise AwsError("NotFoundException", f"Grant ID {grant_id} not found")
        elif params.get("KeyId") and params.get("GrantId"):
            key, grant_id = self._key(call), str(params["GrantId"])
        else:
            text = "You must specify either a grant token, or a combination of the key ARN and the grant ID."
            raise AwsError("ValidationException", text, status=400)
        return key, _grant(self._keyring.grants(key.id), grant_id)

    def _kept(self, call: Call, grant: Grant) -> Grant:
        """Users and roles by unique id, who must be there: one made again under the same name is somebody else."""
        try:
            who = [
                stored_entry(self._keyring.connection, named, account=call.account)
                for named in (grant.grantee, grant.retiring)
            ]
        except UnknownPrincipal as error:
            text = f"ARN does not refer to a valid principal: {error.entry}"
            raise AwsError("InvalidArnException", text) from None
        return replace(grant, grantee=who[0], retiring=who[1])

    def _named(self, kept: str) -> str:
        return shown_entry(self._keyring.connection, kept)

    def _shown(self, call: Call, key: Key, grant: Grant) -> dict[str, Any]:
        named = replace(grant, grantee=self._named(grant.grantee), retiring=self._named(grant.retiring))
        return _shown(call, key, named)

    def _remove(self, key: Key, grant: Grant) -> None:
        kept = [other for other in self._keyring.grants(key.id) if other.id != grant.id]
        self._keyring.keep_grants(key.id, kept)

    def _key(self, call: Call) -> Key:
        return self._keyring.existing(call, str(call.params["KeyId"]))

    def _listed(self, call: Call, shown: list[dict[str, Any]]) -> dict[str, Any]:
        return page(call, "Grants", shown, most=_MOST_LISTED, default=_LISTED)


def check_tokens(params: Mapping[str, Any]) -> None:
    """Raise InvalidGrantTokenException for a token that was never made; a good one adds nothing."""
    for token in params.get("GrantTokens") or ():
        read_token_untrusted(str(token))


def read_token_untrusted(token: str) -> tuple[str, str]:
    """(key id, grant id) of a token; raises InvalidGrantTokenException."""
    try:
        form, key_id, grant_id = orjson.loads(urlsafe_b64decode(token))
    except ValueError:  # bad base64, bad JSON, not three parts
        raise AwsError("InvalidGrantTokenException", "Invalid grant token.") from None
    except TypeError:
        raise AwsError("InvalidGrantTokenException", "Invalid grant token.") from None
    if form != _FORM or not isinstance(key_id, str) or not isinstance(grant_id, str):
        raise AwsError("InvalidGrantTokenException", "Invalid grant token.")
    return key_id, grant_id


def _token(key_id: str, grant_id: str) -> str:
    return urlsafe_b64encode(orjson.dumps([_FORM, key_id, grant_id])).decode()


def _grant(grants: tuple[Grant, ...], grant_id: str) -> Grant:
    found = next((grant for grant in grants if grant.id == grant_id), None)
    if found is None:
        raise AwsError("NotFoundException", f"Grant ID {grant_id} not found")
    return found


def _checked(key: Key, params: Mapping[str, Any]) -> Grant:
    """The grant that the request describes, without id and time; raises where it cannot be."""
    grantee = str(params.get("GranteePrincipal") or params.get("GranteeServicePrincipal") or "")
    retiring = str(params.get("RetiringPrincipal") or params.get("RetiringServicePrincipal") or "")
    for named in filter(None, (grantee, retiring)):
        if not _PRINCIPAL.fullmatch(named):
            raise AwsError("InvalidArnException", f"ARN does not refer to a valid principal: {named}")
    wanted = tuple(dict.fromkeys(params["Operations"]))
    if surplus := sorted(set(wanted) - specs.operations(key.spec, key.usage)):
        text = f"Grant operations {', '.join(surplus)} are not supported for a key with usage {key.usage}"
        raise AwsError("ValidationException", text, status=400)
    constraints = params.get("Constraints") or {}
    subset, equals = constraints.get("EncryptionContextSubset"), constraints.get("EncryptionContextEquals")
    if (subset or equals) and key.spec != "SYMMETRIC_DEFAULT":
        text = "Encryption context constraints are supported for symmetric encryption keys alone"
        raise AwsError("ValidationException", text, status=400)
    return Grant("", grantee, wanted, 0.0, str(params.get("Name") or ""), retiring, subset, equals)


def _shape(grant: Grant) -> Grant:
    return replace(grant, id="", created=0.0)


def _shown(call: Call, key: Key, grant: Grant) -> dict[str, Any]:
    pairs = {"EncryptionContextSubset": grant.subset, "EncryptionContextEquals": grant.equals}
    constraints = {name: dict(value) for name, value in pairs.items() if value is not None}
    optional = {"RetiringPrincipal": grant.retiring, "Name": grant.name, "Constraints": constraints}
    return {
        "KeyId": key.arn,
        "GrantId": grant.id,
        "GranteePrincipal": grant.grantee,
        "IssuingAccount": f"arn:aws:iam::{call.account}:root",
        "Operations": list(grant.operations),
        "CreationDate": datetime.fromtimestamp(grant.created, UTC),
        **{name: value for name, value in optional.items() if value},
    }
