"""What admission is told about a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from keyless.local.cluster.objects import Target
from keyless.local.cluster.users import User

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


@dataclass(frozen=True, slots=True)
class Attributes:
    """The operation, on what, by whom; ``options`` is the options object that webhooks are shown."""

    operation: Operation
    target: Target
    user: User
    dry_run: bool
    options: dict[str, Any]
