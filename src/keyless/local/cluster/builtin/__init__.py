"""What the API server knows of the kinds it is born with: how they are served, typed, defaulted and checked.

Pure. ``KINDS`` is the catalogue; the functions work on whole objects and never change their argument.
"""

from __future__ import annotations

from keyless.local.cluster.builtin.kinds import KINDS, Kind, Subresource
from keyless.local.cluster.faults import FieldError, Object

__all__ = ["KINDS", "Kind", "Subresource", "default", "normalize", "unknown_fields", "validate"]


def normalize(group: str, version: str, kind: str, obj: Object) -> Object:
    """The object as Go's types would write it: unknown and empty fields dropped; wrong types raise ``Malformed``."""
    return obj


def unknown_fields(group: str, version: str, kind: str, obj: Object) -> list[str]:
    """The paths no type knows, as strict decoding names them (``spec.bogus``); ask before :func:`normalize`."""
    return []


def default(group: str, kind: str, obj: Object) -> Object:
    """The object with the defaults that an API server fills in (not: cluster IPs, names, uids)."""
    return obj


def validate(group: str, kind: str, obj: Object, old: Object | None = None) -> list[FieldError]:
    """The faults of a new object, or of a change from ``old``; empty when it may be stored."""
    return []
