"""Service account tokens of a pod's volumes: asked for once, bound to the pod, renewed before they end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyless.kube import Kube, KubeObject
from keyless.local.node.volumes.payload import TokenWish

RENEW_AT = 0.8
LONGEST_USE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class HeldToken:
    """A token and when to ask for the next."""

    token: str = field(repr=False)
    renew_at: datetime


def renewal_time(issued_at: datetime, expires_at: datetime) -> datetime:
    """At 80 % of the token's life, and after a day at the latest, as a kubelet does. Pure."""
    return issued_at + min((expires_at - issued_at) * RENEW_AT, LONGEST_USE)


class PodTokens:
    """The tokens of one pod."""

    def __init__(self, kube: Kube, now: Callable[[], datetime]) -> None:
        self._kube = kube
        self._now = now
        self._held: dict[TokenWish, HeldToken] = {}

    async def freshen(self, pod: KubeObject, wishes: Iterable[TokenWish]) -> None:
        """Have a current token for each wish. Raises the API server's errors."""
        for wish in wishes:
            held = self._held.get(wish)
            if held is not None and self._now() < held.renew_at:
                continue
            asked_at = self._now()
            status = await self._kube.token(
                pod["spec"].get("serviceAccountName") or "default",
                pod["metadata"]["namespace"],
                audiences=[wish.audience] if wish.audience else [],
                expiration_seconds=wish.expiration_seconds,
                bound_pod=pod,
            )
            self._held[wish] = HeldToken(status.token, renewal_time(asked_at, status.expires_at))

    def token(self, wish: TokenWish) -> str:
        """The token for a wish that was freshened."""
        return self._held[wish].token

    @property
    def renew_at(self) -> datetime | None:
        """When the first of them must be renewed."""
        return min((held.renew_at for held in self._held.values()), default=None)
