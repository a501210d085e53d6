"""What CEL rules may cost: estimated when a definition is written, bounded while an object is checked. Pure.

A real API server refuses a definition whose rules could be too dear for the largest object that its schema lets in, and
ends rules that are too dear for the object at hand: docs/reference/facts/cel-cost.md.
"""

from __future__ import annotations

from keyless.local.cluster.schema.costs.budget import too_dear
from keyless.local.cluster.schema.costs.places import places

__all__ = ["places", "too_dear"]
