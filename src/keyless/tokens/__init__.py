"""Service account JWTs and JWKS: issue, verify, rotate. Pure: times are given as epoch seconds, keys as PEM.

    key = SigningKey.from_pem(pem)                              # kid = 40 hex digits from the public key
    claims = service_account_claims(
        ServiceAccountSubject("ns", Bound("vector", uid), pod=Bound(name, uid), node=Bound(name, uid)),
        Validity(now, now + 86400), issuer=…, audiences=["sts.amazonaws.com"], token_id=uuid)
    token = issue(key, claims)
    jwks([key]), discovery(issuer)                              # documents to serve
    keys = parse_jwks(document)                                 # KeySet; ValueError if it is no JWKS

STS (facts/identity.md#token-checks), with the caller's lookups in between:

    seen = inspect(token)                                       # Unverified | TokenRefusal (steps 2–3)
    provider = … seen.issuer …   or provider_not_found(seen.issuer)          # step 4
    keys = parse_jwks(fetched)   or keys_unavailable(why)                    # step 5
    proven = verify_web_identity(seen, keys, client_ids=…, now=now)          # VerifiedClaims | TokenRefusal (5–9)

The Kubernetes API server: ``verify_service_account(token, keys, issuer=…, audiences=…, now=now)``; its keys are
``key_set([key])``. Rotation is a state machine in :mod:`keyless.tokens.rotation`.
"""

from keyless.tokens.issuing import ServiceAccountSubject, Validity, issue, service_account_claims
from keyless.tokens.keys import SigningKey, discovery, jwks
from keyless.tokens.keysets import KeySet, jwks_location, key_set, parse_jwks
from keyless.tokens.model import Bound, Unverified, VerifiedClaims, VerifiedServiceAccount
from keyless.tokens.refusals import TokenRefusal
from keyless.tokens.service_accounts import verify_service_account
from keyless.tokens.web_identity import (
    certificate_mistrusted,
    inspect,
    keys_unavailable,
    provider_not_found,
    verify_web_identity,
)

__all__ = [
    "Bound",
    "KeySet",
    "ServiceAccountSubject",
    "SigningKey",
    "TokenRefusal",
    "Unverified",
    "Validity",
    "VerifiedClaims",
    "VerifiedServiceAccount",
    "certificate_mistrusted",
    "discovery",
    "inspect",
    "issue",
    "jwks",
    "jwks_location",
    "key_set",
    "keys_unavailable",
    "parse_jwks",
    "provider_not_found",
    "service_account_claims",
    "verify_service_account",
    "verify_web_identity",
]
