"""What is called how, and who somebody of the host is inside a control plane. Pure.

Inside, a user and his groups are called as on the host, and nobody has a right before RBAC there gives it. Names that
mean something in every Kubernetes are nobody's from outside: ``system:masters`` may do everything, and a service
account of the host is not the one of that name inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keyless.api import Reason, Refusal
from keyless.kube import Name

SIGNER = "controlplanes.keyless.dev"
"""The domain of our signers; the path is ``NAMESPACE.NAME`` of a ControlPlane, and no namespace has a dot."""
SUBRESOURCE = "kubeconfig"
"""Of ``controlplanes``: who may ``create`` it on the host may ask for a certificate, which gives no right inside."""
LIFE_SECONDS = 3600
HOST = "host:"
ACCOUNT = "system:serviceaccount:"
RESERVED = ("system:", "keyless:", HOST)
"""What no name from the host may begin with: Kubernetes' own, the operator's, those of the host's service accounts."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is inside."""

    user: str
    groups: tuple[str, ...] = ()


def signer_of(plane: Name) -> str:
    """The signerName that asks for a certificate of this control plane."""
    return f"{SIGNER}/{plane.namespace}.{plane.name}"


def plane_of(signer: str) -> Name | None:
    """Which control plane a signerName means; None: it is none of ours."""
    domain, _, path = signer.partition("/")
    namespace, _, name = path.partition(".")
    return Name(namespace, name) if domain == SIGNER and namespace and name else None


def inside(user: str, groups: Iterable[str]) -> Identity | Refusal:
    """Who a user of the host is inside, with every group that he may bring."""
    kept = tuple(sorted({each for each in groups if each and not each.startswith(RESERVED)}))
    if user.startswith(ACCOUNT):
        # Its groups are Kubernetes' own, and mean accounts inside.
        return Identity(f"{HOST}{user.removeprefix('system:')}")
    if not user or user.startswith(RESERVED):
        return Refusal(
            Reason.ACCESS_DENIED,
            f"user {user!r}: expected a user of the host's identity provider or a service account, found a name that "
            f"means something else inside ({', '.join(RESERVED)}); come as somebody else (--context)",
        )
    return Identity(user, kept)
