"""Controllers that are not the Space's own and work beside a control plane, such as Crossplane. Pure.

A ControlPlane names them. Each gets a service account inside, the ClusterRole that is named with it or none, and in
the host namespace a Secret that is mounted as a folder: its kubeconfig names the token's file beside it, which the
kubelet replaces and client-go reads anew each minute, so nothing restarts when the token is renewed.

Naming one gives no more than ``writeConnectionSecretToRef`` does to whoever may change a ControlPlane. Which ones there
are stands in the status before anything is made, so that what is not named any more is found whatever ended the
operator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from keyless.api import Reason
from keyless.api.words import counted
from keyless.kube import KubeObject
from keyless.kube.resources import CLUSTERROLEBINDINGS, SECRETS, SERVICEACCOUNTS
from keyless.space import components
from keyless.space.control_planes import tenant, tokens
from keyless.space.control_planes.model import (
    Facts,
    Finding,
    IssueToken,
    Plan,
    Remove,
    Served,
    SetControllers,
    Step,
)
from keyless.space.control_planes.writing import write
from keyless.space.items import CONTROL_PLANE_LABEL, Item, Key, is_ours, item
from keyless.space.place import Place

ANNOTATION = "keyless.dev/controllers"
"""On a ControlPlane: names, each with ``=CLUSTERROLE`` or without, separated by commas."""
LABEL = "keyless.dev/controller"
"""On all that is made for one, with its name: no other object of the same name is taken for it."""
FIELD = "controllers"
"""In the status: which ones have or may have something, with the name of the Secret."""
LIMIT = 16
"""Each is three reads at each look at its control plane."""
RESERVED = (*components.NAMES, tenant.OPERATOR, tenant.CONNECTION, "default")
"""Whose accounts and Secrets these names are already."""
RESERVED_PREFIXES = ("keyless", "spaces")
"""For what is still to come."""
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ROLE = re.compile(r"[A-Za-z0-9:._@+-]{1,253}")
"""Less than Kubernetes takes as the name of a ClusterRole: what needs no quoting where it is printed in a command."""
_SHOWN = 80
_NAMED = 5
"""Of entries that are wrong: a condition is sent to all who watch control planes."""
LOOK_SECONDS = 15.0
"""What somebody else has under a name that is needed, or holds back, is not watched."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One controller; ``role`` is a ClusterRole inside, empty: RBAC inside gives it its rights."""

    name: str
    role: str = ""

    def __str__(self) -> str:
        return f"{self.name}={self.role}" if self.role else self.name


def read(control_plane: KubeObject) -> tuple[tuple[Declared, ...], tuple[str, ...]]:
    """Whom a ControlPlane names, and what is wrong with the other entries."""
    text = (control_plane["metadata"].get("annotations") or {}).get(ANNOTATION) or ""
    found: dict[str, Declared] = {}
    wrong: dict[str, None] = {}
    for entry in (word for each in text.split(",") if (word := each.strip())):
        name, equals, role = entry.partition("=")
        one = Declared(name.strip(), role.strip())
        if why := _why_not(one, bool(equals), found):
            wrong[f"{entry[:_SHOWN]!r}: {why}"] = None
        else:
            found[one.name] = one
    return tuple(found.values()), tuple(wrong)


def _why_not(one: Declared, given: bool, found: Mapping[str, Declared]) -> str:
    if not _NAME.fullmatch(one.name):
        return "expected the name of a service account, of at most 63 of a-z, 0-9 and -"
    if one.name in RESERVED or one.name.startswith(RESERVED_PREFIXES):
        return (
            f"expected a name that is none of the Space's own ({', '.join(RESERVED)}, {'*, '.join(RESERVED_PREFIXES)}*)"
        )
    if given and (not _ROLE.fullmatch(one.role) or one.role in (".", "..")):
        return "expected the name of a ClusterRole inside after =, of letters, digits and :._@+-"
    if found.get(one.name, one) != one:
        return f"expected each name once, found {found[one.name]} before it"
    if one.name not in found and len(found) >= LIMIT:
        return f"expected at most {LIMIT} of them"
    return ""


def names(control_plane: KubeObject) -> tuple[str, ...]:
    """All whose objects must be looked at: who is named, and who was."""
    declared, _ = read(control_plane)
    return tuple(dict.fromkeys([*(each.name for each in declared), *_noted(control_plane)]))


def secret_key(name: str, place: Place) -> Key:
    """Where it finds its kubeconfig."""
    return components.kubeconfig_key(name, place)


def binding_key(name: str) -> Key:
    """What gives it the ClusterRole that is named with it."""
    return Key(CLUSTERROLEBINDINGS, tenant.controller_binding(name))


