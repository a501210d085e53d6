"""STS as a service: its parts put together, and the small operations."""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.authorise import Authoriser
from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.service import INSIDE, OPEN, Operation, Service
from keyless.local.cloud.sessions import Session, Sessions, new_id
from keyless.local.cloud.sts.assume_role import AssumeRole
from keyless.local.cloud.sts.issuers import IssuerKeys
from keyless.local.cloud.sts.minting import Minter
from keyless.local.cloud.sts.revocation import Revocation
from keyless.local.cloud.sts.web_identity import WebIdentity

_SESSION_SECONDS = 43200
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
                Operation("GetSessionToken", self._session_token, OPEN),
            ),
        )

    def _access_key_info(self, call: Call) -> dict[str, Any]:
        """AWS derives the account from the key's text; here every key that could exist is this account's."""
        key = call.params["AccessKeyId"]
        if not key.startswith(_KEY_PREFIXES):
            raise AwsError("ValidationError", "Invalid AccessKeyId", status=400)
        return {"Account": self._directory.account}

    def _session_token(self, call: Call) -> dict[str, Any]:
        if call.caller.session:
            raise AwsError("AccessDenied", "Cannot call GetSessionToken with session credentials", status=403)
        session = Session(
            access_key_id=new_id("ASIA", 16),
            kind="user",
            name=call.caller.name,
            principal_name=call.caller.name,
            principal_arn=call.caller.arn,
            principal_id=call.caller.user_id,
            issued_at=call.now,
            expires_at=call.now + call.params.get("DurationSeconds", _SESSION_SECONDS),
        )
        credentials = self._sessions.mint(session)
        call.notes["accessKeyId"] = credentials.access_key_id
        return {
            "Credentials": {
                "AccessKeyId": credentials.access_key_id,
                "SecretAccessKey": credentials.secret_access_key,
                "SessionToken": credentials.session_token,
                "Expiration": float(int(credentials.expires_at)),
            }
        }


def _caller_identity(call: Call) -> dict[str, Any]:
    return {"UserId": call.caller.user_id, "Account": call.caller.account, "Arn": call.caller.arn}
