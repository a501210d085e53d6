"""Status conditions as Kubernetes keeps them. Pure.

Rules: https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keyless.kube.resources import KubeObject


def set_condition(
    conditions: Sequence[KubeObject] | None,
    type: str,  # noqa: A002 - the field's name in the API
    status: bool | str,
    reason: str,
    message: str,
    *,
    now: datetime,
    observed_generation: int | None = None,
    pod: str = "",
) -> list[KubeObject]:
    """The conditions with one set; its transition time moves only when its status does.

    ``pod``: which pod says it, where one that comes after it would not vouch for it.
    """
    word = status if isinstance(status, str) else str(status)
    old = condition_of(conditions, type)
    same = old is not None and old.get("status") == word
    new: KubeObject = {
        "type": type,
        "status": word,
        "reason": reason,
        "message": message,
        "lastTransitionTime": old["lastTransitionTime"]
        if same and old and old.get("lastTransitionTime")
        else timestamp(now),
    }
    if observed_generation is not None:
        new["observedGeneration"] = observed_generation
    if pod:
        new["pod"] = pod
    if old is None:
        return [*(conditions or ()), new]
    return [new if condition is old else condition for condition in conditions or ()]


def condition_of(conditions: Sequence[KubeObject] | None, type: str) -> KubeObject | None:  # noqa: A002 - its name
    """The condition of that type, if there is one."""
    return next((condition for condition in conditions or () if condition.get("type") == type), None)


def is_true(obj: KubeObject, type: str) -> bool:  # noqa: A002 - its name in the API
    """Whether the object's status says that condition holds."""
    condition = condition_of((obj.get("status") or {}).get("conditions"), type)
    return condition is not None and condition.get("status") == "True"


def timestamp(now: datetime) -> str:
    """``now`` (aware, UTC) as Kubernetes writes times."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")
