"""The agent's link (Pod Identity): the addon is there, and a ready pod of it on each node of the component. Pure."""

from __future__ import annotations

from dataclasses import replace

from keyless.api import Reason
from keyless.identity.verify.model import AGENT_ADDON, Facts, Link, State, Unread

_BUILT_IN = "auto"
"""EKS Auto Mode's nodes have the agent in themselves, and no pod of it."""


def agent_runs(facts: Facts) -> Link | None:
    """The Pod Identity agent's addon is there and active, and reaches the component's pods."""
    if not facts.by_association:
        return None
    expected = f"addon {AGENT_ADDON} is ACTIVE"
    nodes = _nodes(facts)
    if facts.agent is None and nodes and all((facts.around.agents or {}).get(node) for node in nodes):
        # A chart of somebody's own, ours among them, brings the same agent without an addon.
        return Link("agent", State.HELD, expected, f"no addon; a ready pod of {AGENT_ADDON} on {', '.join(nodes)}")
    if isinstance(facts.agent, Unread):
        return Link("agent", State.UNKNOWN, expected, f"addon {facts.agent.why}")
    if facts.agent == "ACTIVE":
        return _absent(facts, nodes) or Link("agent", State.HELD, expected, "ACTIVE")
    return _addon(facts, expected)


def _addon(facts: Facts, expected: str) -> Link:
    found = facts.agent if isinstance(facts.agent, str) else "no such addon"
    link = Link("agent", State.BROKEN, expected, found, Reason.AGENT_MISSING)
    named = f"--cluster-name {facts.eks_name} --addon-name {AGENT_ADDON}"
    if facts.agent is None:
        return replace(link, fix=f"aws eks create-addon {named} && aws eks wait addon-active {named}")
    if facts.agent in ("CREATING", "UPDATING"):
        return replace(link, fix=f"aws eks wait addon-active {named}")
    return replace(link, advice=f"aws eks describe-addon {named} says in health.issues what keeps it from running")


def _nodes(facts: Facts) -> list[str]:
    """The nodes of the component's pods that should have a pod of the agent."""
    nodes = dict.fromkeys(pod.node for pod in facts.pods if pod.node)
    return [node for node in nodes if facts.around.kinds.get(node) != _BUILT_IN]


def _absent(facts: Facts, nodes: list[str]) -> Link | None:
    """The addon is active with nodes left out by taints, affinity or their kind: pods there are given nothing."""
    agents = facts.around.agents
    if not agents:
        return None  # not seen, or all nodes have it built in
    without = next((node for node in nodes if not agents.get(node)), None)
    if without is None:
        return None
    expected = f"a ready pod of {AGENT_ADDON} on each node of the component"
    named = ", ".join(pod.name for pod in facts.pods if pod.node == without)
    found = f"{'not ready' if without in agents else 'none'} on {without}, where {named} runs"
    if facts.around.kinds.get(without) == "fargate":
        advice = "Fargate has no agent: name the role by the service account's annotation (IRSA) instead"
    else:
        where = f"kubectl describe node {without}"
        advice = f"{where} shows its taints, labels and pods; the addon's configuration says which nodes it goes to"
    return Link("agent", State.BROKEN, expected, found, Reason.AGENT_NOT_ON_NODE, advice=advice)
