"""The webhook's own certificate: what is done next about it. Pure.

Two places hold it: a Secret that all replicas read (the authorities, newest first, the newest one's key, and the
certificate that is served), and ``caBundle`` in the MutatingWebhookConfiguration, by which the API server knows it.
An authority is renewed in four steps, and whoever stops after any of them leaves a certificate that is trusted: the new
authority stands beside the old one in the Secret, then in ``caBundle``; then it signs what is served; then the old one
goes from both. Each write names the version that it read, so that two replicas at once do each step once.

Where the API server trusts others and not this one, as after an upgrade from a chart that made the certificate itself,
the webhook's pods of before still serve by those: they are taken along, and leave like an old authority of our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

AUTHORITY_LIFE, AUTHORITY_LEFT = timedelta(days=1825), timedelta(days=365)
"""Five years; the next one begins a year before the end, for a cluster that was away for months."""
LEAF_LEFT = timedelta(days=15)
"""Half of what a certificate lives."""
SLACK = timedelta(minutes=5)
"""Certificates begin so long before they are made, for clocks that are late."""
SEEN_AFTER = SLACK + timedelta(minutes=5)
"""API servers watch the configuration: by then all of them trust the authority that it names. From its begin on."""
SERVED_AFTER = SLACK + timedelta(hours=1)
"""Replicas look at the Secret twice a minute: by then none serves what the old authority signed. From its begin on."""
MOST_TAKEN = 3
"""A bundle of many authorities is no webhook's."""


class Step(StrEnum):
    """What is to be done now."""

    MAKE = "make an authority and a certificate"
    TAKE_ALONG = "take the authorities along by which the webhook is trusted now"
    TELL = "tell the API server of the authorities"
    ADD_AUTHORITY = "add the next authority"
    SIGN = "sign the next certificate"
    DROP_AUTHORITY = "drop the authority that nothing needs any more"


@dataclass(frozen=True, slots=True)
class Leaf:
    """The certificate that is served: when it holds, for which names, and the authority (its text) that signed it."""

    begins: datetime
    ends: datetime
    names: frozenset[str]
    signer: str


@dataclass(frozen=True, slots=True)
class Authority:
    """One authority as PEM, and when it holds."""

    pem: str
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """What the Secret holds: authorities, the newest first, whose key is there, and the certificate."""

    authorities: tuple[Authority, ...]
    leaf: Leaf

    @property
    def bundle(self) -> str:
        """``caBundle`` as it shall be."""
        return "".join(one.pem for one in self.authorities)


def taken_along(held: Held | None, trusted: tuple[Authority, ...], now: datetime) -> tuple[Authority, ...]:
    """The authorities of others that the API server trusts in the place of the newest of ours; none once it has that.

    One that we have dropped stands beside the newest for a moment, and is not taken along again.
    """
    own = held.authorities if held else ()
    if own and own[0] in trusted:
        return ()
    return tuple(one for one in trusted if one not in own and _holds(one, now))[:MOST_TAKEN]


def _holds(one: Authority, now: datetime) -> bool:
    """Helm's begin at once, by the clock of whoever ran it: that may be ahead of ours."""
    return one.begins <= now + SLACK and now < one.ends


def next_step(
    held: Held | None, bundle: str, trusted: tuple[Authority, ...], names: frozenset[str], now: datetime
) -> Step | None:
    """``held``: None where the Secret is not there or of no use; ``bundle``: what the API server trusts (PEM).

    ``trusted`` are the authorities in it.
    """
    if held is None or held.authorities[0].ends <= now:
        return Step.MAKE
    newest = held.authorities[0]
    if taken_along(held, trusted, now) or _is_set_back(held, trusted, now):
        return Step.TAKE_ALONG
    if bundle != held.bundle:
        return Step.TELL
    if newest.ends - now <= AUTHORITY_LEFT and len(held.authorities) == 1:
        return Step.ADD_AUTHORITY
    if _is_due(held, names, now):
        return Step.SIGN
    if len(held.authorities) > 1 and held.leaf.signer == newest.pem and now - held.leaf.begins >= SERVED_AFTER:
        return Step.DROP_AUTHORITY
    return None


def _is_set_back(held: Held, trusted: tuple[Authority, ...], now: datetime) -> bool:
    """Helm put an older authority in the place of ours: pods that serve by it have their hour from now on.

    Not where it was signed a moment ago: then this step was done, and the API server is yet to be told.
    """
    newest, leaf = held.authorities[0], held.leaf
    others = any(_holds(one, now) for one in trusted)
    return newest not in trusted and leaf.signer == newest.pem and others and now - leaf.begins >= SEEN_AFTER


def _is_due(held: Held, names: frozenset[str], now: datetime) -> bool:
    leaf, newest = held.leaf, held.authorities[0]
    useless = leaf.ends <= now or leaf.begins > now or not names <= leaf.names or leaf.signer not in held.bundle
    if useless:
        return True  # nothing is lost by not waiting: nobody trusts what is served
    is_trusted = now - newest.begins >= SEEN_AFTER or len(held.authorities) == 1
    return is_trusted and (leaf.ends - now <= LEAF_LEFT or leaf.signer != newest.pem)
