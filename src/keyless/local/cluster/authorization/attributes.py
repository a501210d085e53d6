"""The question that authorisation answers, and how Kubernetes words a refusal. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from keyless.local.cluster.routing import Route
from keyless.local.cluster.users import User


@dataclass(frozen=True, slots=True)
class Asked:
    """A verb on a resource, or on a path when ``resource`` is empty."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @classmethod
    def of(cls, route: Route) -> Asked:
        """What a request asks."""
        if not route.is_resource:
            return cls(route.verb, path=route.path)
        return cls(route.verb, route.group, route.resource, route.subresource, route.namespace, route.name)

    @property
    def full_resource(self) -> str:
        """``pods/log``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def refusal(user: User, asked: Asked) -> str:
    """Why the user may not, in Kubernetes' words (without the part before "is forbidden")."""
    if not asked.resource:
        return f'User "{user.name}" cannot {asked.verb} path "{asked.path}"'
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    return (
        f'User "{user.name}" cannot {asked.verb} resource "{asked.full_resource}" in API group "{asked.group}" {where}'
    )
