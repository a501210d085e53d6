"""Signatures of manifests: each is of one manifest's SHA-256, and so of all that the chain before it says. Pure.

A manifest cannot hold its own: it stands in the manifest after it, and until then in the ControlPlane's status. So the
bytes of a manifest never depend on a signature that is made anew, and a key that is away for a while holds up nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from keyless.billing.ledger.integrity import Fault
from keyless.billing.ledger.manifests import Covered
from keyless.billing.ledger.model import HeadSignature

WRONG_SIGNATURE = "WrongSignature"
NOT_SIGNED = "NotSigned"
_PREFIX = b"keyless-billing-manifest-v1\n"
Holds = Callable[[bytes, HeadSignature], bool]
"""Whether one of the keys made a signature of a statement."""


def head_statement(sha256: str) -> bytes:
    """What is signed: never what a signature of a report could be of, which is JSON."""
    return _PREFIX + sha256.encode()


@dataclass(slots=True)
class _Spool:
    """One spool's manifests: from where on nobody vouches for them, and what it goes on from."""

    vouched: int = -1
    """A valid signature vouches for all numbers below."""
    open: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Key and SHA-256 of the manifests from there on, by number."""
    first: int | None = None
    goes_on_from: str = ""
    """The SHA-256 that its first manifest follows."""


class SignedChains:
    """Which manifests a key vouches for. That each follows the one before it is for :mod:`chains` to say."""

    def __init__(self, holds: Holds) -> None:
        self._holds = holds
        self._spools: dict[tuple[str, str], _Spool] = {}

    def add(self, key: str, covered: Covered) -> list[Fault]:
        """Count a manifest in; what is wrong with the signature that it holds of the one before it."""
        spool = self._spools.setdefault((covered.control_plane.id, covered.spool), _Spool())
        if spool.first is None or covered.sequence < spool.first:
            spool.first, spool.goes_on_from = covered.sequence, covered.previous
        if covered.sequence >= spool.vouched:
            spool.open[covered.sequence] = key, covered.sha256
        signature = covered.previous_signature
        if signature is None:
            return []
        if not covered.previous or not self._holds(head_statement(covered.previous), signature):
            said = f"expected a signature of the manifest that it follows by one of the keys, found {signature.key}'s"
            return [Fault(key, WRONG_SIGNATURE, said)]
        self._vouch(spool, covered.sequence)
        return []

    def told(self, sha256: str, signature: HeadSignature) -> None:
        """Somebody else keeps a signature of this manifest; one that does not hold vouches for nothing."""
        if not self._holds(head_statement(sha256), signature):
            return
        for spool in self._spools.values():
            for number, (_, known) in spool.open.items():
                if known == sha256:
                    self._vouch(spool, number + 1)
                    break

    def end(self) -> tuple[list[Fault], tuple[str, ...]]:
        """What nobody vouches for; and the keys of the newest manifests, whose signatures stand nowhere here yet."""
        faults, newest = [], []
        # Two pods of a rollout may go on from the same: one that is vouched for is enough.
        going_on = sorted(self._spools.values(), key=lambda spool: spool.vouched)
        followed = {spool.goes_on_from: spool for spool in going_on if spool.goes_on_from}
        for spool in self._spools.values():
            if not spool.open or _vouched_later(spool, followed):
                continue
            first = min(spool.open)
            key, _ = spool.open[first]
            if len(spool.open) == 1:
                newest.append(key)
                continue
            said = f"expected a later manifest with a signature, found none for it and {len(spool.open) - 1} after it"
            faults.append(Fault(key, NOT_SIGNED, said))
        return faults, tuple(sorted(newest))

    def _vouch(self, spool: _Spool, below: int) -> None:
        spool.vouched = max(spool.vouched, below)
        spool.open = {number: each for number, each in spool.open.items() if number >= spool.vouched}


def _vouched_later(spool: _Spool, followed: dict[str, _Spool]) -> bool:
    """Whether another spool goes on from its end, and a signature there vouches for what it goes on from."""
    seen = {id(spool)}
    while (after := followed.get(spool.open[max(spool.open)][1])) is not None and id(after) not in seen:
        # The first of those that go on holds the hash of the end: whoever vouches for it vouches for all before.
        if after.first is not None and after.vouched > after.first:
            return True
        seen.add(id(after))
        spool = after
    return False
