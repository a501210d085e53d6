"""What the loop over control planes needs from outside, as the smallest types that say it."""

from __future__ import annotations

from collections.abc import Callable

from keyless.api import Refusal
from keyless.kube import Kube
from keyless.space.control_planes.model import Served
from keyless.space.values import Values

Door = Callable[[Served], Kube]
"""Opens a connection, as admin, to an API that is served."""

ReadValues = Callable[[], Values | Refusal]
"""The chart's values as they are now."""

ValuesFor = Callable[[Values, str], Values]
"""The values as they count for one host namespace: some roles are managed."""
