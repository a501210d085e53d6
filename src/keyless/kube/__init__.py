"""The level-based controller runtime: requests, list and watch, informer, keyed queue.

::

    async with connect(os.environ) as kube:
        pod = await kube.get(PODS, "web-0", "default")

    informer = Informer(kube, PODS, labels={"app": "web"})
    controller = Controller("web", reconcile)          # async def reconcile(key: Name) -> float | None
    informer.on_change(lambda event: controller.enqueue(name_of(event.object)))

Names of resources live in ``keyless.kube.resources``; ``keyless.kube.memory`` is a whole API server for tests.
"""

from keyless.kube.backoff import Backoff
from keyless.kube.conditions import condition_of, is_true, set_condition, timestamp
from keyless.kube.connect import (
    connect,
    connect_certified,
    connect_context,
    connect_elsewhere,
    connect_folder,
    connect_with,
)
from keyless.kube.contact import keep_in_touch
from keyless.kube.controller import Controller
from keyless.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    Rejected,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from keyless.kube.events import record
from keyless.kube.fenced import NotHeld
from keyless.kube.informer import Informer
from keyless.kube.kube import Kube
from keyless.kube.model import Event, Name, Page, TokenStatus, name_of
from keyless.kube.queue import Queue
from keyless.kube.resources import KubeObject, Resource

__all__ = [
    "AlreadyExists",
    "ApiError",
    "Backoff",
    "Conflict",
    "Controller",
    "Event",
    "Expired",
    "Forbidden",
    "Informer",
    "Invalid",
    "Kube",
    "KubeObject",
    "Name",
    "NotFound",
    "NotHeld",
    "Page",
    "Queue",
    "Rejected",
    "Resource",
    "TokenStatus",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "condition_of",
    "connect",
    "connect_certified",
    "connect_context",
    "connect_elsewhere",
    "connect_folder",
    "connect_with",
    "is_true",
    "keep_in_touch",
    "name_of",
    "record",
    "set_condition",
    "timestamp",
]
