"""Web identity tokens as STS verifies them, in the order of facts/identity.md#token-checks.

The caller looks up the provider and fetches the keys between :func:`inspect` and :func:`verify_web_identity`; whether
a role trusts the proven claims is :mod:`keyless.policy`'s question. Every check is a small function that returns a
refusal or nothing; the order in ``CHECKS`` is what a caller can observe.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from keyless.tokens.encoding import decode_untrusted, object_untrusted
from keyless.tokens.keysets import ALGORITHMS, KeySet, signature_holds
from keyless.tokens.model import Unverified, VerifiedClaims
from keyless.tokens.refusals import TokenRefusal

LONGEST_TOKEN = 20_000
LEEWAY_SECONDS = 300
REQUIRED = ("iss", "sub", "aud", "iat", "exp")

_INVALID = "InvalidIdentityToken"
_NO_JWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
_NOT_VALIDATED = (
    "The web identity token provided could not be validated. "
    "See the AssumeRoleWithWebIdentity documentation for requirements."
)
# Two spaces: that is how AWS says it, and scripts match it.
_NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,  "
    "please reference AssumeRoleWithWebIdentity documentation for requirements"
)
_MISTRUSTED = "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def inspect(token: str) -> Unverified | TokenRefusal:
    """Steps 2–3: JWT shape, crit, algorithm, iss. The caller then finds provider and JWKS."""
    try:
        seen = take_apart_untrusted(token)
    except ValueError as error:
        return TokenRefusal(_INVALID, _NO_JWT, f"the token is no JWT: {error}")
    if "crit" in seen.header:
        return TokenRefusal(_INVALID, _NO_JWT, "the header has crit, and no critical extension is understood")
    if seen.algorithm not in ALGORITHMS:
        detail = f"algorithm {seen.algorithm[:20]!r}; expected one of {', '.join(sorted(ALGORITHMS))}"
        return TokenRefusal(_INVALID, _NOT_VALIDATED, detail)
    if not isinstance(seen.claims.get("iss"), str):
        return _missing("iss")
    return seen


def take_apart_untrusted(token: str) -> Unverified:
    """Split a compact JWS; raises only ``ValueError``. Nothing is verified, not even the algorithm."""
    if len(token) > LONGEST_TOKEN:
        raise ValueError(f"longer than {LONGEST_TOKEN} characters")
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError(f"{len(parts)} parts instead of 3")
    header, claims = object_untrusted(decode_untrusted(parts[0])), object_untrusted(decode_untrusted(parts[1]))
    algorithm, kid, issuer = header.get("alg"), header.get("kid"), claims.get("iss")
    if not isinstance(algorithm, str):
        raise ValueError("no alg in the header")
    if kid is not None and not isinstance(kid, str):
        raise ValueError("kid is no string")
    return Unverified(
        algorithm=algorithm,
        key_id=kid,
        issuer=issuer if isinstance(issuer, str) else "",
        header=header,
        claims=claims,
        signing_input=f"{parts[0]}.{parts[1]}".encode("ascii"),
        signature=decode_untrusted(parts[2]),
    )


def provider_not_found(issuer: str) -> TokenRefusal:
    """Step 4: no provider for the token's issuer in the role's account."""
    message = f"No OpenIDConnect provider found in your account for {issuer}"
    return TokenRefusal(_INVALID, message, f"no IAM OIDC provider has the URL {issuer} in the role's account")


def keys_unavailable(detail: str) -> TokenRefusal:
    """Step 5: the issuer could not be asked, or what it answered is no JWKS."""
    return TokenRefusal(_INVALID, _NO_KEY, detail)


def certificate_mistrusted(detail: str) -> TokenRefusal:
    """Step 5: no trusted authority vouches for the issuer's certificate, and no thumbprint of the provider does."""
    return TokenRefusal(_INVALID, _MISTRUSTED, detail)


def verify_web_identity(
    token: Unverified, keys: KeySet, *, client_ids: Collection[str], now: int, leeway_seconds: int = LEEWAY_SECONDS
) -> VerifiedClaims | TokenRefusal:
    """Steps 5–9: key, signature, required claims and types, azp/aud against the provider's client ids, timestamps."""
    key = keys.find(token.key_id)
    if key is None:
        why = keys.unusable.get(token.key_id or "", "no such key")
        return keys_unavailable(f"kid {token.key_id!r}: {why}; the issuer publishes {sorted(keys.keys)[:10]}")
    if not signature_holds(token.algorithm, key, token.signing_input, token.signature):
        return TokenRefusal(_INVALID, _NOT_VALIDATED, f"the {token.algorithm} signature is not of key {token.key_id!r}")
    claims = _claims_or_refusal(token)
    if isinstance(claims, TokenRefusal):
        return claims
    query = _Query(claims, frozenset(client_ids), now, leeway_seconds)
    return next((refusal for check in CHECKS if (refusal := check(query))), claims)


