"""AWS's own sentences (being written)."""

from __future__ import annotations

from keyless.policy.evaluate import Decision


def access_denied(decision: Decision, *, resource: str | None = None) -> str:
    """AWS's AccessDenied text for a denied decision; ``resource`` as the service words it, if not the ARN."""
    raise NotImplementedError
