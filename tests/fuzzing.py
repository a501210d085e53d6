"""How hard hypothesis tries: quick by default, deeper with ``KEYLESS_FUZZ=100`` (a hundred times the examples)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings


def effort(examples: int, *, steps: int = 50) -> settings:
    """Settings for one property; no deadline, because the machine may be busy: time is asserted where it matters."""
    times = int(os.environ.get("KEYLESS_FUZZ", "1"))
    return settings(
        max_examples=examples * times,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