def inside_keys(name: str) -> tuple[Key, ...]:
    """Its objects inside, rights before the account that holds them."""
    return (binding_key(name), tenant.account_key(name))


def host_keys(control_plane: KubeObject, place: Place) -> tuple[Key, ...]:
    """The Secrets to look at."""
    return tuple(secret_key(name, place) for name in names(control_plane))


def left_on_host(facts: Facts, place: Place) -> tuple[Key, ...]:
    """The Secrets that are there and theirs."""
    keys = {name: secret_key(name, place) for name in names(facts.control_plane)}
    return tuple(key for name, key in keys.items() if _is_of(facts.host.get(key), name))


def operator_needs(facts: Facts) -> dict[str, str]:
    """By name the ClusterRole: for whom the operator of a brought API must hold rights, who is to go among them."""
    declared, _ = read(facts.control_plane)
    roles = {each.name: each.role for each in declared}
    return {name: roles.get(name, "") for name in sorted(names(facts.control_plane))}


def bring(facts: Facts, place: Place, served: Served, *, outgrown: bool = False) -> tuple[Plan, ...]:
    """Make what is named, renew its token, take away what is not named any more, and say what is not acted upon.

    One plan for each of them: what is refused or held back inside for one is no matter of the others.
    ``outgrown``: the operator's own rights inside are too few for what is new, which waits until they are widened.
    """
    declared, wrong = read(facts.control_plane)
    taken = {each.name: why for each in declared if (why := _taken(facts, place, each.name))}
    wanted = tuple(each for each in declared if each.name not in taken)
    told = Plan((), _refused(facts, wanted, (*wrong, *taken.values())), LOOK_SECONDS if taken else None)
    gone = [name for name in _known(facts) if name not in {each.name for each in wanted}]
    noted = _note(facts, place, wanted, gone)
    if noted is not None:
        return (replace(told, steps=(noted,)),)
    made = (_make(facts, place, served, each, outgrown=outgrown) for each in wanted)
    return (told, *made, *(_end(facts, name, tuple(_remove(facts, place, name))) for name in gone))


def _make(facts: Facts, place: Place, served: Served, one: Declared, *, outgrown: bool) -> Plan:
    rebound = _end(facts, one.name, (Remove(binding_key(one.name), "tenant"),) if _is_outdated(facts, one) else ())
    # The role of a binding cannot be changed: where one goes the next look makes it anew.
    binding = None if rebound.steps or rebound.findings else _binding(one)
    items = [] if outgrown else [_account(one), *([binding] if binding is not None else [])]
    written = write(facts, items, "tenant")
    issued = _issue(facts, place, served, one.name)
    waits = [each.again_seconds for each in (rebound, written, issued) if each.again_seconds is not None]
    return Plan(
        # The token first: it is renewed whatever a policy inside says to the others.
        (*issued.steps, *rebound.steps, *written.steps),
        (*rebound.findings, *written.findings),
        min(waits, default=None),
    )


def _end(facts: Facts, name: str, steps: tuple[Remove, ...]) -> Plan:
    """What is being deleted already is waited for: whoever has a finalizer on it takes his time."""
    held = [step for step in steps if _finalizers(facts, step)]
    if not held:
        return Plan(steps)
    each = held[0]
    where = f"{each.key}{' inside' if each.side == 'tenant' else ''}"
    message = f"{name!r}: {where} is being deleted and waits for its finalizers ({_finalizers(facts, each)})"
    told = Finding("Synced", False, Reason.CONTROLLER_REFUSED, f"annotation {ANNOTATION}: {message}")
    return Plan(tuple(step for step in steps if step not in held), (told,), LOOK_SECONDS)


def _finalizers(facts: Facts, step: Remove) -> str:
    live = (facts.host if step.side == "host" else facts.tenant or {}).get(step.key) or {"metadata": {}}
    return ", ".join(live["metadata"].get("finalizers") or ()) if live["metadata"].get("deletionTimestamp") else ""


def retire(facts: Facts, place: Place) -> Plan:
    """Take all of it away, for good."""
    return Plan(tuple(step for name in _known(facts) for step in _remove(facts, place, name)))


def told_while_paused(facts: Facts) -> str:
    """What a pause means to them; empty where there are none."""
    declared, _ = read(facts.control_plane)
    who = ", ".join(each.name for each in declared)
    return f"; {who} beside it: no API to reach, and a new token when it is resumed" if who else ""


def may_be(name: str) -> bool:
    """Whether a name can be one of theirs: what somebody inside labels as theirs may be ours."""
    return bool(_NAME.fullmatch(name)) and name not in RESERVED and not name.startswith(RESERVED_PREFIXES)