@dataclass(frozen=True, slots=True)
class _Query:
    claims: VerifiedClaims
    client_ids: frozenset[str]
    now: int
    leeway: int


def _claims_or_refusal(token: Unverified) -> VerifiedClaims | TokenRefusal:
    """Step 7: the required claims are there and have types that mean something."""
    claims = token.claims
    absent = next((name for name in REQUIRED if name not in claims), None)
    if absent:
        return _missing(absent)
    subject, audiences = _subject(claims["sub"]), _audiences(claims["aud"])
    if isinstance(subject, TokenRefusal):
        return subject
    if isinstance(audiences, TokenRefusal):
        return audiences
    audience = _authorized_party(claims.get("azp"), audiences)
    if isinstance(audience, TokenRefusal):
        return audience
    times = {name: _timestamp(claims[name]) for name in ("iat", "exp", "nbf") if name in claims}
    issued_at, expires_at, not_before = times["iat"], times["exp"], times.get("nbf")
    if issued_at is None or expires_at is None or ("nbf" in times and not_before is None):
        bad = ", ".join(name for name, value in times.items() if value is None)
        return TokenRefusal(_INVALID, "Invalid timestamp in token claims.", f"{bad}: no integer")
    return VerifiedClaims(
        issuer=token.issuer,
        subject=subject,
        audience=audience,
        audiences=audiences,
        issued_at=issued_at,
        expires_at=expires_at,
        not_before=not_before,
        claims=claims,
    )


def _subject(value: object) -> str | TokenRefusal:
    """A number becomes a string, as AWS does; AWS falls over a null (S7)."""
    if isinstance(value, str):
        return value
    if value is None:
        return TokenRefusal("InternalFailure", "Unknown error validating third-party token", "sub is null", status=500)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return TokenRefusal(_INVALID, _NOT_VALIDATED, "sub is neither a string nor a number")


def _authorized_party(party: object, audiences: tuple[str, ...]) -> str | TokenRefusal:
    """Who the token is for: azp wins over aud, and several audiences need one (S9)."""
    if isinstance(party, str):
        return party
    if party is not None:
        return TokenRefusal(_INVALID, _NOT_VALIDATED, "azp is no string")
    if len(audiences) > 1:
        message = "Token audience contains more than one audience while authorized party is not present"
        return TokenRefusal(_INVALID, message, f"aud is {list(audiences)} and there is no azp")
    return audiences[0]


def _audiences(value: object) -> tuple[str, ...] | TokenRefusal:
    # A null is there, so it is not missing: times and sub show that AWS asks for the member, not for a value.
    if value in ([], "", None):
        return TokenRefusal(_INVALID, "Claim is not allowed to be empty: aud", "aud is empty")
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return TokenRefusal(_INVALID, _NOT_VALIDATED, "aud is neither a string nor a list of strings")


def _timestamp(value: object) -> int | None:
    """An integer, or a string of one; a fraction or null is no time (seen live)."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else None


def _missing(claim: str) -> TokenRefusal:
    return TokenRefusal(_INVALID, f"Missing a required claim: {claim}", f"the token has no {claim}")


def _audience_is_not_registered(query: _Query) -> TokenRefusal | None:
    if query.claims.audience in query.client_ids:
        return None
    detail = f"audience {query.claims.audience!r} is none of the provider's client ids {sorted(query.client_ids)}"
    return TokenRefusal(_INVALID, _NOT_VALIDATED, detail)


def _token_has_expired(query: _Query) -> TokenRefusal | None:
    moment, expiry = query.now - query.leeway, query.claims.expires_at
    if moment < expiry:
        return None
    message = f"Token expired: current date/time {moment} must be before the expiration date/time {expiry}"
    return TokenRefusal("ExpiredTokenException", message, f"expired at {expiry}, now {query.now}")


def _token_is_not_yet_valid(query: _Query) -> TokenRefusal | None:
    moment, start = query.now + query.leeway, query.claims.not_before
    if start is None or start <= moment:
        return None
    message = (
        f"Token not yet valid: current date/time {moment} must be after or equal to the not-before date/time {start}"
    )
    return TokenRefusal(_INVALID, message, f"nbf {start}, now {query.now}")


def _token_comes_from_the_future(query: _Query) -> TokenRefusal | None:
    if query.claims.issued_at <= query.now + query.leeway:
        return None
    message = f"Token issued in the future: {query.claims.issued_at}"
    return TokenRefusal(_INVALID, message, f"iat {query.claims.issued_at}, now {query.now}")


# The audience comes before the times: a caller with a stale token for another party learns nothing about it.
CHECKS = (_audience_is_not_registered, _token_has_expired, _token_is_not_yet_valid, _token_comes_from_the_future)
