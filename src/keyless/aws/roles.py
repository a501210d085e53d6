"""Credentials of assumed roles: by a web identity token, or from another session. Both renew themselves.

Fetching blocks and runs where botocore asks for credentials: in the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from keyless.aws.errors import failure
from keyless.aws.sessions import Keys, Session, keys_of, refreshing, shared_loader


@dataclass(frozen=True, slots=True)
class RoleRequest:
    """What AssumeRole is asked for."""

    role_arn: str
    session_name: str
    external_id: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    transitive_tag_keys: tuple[str, ...] = ()

    def parameters(self) -> dict[str, Any]:
        """Return them as STS spells them."""
        wanted: dict[str, Any] = {"RoleArn": self.role_arn, "RoleSessionName": self.session_name}
        if self.external_id:
            wanted["ExternalId"] = self.external_id
        if self.tags:
            wanted["Tags"] = [{"Key": key, "Value": value} for key, value in self.tags]
        if self.transitive_tag_keys:
            wanted["TransitiveTagKeys"] = list(self.transitive_tag_keys)
        return wanted


def assumed(source: Session, request: RoleRequest) -> Credentials:
    """Return credentials of ``request.role_arn``, assumed with ``source``'s."""
    return refreshing(lambda: keys_of(source.call_blocking("sts", "AssumeRole", **request.parameters())), method="role")


def by_web_identity(fetch_token: Callable[[], str], *, role_arn: str, session_name: str, region: str) -> Credentials:
    """Return credentials of ``role_arn`` for a token that ``fetch_token`` (blocking) brings at each renewal."""

    def fetch() -> Keys:
        token = fetch_token()
        session = botocore.session.Session()
        session.register_component("data_loader", shared_loader())
        sts = session.create_client("sts", region_name=region, config=Config(signature_version=UNSIGNED))
        try:
            answer = sts.assume_role_with_web_identity(
                RoleArn=role_arn, RoleSessionName=session_name, WebIdentityToken=token
            )
        except (BotoCoreError, ClientError, ValueError, OSError) as error:
            raise failure("AssumeRoleWithWebIdentity", error) from error
        return keys_of(answer)

    return refreshing(fetch, method="web-identity")


def chained(source: Session, requests: Sequence[RoleRequest]) -> Session:
    """Return the session at the end of a chain of roles, each assumed with the one before."""
    for request in requests:
        source = Session.with_credentials(assumed(source, request), region=source.region)
    return source