def _noted(control_plane: KubeObject) -> Iterator[str]:
    for each in (control_plane.get("status") or {}).get(FIELD) or ():
        if may_be(name := str(each.get("name", ""))):
            yield name


def _known(facts: Facts) -> tuple[str, ...]:
    """All for whom something may be there: also inside a control plane that began as a snapshot of another."""
    return tuple(dict.fromkeys([*names(facts.control_plane), *sorted(facts.controllers)]))


def _note(facts: Facts, place: Place, wanted: Iterable[Declared], gone: Iterable[str]) -> Step | None:
    """The status, where it does not name all for whom something is made, or still names some who have nothing."""
    before = tuple(_noted(facts.control_plane))
    there = [name for name in gone if name in before and any(_remove(facts, place, name))]
    after = sorted({*(each.name for each in wanted), *there})
    if after == sorted(before):
        return None
    return SetControllers(tuple({"name": name, "secret": secret_key(name, place).name} for name in after))


def _account(one: Declared) -> Item:
    return item(SERVICEACCOUNTS, one.name, tenant.SYSTEM_NAMESPACE, labels={LABEL: one.name})


def _binding(one: Declared) -> Item | None:
    if not one.role:
        return None
    return item(
        CLUSTERROLEBINDINGS,
        binding_key(one.name).name,
        labels={LABEL: one.name},
        roleRef={"apiGroup": tenant.RBAC, "kind": "ClusterRole", "name": one.role},
        subjects=[{"kind": "ServiceAccount", "name": one.name, "namespace": tenant.SYSTEM_NAMESPACE}],
    )


def _issue(facts: Facts, place: Place, served: Served, name: str) -> Plan:
    account = (facts.tenant or {}).get(tenant.account_key(name))
    if account is None or not _is_of(account, name):
        return Plan()  # its turn comes when it exists
    labels = {LABEL: name, CONTROL_PLANE_LABEL: place.control_plane_id}
    step = IssueToken(name, secret_key(name, place), kubeconfig="mounted", labels=labels)
    due = tokens.due_in_seconds(
        facts.host.get(step.secret), served, account["metadata"]["uid"], facts.now, kubeconfig=True
    )
    return Plan((step,)) if due <= 0 else Plan(again_seconds=due)


def _remove(facts: Facts, place: Place, name: str) -> Iterator[Remove]:
    """Rights first, then the account, and with it every token, then the Secret."""
    for key in inside_keys(name):
        if _is_of((facts.tenant or {}).get(key), name):
            yield Remove(key, "tenant")
    if _is_of(facts.host.get(secret_key(name, place)), name):
        yield Remove(secret_key(name, place))


def _is_outdated(facts: Facts, one: Declared) -> bool:
    """Whether it is bound to another role than is named, or to one where none is."""
    live = (facts.tenant or {}).get(binding_key(one.name))
    return live is not None and _is_of(live, one.name) and live["roleRef"]["name"] != one.role


def _is_of(live: KubeObject | None, name: str) -> bool:
    return live is not None and is_ours(live) and (live["metadata"].get("labels") or {}).get(LABEL) == name


def _taken(facts: Facts, place: Place, name: str) -> str:
    """What is somebody else's under a name that is needed."""
    lives = {secret_key(name, place): facts.host.get(secret_key(name, place))}
    lives |= {key: (facts.tenant or {}).get(key) for key in inside_keys(name)}
    for key, live in lives.items():
        if live is not None and not _is_of(live, name):
            where = "" if key.resource == SECRETS else " inside"
            return f"{name!r}: {key}{where} exists and was not made for it; delete that, or choose another name"
    return ""


def _refused(facts: Facts, wanted: Iterable[Declared], wrong: tuple[str, ...]) -> tuple[Finding, ...]:
    if not wrong:
        return ()
    metadata = facts.control_plane["metadata"]
    rest = ",".join(str(each) for each in wanted)
    set_to = f"{ANNOTATION}={rest}" if rest else f"{ANNOTATION}-"
    annotate = f"kubectl annotate controlplane {metadata['name']} -n {metadata['namespace']} --overwrite '{set_to}'"
    said = "; ".join(wrong[:_NAMED])
    if len(wrong) > _NAMED:
        said += f"; {counted(len(wrong) - _NAMED, 'more entry is', 'more entries are')} wrong"
    message = f"annotation {ANNOTATION}: {said}; the other names hold, and `{annotate}` keeps those alone"
    return (Finding("Synced", False, Reason.CONTROLLER_REFUSED, message),)
