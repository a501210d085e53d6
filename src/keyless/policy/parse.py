"""Parse (being written)."""

from __future__ import annotations

from collections.abc import Mapping

from keyless.policy.model import Kind
from keyless.policy.statements import Document


def parse(source: str | bytes | Mapping[str, object], kind: Kind) -> Document:
    """Validate as AWS does and compile; raises :class:`MalformedPolicy` with AWS's text."""
    raise NotImplementedError
