"""Whether a certificate is signed. Pure.

Nobody gets a name or a group that is not his own. The right to ask is looked at before anything is told of the control
plane: whoever may not ask does not learn whether there is one.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject, Name, condition_of
from keyless.space.entering.names import SUBRESOURCE, inside
from keyless.space.entering.reading import Asked


@dataclass(frozen=True, slots=True)
class Facts:
    """A request that could be read, and what the host says about it. ``plane`` None: there is none of that name."""

    name: Name
    request: KubeObject
    asked: Asked
    may: bool
    plane: KubeObject | None
    has_keys: bool
    """Whether the authority of the control plane's own API is there."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet; ``message`` says for what."""

    message: str


def decide(facts: Facts) -> Asked | Refusal | Wait:
    """What is asked for, where it is to be signed."""
    spec = facts.request["spec"]
    user, groups = spec.get("username") or "", spec.get("groups") or ()
    own = inside(user, groups)
    if isinstance(own, Refusal):
        return own
    asked = facts.asked.identity
    if asked.user != own.user:
        return _denied(f"the request names user {asked.user!r}: expected {own.user!r}, who asks")
    if foreign := [group for group in asked.groups if group not in own.groups]:
        return _denied(
            f"the request names group {foreign[0]!r}, which {user!r} does not bring: expected some of "
            f"{', '.join(own.groups) or 'none'}"
        )
    if not facts.may:
        return _denied(
            f"{user!r} may not enter {facts.name.namespace}/{facts.name.name}: expected the right to create "
            f"controlplanes/{SUBRESOURCE} in group spaces.upbound.io there; a Role with verbs [create] on it gives that"
        )
    return _of_plane(facts)


def _of_plane(facts: Facts) -> Asked | Refusal | Wait:
    name, plane = f"{facts.name.namespace}/{facts.name.name}", facts.plane
    if plane is None:
        return _denied(f"there is no control plane {name}: `kubectl get controlplanes -A` lists them")
    if plane["metadata"].get("deletionTimestamp"):
        return _denied(f"control plane {name} is being deleted")
    status = plane.get("status") or {}
    mode = (status.get("api") or {}).get("mode")
    if mode not in (None, "kubernetes"):
        return _denied(f"the API of {name} is {mode}: expected one of the Space's own, whose authority can sign")
    ready = condition_of(status.get("conditions"), "Ready") or {}
    if ready.get("reason") == Reason.PAUSED:
        return _denied(f"control plane {name} is paused, and nothing of it runs; it is entered when it is resumed")
    if not facts.has_keys or mode is None:
        return Wait(f"control plane {name} has no API yet: {ready.get('message') or 'it is being set up'}")
    return facts.asked


def _denied(detail: str) -> Refusal:
    return Refusal(Reason.ACCESS_DENIED, detail)
