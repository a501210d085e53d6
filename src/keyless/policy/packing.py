"""Subjects into trust policies under a quota (being written)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """The subjects of one role, the trust policy's text for them, and its size as AWS counts it."""

    subjects: tuple[str, ...]
    document: str
    size: int


def size(text: str) -> int:
    """Characters as IAM counts them: white space is free."""
    raise NotImplementedError


def web_identity_trust(provider_arn: str, *, subjects: Sequence[str], audience: str = "sts.amazonaws.com") -> str:
    """The trust policy that admits exactly ``subjects`` (StringLike where one holds a wildcard)."""
    raise NotImplementedError


def pack(
    subjects: Sequence[str], provider_arn: str, *, quota: int = 2048, placed: Mapping[str, int] | None = None
) -> tuple[Shard, ...]:
    """Shard ``subjects`` over as few trust policies as fit ``quota``; a subject in ``placed`` keeps its shard."""
    raise NotImplementedError
