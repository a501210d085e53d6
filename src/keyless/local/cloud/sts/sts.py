"""STS as a service: its parts put together, and the small operations."""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.authorise import Authoriser
from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.service import INSIDE, OPEN, Operation, Service
from keyless.local.cloud.sessions import Sessions
from keyless.local.cloud.sts.assume_role import AssumeRole
from keyless.local.cloud.sts.issuers import IssuerKeys
from keyless.local.cloud.sts.minting import Minter
from keyless.local.cloud.sts.own_sessions import OwnSessions
from keyless.local.cloud.sts.revocation import Revocation
from keyless.local.cloud.sts.web_identity import WebIdentity

_KEY_PREFIXES = ("AKIA", "ASIA", "AIDA", "AROA")


class Sts:
    """STS of one account."""

    def __init__(
        self,
        directory: Directory,
        authoriser: Authoriser,
        sessions: Sessions,
        issuers: IssuerKeys,
        *,
        revocation: Revocation | None = None,
    ) -> None:
        self._directory = directory
        self._sessions = sessions
        self.minter = Minter(directory, sessions)
        self._web_identity = WebIdentity(directory, authoriser, self.minter, issuers, revocation=revocation)
        self._assume_role = AssumeRole(directory, authoriser, self.minter)

    def service(self) -> Service:
        """The table of STS."""
        return Service(
            "sts",
            operations=(
                Operation("AssumeRole", self._assume_role.assume, INSIDE),
                Operation("AssumeRoleWithWebIdentity", self._web_identity.assume, INSIDE, unsigned=True),
                Operation("GetCallerIdentity", _caller_identity, OPEN),
                Operation("GetAccessKeyInfo", self._access_key_info),
                *OwnSessions(self._sessions, self.minter).operations(),
            ),
        )

    def _access_key_info(self, call: Call) -> dict[str, Any]:
        """AWS derives the account from the key's text; here every key that could exist is this account's."""
        key = call.params["AccessKeyId"]
        if not key.startswith(_KEY_PREFIXES):
            raise AwsError("ValidationError", "Invalid AccessKeyId", status=400)
        return {"Account": self._directory.account}


def _caller_identity(call: Call) -> dict[str, Any]:
    return {"UserId": call.caller.user_id, "Account": call.caller.account, "Arn": call.caller.arn}
