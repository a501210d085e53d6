"""What manifests will ask of AWS, before they are applied: calls an hour, their price, and the exact rights. Pure.

The policy is proven on the policy engine: it allows every call that is made, and without any one of its statements one
of them is refused. Prices: docs/reference/facts/secrets.md
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from keyless.kube import KubeObject
from keyless.policy import Document, Named, Policies, Principal, Request, evaluate, parse
from keyless.shared_secrets.explaining_others import Call, Place, arn_of, pushes_of, tokens, writes
from keyless.shared_secrets.stores.model import PARAMETER_STORE, AwsProvider, SharedProvider, StoreFault, provider_of
from keyless.shared_secrets.sync.model import Find, Source, SpecFault, Wanted, wanted_of

__all__ = ["Call", "Explained", "Place", "explain", "is_proven", "policy_of"]
HOURS_A_MONTH = 730
DOLLARS_A_CALL = 0.05 / 10_000
"""Secrets Manager's; Parameter Store's standard throughput is free."""
STORES = ("SecretStore", "ClusterSecretStore", "SharedSecretStore")
READERS = ("ExternalSecret", "ClusterExternalSecret", "SharedExternalSecret")
BATCH = {"secretsmanager": ("secretsmanager:BatchGetSecretValue", 20), "ssm": ("ssm:GetParameters", 10)}
LIST = {"secretsmanager": "secretsmanager:ListSecrets", "ssm": "ssm:DescribeParameters"}


@dataclass(frozen=True, slots=True)
class Explained:
    """One store's part. ``finds`` says that values of names which nobody knows yet come on top."""

    store: str
    service: str
    calls: tuple[Call, ...]
    calls_an_hour: float
    batched_calls_an_hour: float
    policy: KubeObject
    broader: KubeObject | None
    finds: bool
    proven: bool
    notes: tuple[str, ...] = ()

    def document(self) -> KubeObject:
        """Return it for programs; policies are text as AWS takes them, for theirs are not our keys."""
        rate = DOLLARS_A_CALL if self.service == "secretsmanager" else 0.0
        priced = {
            "callsPerHour": self.calls_an_hour,
            "dollarsPerMonth": round(self.calls_an_hour * HOURS_A_MONTH * rate, 4),
        }
        made: KubeObject = {"store": self.store, "service": self.service, **priced}
        made |= {"policy": json.dumps(self.policy), "proven": self.proven, "readsWhatItFinds": self.finds}
        if self.broader:
            made["broader"] = {"statement": json.dumps(self.broader), "callsPerHour": self.batched_calls_an_hour}
        return made | ({"notes": list(self.notes)} if self.notes else {})


def explain(objects: Iterable[KubeObject], place: Place) -> list[Explained]:
    """Return what each store is asked for; raises ``SpecFault`` that names the object which cannot be read."""
    held = list(objects)
    stores = dict(_stores(held))
    wanted = list(_wanted(held))
    found = []
    pushes = list(pushes_of(held))
    for (kind, name), (store, provider) in stores.items():
        service = "ssm" if provider.service == PARAMETER_STORE else "secretsmanager"
        reads = (call for one in wanted for call in _calls(one, kind, name, provider, place))
        calls = _together([*reads, *(call for push in pushes for call in writes(push, store, provider, place))])
        if not calls:
            continue
        finds = any(call.action == LIST[service] for call in calls)
        alone = sum(_an_hour(call) for call in calls) * place.copies
        batched = _batched(calls, BATCH[service][1]) * place.copies
        policy = policy_of(calls)
        broader = _broader(calls, service) if batched < alone else None
        notes = _notes(provider, calls)
        shown = f"{kind} {name}"
        proven = is_proven(policy, calls)
        found.append(Explained(shown, service, calls, alone, batched, policy, broader, finds, proven, notes))
    return found + [_of_tokens(shown, calls, place) for shown, calls in tokens(held, wanted)]


def _of_tokens(shown: str, calls: tuple[Call, ...], place: Place) -> Explained:
    policy, often = policy_of(calls), sum(_an_hour(call) for call in calls) * place.copies
    note = "registry tokens are free, and last for twelve hours"
    return Explained(shown, "ecr", calls, often, often, policy, None, False, is_proven(policy, calls), (note,))


def _stores(objects: list[KubeObject]) -> Iterator[tuple[tuple[str, str], tuple[KubeObject, AwsProvider]]]:
    """Yield each store by what readers call it, as it is in a control plane."""
    for obj in objects:
        kind = str(obj.get("kind"))
        if kind not in STORES:
            continue
        spec = obj.get("spec") or {}
        try:
            provider = provider_of(spec)
        except StoreFault as fault:
            raise SpecFault(f"{kind} {_name(obj)}: {fault}") from None
        if isinstance(provider, SharedProvider):
            continue
        if kind == "SharedSecretStore":
            kind, name = "ClusterSecretStore", str(spec.get("secretStoreName") or _name(obj))
            metadata = {**(spec.get("secretStoreMetadata") or {}), "name": name}
            yield (kind, name), ({"kind": kind, "metadata": metadata}, provider)
        else:
            yield (kind, _name(obj)), (obj, provider)


def _wanted(objects: list[KubeObject]) -> Iterator[Wanted]:
    for obj in objects:
        kind = str(obj.get("kind"))
        if kind not in READERS:
            continue
        spec = obj.get("spec") or {}
        inner = spec if kind == "ExternalSecret" else spec.get("externalSecretSpec") or {}
        metadata = {"namespace": "default", **(obj.get("metadata") or {}), "name": _name(obj)}
        try:
            yield wanted_of({"metadata": metadata, "spec": inner})
        except SpecFault as fault:
            raise SpecFault(f"{kind} {_name(obj)}: {fault}") from None


