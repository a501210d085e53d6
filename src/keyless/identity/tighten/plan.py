"""The smallest part of a policy that allows what was used. Pure.

What is left is made of what is there: an action that was used, on a resource pattern that was used, under the same
conditions. Patterns are not narrowed to the names that were seen, since tomorrow's object has another name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from keyless.api import Bug
from keyless.identity.tighten.model import ANYWHERE, Call, Tightened
from keyless.policy import Document, Named, Policies, Principal, Request, admits_all, evaluate, parse
from keyless.policy.amend import Written, difference, statements

_KEPT = {
    "Effect": "it is a Deny",
    "NotAction": "NotAction names what it does not allow",
    "NotResource": "NotResource names what it does not allow",
}
_THROUGH = "services use keys in the role's name, and no call of its own tells: say --keys to judge them, too"
# Of a resource whose ARN names no account (S3) and of one that nobody named.
_SOME_ACCOUNT = "000000000000"


def tighten(document: Written, calls: Iterable[Call], *, keys: bool = False) -> Tightened:
    """What is left of an identity policy. ``keys``: judge KMS by the record too, which lacks calls through services.

    Raises ``MalformedPolicy`` where the document is none.
    """
    # What needs no policy (sts:GetCallerIdentity) would show every statement as used.
    seen = sorted({(one.action, one.resource) for one in calls if not _needs_none(one.action, one.resource)})
    left: list[Written] = []
    unused, kept = [], []
    for index, one in enumerate(statements(document)):
        name = str(one.get("Sid") or f"statement {index}")
        if why := _why_kept(one, keys=keys):
            left.append(one)
            kept.append(f"{name}: {why}")
            continue
        parts, missed = _used(one, seen)
        left += parts
        unused += [f"{name}: {words}" for words in missed]
    after = {**document, "Statement": left}
    _prove(document, after, seen)
    return Tightened(after, tuple(unused), tuple(kept), difference(document, after))


def told_apart(documents: Iterable[Written], calls: Iterable[Call]) -> list[Call]:
    """Of the calls that these policies treat alike one: as many as patterns tell apart, however long the record is.

    :func:`tighten` says the same of each document by these as by all.
    """
    granted = [one for document in documents for one in statements(document) if not _why_kept(one, keys=True)]
    pairs = [(a, r) for one in granted for a in _listed(one.get("Action")) for r in _listed(one.get("Resource"))]
    patterns = [_read({"Effect": "Allow", "Action": a, "Resource": r}) for a, r in dict.fromkeys(pairs)]

    @lru_cache(maxsize=4096)  # the same few objects are read again and again
    def alike(action: str, resource: str) -> tuple[bool, ...]:
        return (_needs_none(action, resource), *(_allows(one, action, resource) for one in patterns))

    found: dict[tuple[str, str, bool, tuple[bool, ...]], Call] = {}
    for one in calls:
        key = (one.role, one.action, one.resource == ANYWHERE, alike(one.action, one.resource))
        found.setdefault(key, one)
    return list(found.values())


def _why_kept(one: Written, *, keys: bool) -> str:
    for element, why in _KEPT.items():
        if element in one and (element != "Effect" or one[element] != "Allow"):
            return why
    actions = _listed(one.get("Action"))
    if not keys and actions and all(action.lower().startswith("kms:") for action in actions):
        return _THROUGH
    return ""


def _used(one: Written, seen: Sequence[tuple[str, str]]) -> tuple[list[Written], list[str]]:
    """The parts of a statement that were used, those with the same resources together; and what was not."""
    resources, by_action, missed = _listed(one.get("Resource")), dict[str, tuple[str, ...]](), []
    for action in _listed(one.get("Action")):
        reached: dict[str, set[str]] = {}
        for resource in resources:
            only = _read({"Effect": "Allow", "Action": action, "Resource": resource})
            anywhere = _read({"Effect": "Allow", "Action": action, "Resource": "*"})
            for called, on in seen:
                if _allows(anywhere if on == ANYWHERE else only, called, on):
                    reached.setdefault(called, set()).add(resource)
        if not reached:
            missed.append(action)
        for called, through in reached.items():
            # A wildcard becomes the actions that were called; a name stays as its author spells it.
            word = called if "*" in action or "?" in action else action
            known = set(by_action.get(word, ())) | through
            by_action[word] = tuple(each for each in resources if each in known)
    through_any = {each for through in by_action.values() for each in through}
    missed += [each for each in resources if by_action and each not in through_any]
    return list(_grouped(one, by_action)), missed


def _grouped(one: Written, by_action: dict[str, tuple[str, ...]]) -> Iterator[Written]:
    by_resources: dict[tuple[str, ...], list[str]] = {}
    for action, through in by_action.items():
        by_resources.setdefault(through, []).append(action)
    for number, (through, actions) in enumerate(by_resources.items()):
        part: dict[str, Any] = {**one, "Action": actions, "Resource": list(through)}
        if number and "Sid" in one:
            part["Sid"] = f"{one['Sid']}{number + 1}"  # Sids are unique within a policy
        yield part


def _prove(before: Written, after: Written, seen: Sequence[tuple[str, str]]) -> None:
    """Nothing is allowed that was not, and all that was allowed and used still is; else it is a fault of ours."""
    if statements(after) and not admits_all(_read_whole(before), _read_whole(after)):
        raise Bug("the tightened policy allows what the policy did not")
    plain = {anywhere: [_bare(one, anywhere=anywhere) for one in (before, after)] for anywhere in (False, True)}
    for action, resource in seen:
        plain_before, plain_after = plain[resource == ANYWHERE]
        if _allows(plain_before, action, resource) and not _allows(plain_after, action, resource):
            raise Bug(f"the tightened policy refuses {action}, which was used")


def _bare(document: Written, *, anywhere: bool) -> Document | None:
    """Without conditions, whose values the record does not have; they stay in what is written."""
    without = {"Condition", "Resource", "NotResource"} if anywhere else {"Condition"}
    widened = {"Resource": "*"} if anywhere else {}
    listed = [{key: value for key, value in one.items() if key not in without} for one in statements(document)]
    allowing = [{**one, **widened} for one in listed if one.get("Effect") == "Allow"]
    return _read_whole({"Version": "2012-10-17", "Statement": allowing}) if allowing else None


def _read(statement: Written) -> Document:
    return _read_whole({"Version": "2012-10-17", "Statement": [statement]})


def _read_whole(document: Written) -> Document:
    return parse(dict(document), "identity")


def _needs_none(action: str, resource: str) -> bool:
    return evaluate(_asked(action, resource), Policies(identity=())).allowed


def _allows(document: Document | None, action: str, resource: str) -> bool:
    if document is None:
        return False
    asked = _asked(action, resource)
    trust = _trusting(asked.principal.account) if action.lower().startswith("sts:") else None
    return evaluate(asked, Policies(identity=(Named("policy", document),), resource=trust)).allowed


def _asked(action: str, resource: str) -> Request:
    # As of the resource's own account: across accounts its policy must allow, too, and what this one does is hidden.
    account = (resource.split(":", 5) + [""] * 5)[4] or _SOME_ACCOUNT
    return Request(action, resource, Principal("AssumedRole", account=account))


@lru_cache(maxsize=16)
def _trusting(account: str) -> Named:
    """A trust policy that leaves the answer to the caller's: without one no role is ever assumed."""
    statement = {"Effect": "Allow", "Action": "sts:*", "Principal": {"AWS": account}}
    return Named("trust", parse({"Version": "2012-10-17", "Statement": [statement]}, "trust"))


def _listed(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)] if value else []
