"""Service account tokens as the Kubernetes API server verifies them.

The uids inside must still be looked up (a deleted pod's token is dead there, unlike at STS, facts/identity.md#sts);
that is the caller's. There is no tolerance: issuer and verifier share a clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from keyless.tokens.keysets import ALGORITHMS, KeySet, signature_holds
from keyless.tokens.model import Bound, Unverified, VerifiedServiceAccount
from keyless.tokens.refusals import TokenRefusal
from keyless.tokens.web_identity import take_apart_untrusted


def verify_service_account(
    token: str, keys: KeySet, *, issuer: str, audiences: Collection[str], now: int
) -> VerifiedServiceAccount | TokenRefusal:
    """Verify a bearer token; ``audiences`` of the result is the intersection. Look the uids up afterwards."""
    try:
        seen = take_apart_untrusted(token)
    except ValueError as error:
        return _refuse(f"invalid bearer token: {error}")
    key = keys.find(seen.key_id)
    if "crit" in seen.header or seen.algorithm not in ALGORITHMS or key is None:
        return _refuse(f"invalid bearer token: no key {seen.key_id!r} for algorithm {seen.algorithm[:20]!r}")
    if not signature_holds(seen.algorithm, key, seen.signing_input, seen.signature):
        return _refuse("invalid bearer token: the signature does not hold")
    if seen.issuer != issuer:
        return _refuse(f"token issuer {seen.issuer[:200]!r} is not this server's, {issuer!r}")
    try:
        account = _read(seen)
    except (ValueError, KeyError, TypeError) as error:
        return _refuse(f"service account token has unreadable claims: {error!r}")
    return _in_time(account, seen, now) or _for_audience(account, audiences)


def _read(seen: Unverified) -> VerifiedServiceAccount:
    claims = seen.claims
    private = claims["kubernetes.io"]
    if not isinstance(private, Mapping):
        raise TypeError("kubernetes.io is no object")
    owner = _bound(private, "serviceaccount")
    namespace, warn_after = private["namespace"], private.get("warnafter")
    if owner is None or not isinstance(namespace, str):
        raise ValueError("no service account")
    account = VerifiedServiceAccount(
        namespace=namespace,
        name=owner.name,
        uid=owner.uid,
        audiences=_strings(claims["aud"]),
        issued_at=_integer(claims["iat"]),
        expires_at=_integer(claims["exp"]),
        token_id=str(claims.get("jti", "")),
        pod=_bound(private, "pod"),
        node=_bound(private, "node"),
        secret=_bound(private, "secret"),
        warn_after=None if warn_after is None else _integer(warn_after),
    )
    if claims["sub"] != account.username:
        raise ValueError("sub does not name the service account")
    return account


def _bound(private: Mapping[str, object], field: str) -> Bound | None:
    value = private.get(field)
    if value is None:
        return None
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise ValueError(f"{field} has no name")
    return Bound(value["name"], str(value.get("uid", "")))


def _strings(value: object) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise TypeError("aud is no list of strings")
    return tuple(items)


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a time is no integer")
    return value


def _in_time(account: VerifiedServiceAccount, seen: Unverified, now: int) -> TokenRefusal | None:
    if now >= account.expires_at:
        return _refuse("service account token has expired")
    start = seen.claims.get("nbf")
    if isinstance(start, int) and now < start:
        return _refuse("service account token is not valid yet")
    return None


def _for_audience(account: VerifiedServiceAccount, audiences: Collection[str]) -> VerifiedServiceAccount | TokenRefusal:
    shared = tuple(audience for audience in account.audiences if audience in audiences)
    if not shared:
        return _refuse(f"token audiences {list(account.audiences)} are none of the expected {sorted(audiences)}")
    return VerifiedServiceAccount(
        **{field: getattr(account, field) for field in account.__slots__ if field != "audiences"}, audiences=shared
    )


def _refuse(message: str) -> TokenRefusal:
    return TokenRefusal("Unauthorized", message, message, status=401)
