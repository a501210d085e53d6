"""Issue (being written)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keyless.tokens.keys import SigningKey
from keyless.tokens.model import Bound


def issue(key: SigningKey, claims: Mapping[str, object]) -> str:
    """Sign ``claims`` with RS256; header ``{alg, kid, typ}``."""
    raise NotImplementedError


def service_account_claims(
    *,
    issuer: str,
    namespace: str,
    service_account: Bound,
    audiences: Sequence[str],
    now: int,
    expires_in: int,
    token_id: str,
    pod: Bound | None = None,
    node: Bound | None = None,
    secret: Bound | None = None,
    warn_after: int | None = None,
) -> dict[str, object]:
    """The claims of a projected token, as kube-apiserver 1.32 writes them."""
    raise NotImplementedError
