"""Compiled documents (being written)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed and compiled policy document; made by :func:`keyless.policy.parse` only."""

    kind: str
    version: str
