"""What a component must reach in AWS: each domain declares it once in its ``access.py``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """``actions`` on ``resources`` (ARN patterns), and the one action of them that proves the chain (``probe``).

    ``sent`` are condition keys that follow from what its calls say; an empty value: no call has that key.
    """

    component: str
    service_account: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    probe: str
    sent: tuple[tuple[str, str], ...] = ()
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """For some actions the resources that they are needed on; every other action is needed on all of its service."""
    signs: str = ""
    """The KMS key that it signs with, by the ARN of the key or of its alias; empty: none."""
    encrypts: str = ""
    """The KMS key that it encrypts and decrypts with itself, named alike; empty: none."""
    context: tuple[tuple[str, str], ...] = ()
    """The encryption context of those calls."""
