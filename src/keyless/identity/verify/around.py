"""What stands around a component's pods: the webhook that gives them their identity, the agents on the nodes. Values.

Seen or not: what nobody may list judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Registration:
    """A webhook that gives pods their identity, as the API server has it registered.

    ``index`` is its place in its configuration; ``created`` when that came, as the API server writes times. ``flags``
    are its process's arguments, ``None`` where they are out of sight, as on EKS; ``ready`` the ready pods behind its
    Service, ``None`` where it is registered by URL.
    """

    configuration: str
    index: int = 0
    fails_open: bool = True
    created: str = ""
    namespace_selector: Mapping[str, Any] | None = None
    flags: tuple[str, ...] | None = None
    ready: int | None = None
    service: str = ""


@dataclass(frozen=True, slots=True)
class Around:
    """``webhook`` is ``None`` where there is none, if ``seen``; ``labels`` are the host namespace's.

    ``annotated``: when the service account was last given what it carries. ``agents``: nodes with a pod of the agent,
    and whether it is ready; ``None`` where pods cannot be listed. ``kinds``: nodes of the component's pods, with the
    compute type that EKS labels them with (``auto``: the agent is in the node itself).
    """

    seen: bool = False
    webhook: Registration | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotated: str = ""
    agents: Mapping[str, bool] | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
