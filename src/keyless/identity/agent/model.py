"""What the agent asks, holds and answers. Values and pure checks; the signature of a token is left to EKS Auth."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from keyless.aws.errors import AwsTransient, Said


@dataclass(frozen=True, slots=True)
class PodCredentials:
    """Credentials for one pod; the representation hides the secrets."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime
    account_id: str = ""

    def body(self) -> bytes:
        """What SDKs read from a container credentials endpoint, as JSON."""
        document = {
            "AccessKeyId": self.access_key_id,
            "SecretAccessKey": self.secret_access_key,
            "Token": self.session_token,
            "AccountId": self.account_id,
            "Expiration": self.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return json.dumps(document, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer that needs no upstream: ``status`` and plain text, in upstream's words."""

    status: int
    text: str


def credentials_of(answer: Mapping[str, Any]) -> PodCredentials:
    """Read the answer of AssumeRoleForPodIdentity; raises ``AwsTransient`` for one that was cut off on its way."""
    found = answer.get("credentials")
    needed = ("accessKeyId", "secretAccessKey", "sessionToken", "expiration")
    missing = needed if not isinstance(found, Mapping) else [name for name in needed if not found.get(name)]
    if not isinstance(found, Mapping) or missing:
        text = f"expected credentials, found an answer without {', '.join(missing)}"
        raise AwsTransient(Said("AssumeRoleForPodIdentity", "ResponseParser", text))
    arn = str((answer.get("assumedRoleUser") or {}).get("arn", ""))
    parts = arn.split(":")
    return PodCredentials(
        found["accessKeyId"],
        found["secretAccessKey"],
        found["sessionToken"],
        found["expiration"],
        parts[4] if len(parts) > 4 else "",
    )


def check_host(host: str, bind_hosts: tuple[str, ...]) -> Refused | None:
    """Refuse a request whose Host header names another address: a page in a browser could have sent it."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if host.count(":") > 1 and not host.startswith("["):
        name = host
    if name.strip("[]") in bind_hosts:
        return None
    shown = " ".join(f"[{bound}]" if ":" in bound else bound for bound in bind_hosts)
    text = f"Access Denied. Called agent through invalid address, please use either [{shown}] address not {name}"
    return Refused(403, text)


def check_token_untrusted(token: str, now: datetime) -> Refused | None:
    """Refuse a token that is empty, no JWT, or outside its own times."""
    if not token:
        return Refused(400, "Service account token cannot be empty")
    try:
        claims = _claims(token)
    except ValueError as error:
        return Refused(400, f"Service account token cannot be parsed: {error}")
    failed = "Service account token failed basic claim validations: "
    seconds = now.timestamp()
    expires, begins = claims.get("exp"), claims.get("nbf")
    if isinstance(expires, int | float) and seconds >= expires:
        return Refused(400, failed + "token is expired")
    if isinstance(begins, int | float) and seconds < begins:
        return Refused(400, failed + "token is not valid yet")
    return None


@dataclass(frozen=True, slots=True)
class Bearer:
    """What a token says of its pod: the uid, empty where it names none, and when the token ends."""

    pod: str = ""
    expires_at: datetime | None = None


def bearer_of(token: str) -> Bearer:
    """Read a token that EKS Auth has taken; nothing of it is believed before."""
    try:
        claims = _claims(token)
        pod = ((claims.get("kubernetes.io") or {}).get("pod") or {}).get("uid") or ""
        expires = claims.get("exp")
        ends = datetime.fromtimestamp(expires, UTC) if isinstance(expires, int | float) else None
    except (ValueError, AttributeError, OverflowError, OSError):
        return Bearer()
    return Bearer(str(pod), ends)


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("token contains an invalid number of segments")
    for part, what in zip(parts[:2], ("header", "claims"), strict=True):
        try:
            document = json.loads(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
        except (binascii.Error, ValueError, RecursionError):
            # The cause would quote the token.
            raise ValueError(f"the {what} are no base64url encoded JSON") from None
        if not isinstance(document, dict):
            raise ValueError(f"the {what} are no JSON object")
    claims: dict[str, Any] = document
    return claims
