"""What may reach the components' pods, and what they may reach: a NetworkPolicy in each host namespace. Pure.

The chart makes the operator's own; host namespaces are made by the operator, so theirs is its work. Pods of an API
server in the namespace have a policy of their own, which this one does not select.
"""

from __future__ import annotations

from keyless.kube.resources import NETWORKPOLICIES
from keyless.space import components
from keyless.space.control_planes.model import Facts, Plan, Remove
from keyless.space.control_planes.writing import write
from keyless.space.items import CONTROL_PLANE_LABEL, Item, Key, is_ours, item
from keyless.space.kubernetes.names import RESTORE
from keyless.space.place import Place
from keyless.space.values import Values

NAME = "spaces-components"


def target(place: Place) -> Key:
    """Where it is, if there is one."""
    return Key(NETWORKPOLICIES, NAME, place.host_namespace)


def existing(facts: Facts, place: Place) -> tuple[Key, ...]:
    """The policy, where it is there and ours."""
    live = facts.host.get(target(place))
    return (target(place),) if live is not None and is_ours(live) else ()


def bring(facts: Facts, place: Place) -> Plan:
    """Write it where the values ask for it, else take it away; somebody else's of that name stays as it is."""
    if not isinstance(facts.values, Values):
        return Plan()
    found = existing(facts, place)
    if not facts.values.network.enabled:
        return Plan(tuple(Remove(key) for key in found))
    if target(place) in facts.host and not found:
        return Plan()
    return write(facts, [policy(facts.values, place)])


def policy(values: Values, place: Place) -> Item:
    """Metrics come in, from whom the values name; all goes out, unless they say what."""
    around, asked = values.surroundings, values.network
    metrics = {"ports": [{"port": "http", "protocol": "TCP"}], **({"from": list(asked.peers)} if asked.peers else {})}
    chosen = {"key": "app.kubernetes.io/name", "operator": "In", "values": [*components.NAMES, RESTORE]}
    return item(
        NETWORKPOLICIES,
        NAME,
        place.host_namespace,
        labels={**around.labels, CONTROL_PLANE_LABEL: place.control_plane_id},
        annotations=dict(around.annotations),
        spec={
            "podSelector": {"matchExpressions": [chosen]},
            "policyTypes": ["Ingress", "Egress"],
            # The kubelet's probes come from the node and are never held back.
            "ingress": [metrics],
            "egress": list(asked.egress) or [{}],
        },
    )
