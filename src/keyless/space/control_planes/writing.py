"""Which of the wanted objects are written now, and what is said of those that do not stay as they are written. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from keyless.api import Reason
from keyless.api.words import counted
from keyless.space.control_planes.model import Apply, Facts, Finding, Plan, Side
from keyless.space.items import Item, Key
from keyless.space.settling import FORGOTTEN_AFTER, NAMED_FIELDS, Applied, due_in_seconds, is_contested


def write(facts: Facts, items: Iterable[Item], side: Side = "host") -> Plan:
    """Apply what is due, in order; what someone else undoes each time waits longer and longer, and is told."""
    steps: list[Apply] = []
    told: list[Finding] = []
    waits: list[float] = []
    lives = facts.host if side == "host" else facts.tenant or {}
    for each in items:
        known = facts.applied.get((side, each.key))
        due = due_in_seconds(each, lives.get(each.key), known, facts.now)
        if due is not None and due <= 0:
            steps.append(Apply(each, side))
        elif due is not None:
            waits.append(due)
        if known is not None and is_contested(known, facts.now):
            told.append(Finding("Synced", False, Reason.NOT_SETTLED, contested(each.key, known, side)))
            # Once it has been quiet for long enough, the condition goes.
            waits.append((known.at + FORGOTTEN_AFTER - facts.now).total_seconds() + 1)
    return Plan(tuple(steps), tuple(told), min(waits, default=None))


def contested(key: Key, known: Applied, side: Side) -> str:
    """In a user's words: which object, which fields, how often, and who else it may be."""
    fields = ", ".join(known.fields[:NAMED_FIELDS]) + (" and more" if len(known.fields) > NAMED_FIELDS else "")
    place = f" -n {key.namespace}" if key.namespace else ""
    where = " inside the control plane" if side == "tenant" else ""
    return (
        f"{key}{where} does not stay as the operator writes it: {fields} was changed back "
        f"{counted(known.corrections, 'time')}; "
        f"another controller or an admission webhook writes it too, and "
        f"`kubectl get {key.resource.plural} {key.name}{place} -o yaml --show-managed-fields` shows who"
    )