def _name(obj: KubeObject) -> str:
    return str((obj.get("metadata") or {}).get("name") or "")


def _calls(wanted: Wanted, kind: str, name: str, provider: AwsProvider, place: Place) -> Iterator[Call]:
    parameters = provider.service == PARAMETER_STORE
    every = wanted.interval_seconds if wanted.policy == "Periodic" else 0.0
    searches: dict[Source, Find] = {item.source: item.find for item in wanted.extracts if item.find}
    for source in [item.source for item in wanted.extracts] + [item.source for item in wanted.data]:
        if (source.store.kind, source.store.name) != (kind, name):
            continue
        search = None if source.remote.key else searches.get(source)
        if search is not None:
            # Neither takes a resource: what a list shows is everybody's names.
            yield Call(LIST["ssm" if parameters else "secretsmanager"], "*", every)
            below = arn_of(provider, f"{provider.prefix}{search.search.path}*", place, whole=False)
            yield Call("ssm:GetParameter" if parameters else "secretsmanager:GetSecretValue", below, every)
            continue
        full = provider.prefix + source.remote.key
        metadata, version = source.remote.metadata, source.remote.version
        if parameters:
            action = "ssm:ListTagsForResource" if metadata else "ssm:GetParameter"
            yield Call(action, arn_of(provider, full, place), every, not metadata)
        else:
            action = "secretsmanager:DescribeSecret" if metadata else "secretsmanager:GetSecretValue"
            current = not metadata and version in {"", "AWSCURRENT"}
            yield Call(action, arn_of(provider, full, place), every, current)


def _together(calls: Iterable[Call]) -> tuple[Call, ...]:
    """Reads of one thing at one interval are one call: they come at the same moment and share what it brings."""
    known = {(call.action, call.resource, call.interval_seconds): call for call in calls}
    return tuple(sorted(known.values(), key=lambda call: (call.action, call.resource, call.interval_seconds)))


def _an_hour(call: Call) -> float:
    return 3600 / call.interval_seconds if call.interval_seconds > 0 else 0.0


def _batched(calls: tuple[Call, ...], most: int) -> float:
    alone = sum(_an_hour(call) for call in calls if not call.batches)
    together: dict[float, int] = {}
    for call in calls:
        if call.batches:
            together[call.interval_seconds] = together.get(call.interval_seconds, 0) + 1
    return alone + sum(ceil(n / most) * 3600 / every for every, n in together.items() if every > 0)


def policy_of(calls: Iterable[Call]) -> KubeObject:
    """Return the policy with a statement for each action, on exactly what it is called for."""
    by_action: dict[str, set[str]] = {}
    for call in calls:
        by_action.setdefault(call.action, set()).add(call.resource)
    by_action = {action: _widest(resources) for action, resources in by_action.items()}
    same: dict[tuple[str, ...], list[str]] = {}
    for action, resources in sorted(by_action.items()):
        same.setdefault(tuple(sorted(resources)), []).append(action)
    statements = [
        {"Effect": "Allow", "Action": actions, "Resource": list(resources)} for resources, actions in same.items()
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _widest(resources: set[str]) -> set[str]:
    """Leave out what a search's pattern holds anyway."""
    open_ended = [one.removesuffix("*") for one in resources if one.endswith("*") and one != "*"]
    return {one for one in resources if not any(one.startswith(lead) and one != f"{lead}*" for lead in open_ended)}


def is_proven(policy: Mapping[str, Any], calls: Iterable[Call]) -> bool:
    """Return whether the policy allows every call, and none of its statements, actions or resources is one too many."""
    held = list(calls)
    if not all(_allows(policy, call) for call in held):
        return False
    return all(any(not _allows(less, call) for call in held) for less in _smaller(policy))


def _smaller(policy: Mapping[str, Any]) -> Iterator[KubeObject]:
    statements = policy["Statement"]
    for at, statement in enumerate(statements):
        for part in ("Action", "Resource"):
            for one in statement[part]:
                left = [other for other in statement[part] if other != one]
                less = [{**statement, part: left}] if left else []
                yield {**policy, "Statement": [*statements[:at], *less, *statements[at + 1 :]]}


def _allows(policy: Mapping[str, Any], call: Call) -> bool:
    if not policy["Statement"]:
        return False
    document: Document = parse(dict(policy), "identity")
    # What AWS chose, and what a search finds, may be anything: one such name stands for all.
    resource = call.resource.replace("??????", "a1B2c3").replace("*", "found") if call.resource != "*" else "*"
    account = call.resource.split(":")[4] if call.resource != "*" else "111122223333"
    principal = Principal("AssumedRole", account, f"arn:aws:sts::{account}:assumed-role/reader/pod")
    request = Request(call.action, resource, principal, {})
    return evaluate(request, Policies(identity=(Named("reader", document),))).allowed


def _broader(calls: tuple[Call, ...], service: str) -> KubeObject:
    action = BATCH[service][0]
    resources = sorted({call.resource for call in calls if call.batches}) if service == "ssm" else ["*"]
    return {"Effect": "Allow", "Action": [action], "Resource": resources}


def _notes(provider: AwsProvider, calls: tuple[Call, ...]) -> tuple[str, ...]:
    notes = []
    if provider.role or provider.additional_roles:
        last = provider.role or provider.additional_roles[-1]
        tags = " and sts:TagSession" if provider.session_tags else ""
        notes.append(f"the policy belongs to {last}; whoever begins the chain needs sts:AssumeRole{tags} on its roles")
    if any(call.action in LIST.values() for call in calls):
        notes.append("a list shows the names of everything in the account and region; name keys where you can")
    if calls and all(call.interval_seconds <= 0 for call in calls):
        notes.append("nothing is read by the clock: a change of the object asks for it")
    return tuple(notes)
