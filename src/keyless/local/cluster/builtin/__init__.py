"""What the API server knows of the kinds it is born with: how they are served, typed, defaulted and checked.

Pure. ``KINDS`` is the catalogue; the functions work on whole objects and never change their argument. The order for a
request body: ``unknown_fields`` (if field validation asks), ``normalize``, ``default``, admission, ``validate``.
"""

from __future__ import annotations

from keyless.local.cluster.builtin.defaults import default
from keyless.local.cluster.builtin.kinds import KINDS, Kind, Subresource
from keyless.local.cluster.builtin.normal import normalize, unknown_fields
from keyless.local.cluster.builtin.validation import validate

__all__ = ["KINDS", "Kind", "Subresource", "default", "normalize", "unknown_fields", "validate"]
