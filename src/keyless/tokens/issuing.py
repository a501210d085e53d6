"""Issue service account tokens as kube-apiserver 1.32 writes them (facts/identity.md#claims)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keyless.tokens.encoding import encode, encode_json
from keyless.tokens.keys import SigningKey
from keyless.tokens.model import Bound


def issue(key: SigningKey, claims: Mapping[str, object]) -> str:
    """Sign ``claims`` with RS256; header ``{alg, kid, typ}``."""
    signing_input = f"{encode_json({'alg': 'RS256', 'kid': key.kid, 'typ': 'JWT'})}.{encode_json(claims)}"
    return f"{signing_input}.{encode(key.sign(signing_input.encode('ascii')))}"


@dataclass(frozen=True, slots=True)
class ServiceAccountSubject:
    """Whom a token is for, and what it dies with: the pod (and its node) or the Secret it is bound to."""

    namespace: str
    service_account: Bound
    pod: Bound | None = None
    node: Bound | None = None
    secret: Bound | None = None


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when, in epoch seconds; after ``warn_after`` the API server counts the token as stale."""

    issued_at: int
    expires_at: int
    warn_after: int | None = None


def service_account_claims(
    subject: ServiceAccountSubject, validity: Validity, *, issuer: str, audiences: Sequence[str], token_id: str
) -> dict[str, object]:
    """The claims of a projected token; ``token_id`` (jti) is a UUID that the caller drew."""
    private: dict[str, object] = {"namespace": subject.namespace}
    for field, bound in (("node", subject.node), ("pod", subject.pod), ("secret", subject.secret)):
        if bound:
            private[field] = {"name": bound.name, "uid": bound.uid}
    private["serviceaccount"] = {"name": subject.service_account.name, "uid": subject.service_account.uid}
    if validity.warn_after is not None:
        private["warnafter"] = validity.warn_after
    return {
        "aud": list(audiences),
        "exp": validity.expires_at,
        "iat": validity.issued_at,
        "iss": issuer,
        "jti": token_id,
        "kubernetes.io": private,
        "nbf": validity.issued_at,
        "sub": f"system:serviceaccount:{subject.namespace}:{subject.service_account.name}",
    }
