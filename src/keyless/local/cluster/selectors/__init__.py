"""Label and field selectors: parsed once, matched often."""

from __future__ import annotations

from keyless.local.cluster.selectors.fields import FieldSelector, selectable_fields
from keyless.local.cluster.selectors.labels import LabelSelector

__all__ = ["FieldSelector", "LabelSelector", "selectable_fields"]
