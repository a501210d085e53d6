"""What ``keyless identity tighten`` reads: a role's inline policies, and the record or CloudTrail's files."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keyless.api import Arn, Permanent
from keyless.cli.installed import has_local
from keyless.cli.trails import events_in
from keyless.identity.tighten import Call, Span, Tightened, is_on_objects, of_record, of_trail, tighten, told_apart

if TYPE_CHECKING:
    from keyless.policy.amend import Written


_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}", re.ASCII)
"""What IAM takes for a role's name."""


def named(role: str) -> tuple[str, str]:
    """A role's name, and the account where its ARN was given; ``ValueError`` where it is neither."""
    wrong = ValueError(f"expected a role's name, or arn:aws:iam::<account>:role/<name>, found {role!r}")
    if not role.startswith("arn:"):
        name, account = role, ""
    else:
        try:
            arn = Arn.parse(role)
        except ValueError:
            raise wrong from None
        kind, _, path = arn.resource.partition("/")
        if (arn.service, kind) != ("iam", "role"):
            raise wrong
        name, account = path.rpartition("/")[2], arn.account
    if not _NAME.fullmatch(name):
        raise wrong
    return name, account


async def inline_policies(role: str, account: str = "") -> dict[str, Written]:
    """By name; those that are attached are shared with others, and not looked at.

    Raises ``Permanent`` where the caller is not of the account, since a role of that name may be in his own, too.
    """
    from keyless.aws import Session

    aws = Session.from_environment(os.environ)
    if account and (own := (await aws.call("sts", "GetCallerIdentity"))["Account"]) != account:
        raise Permanent(
            f"role {role}: expected credentials of account {account}, found some of {own}; use that account's"
        )
    names = (await aws.call("iam", "ListRolePolicies", RoleName=role))["PolicyNames"]
    read = {name: await aws.call("iam", "GetRolePolicy", RoleName=role, PolicyName=name) for name in names}
    return {name: one["PolicyDocument"] for name, one in read.items()}


def judged(
    role: str, policies: dict[str, Written], trails: list[Path], folder: Path, *, keys: bool
) -> tuple[Span, int, dict[str, Tightened]]:
    """How long was watched, how many calls the role made, and what is left of each policy."""
    tally = _Tally(role, set(), Counter())
    calls = told_apart(policies.values(), tally.counted(_events(trails, tally) if trails else _record(folder, tally)))
    return tally.span(), tally.own, {name: tighten(one, calls, keys=keys) for name, one in policies.items()}


@dataclass(slots=True)
class _Tally:
    """What is counted while a record goes by, which may be longer than memory."""

    role: str
    times: set[str]  # the first and the last
    skipped: Counter[str]
    objects: bool = False
    calls: int = 0
    own: int = 0

    def counted(self, found: Iterable[tuple[str, list[Call]]]) -> Iterator[Call]:
        for time, calls in found:
            self.calls += 1
            self.times = {min(self.times | {time}), max(self.times | {time})}
            for one in calls:
                if one.role == self.role:
                    self.own += 1
                    yield one

    def span(self) -> Span:
        first, last = (min(self.times), max(self.times)) if self.times else ("", "")
        return Span(first, last, self.calls, tuple(sorted(self.skipped.items())), self.objects)


def _record(folder: Path, tally: _Tally) -> Iterator[tuple[str, list[Call]]]:
    if not has_local():
        raise Permanent("there is no local Space here whose record could be read: name CloudTrail's files with --trail")
    from keyless.local.cloud.audit import read_audit
    from keyless.local.state.database import open_for_reading

    connection = open_for_reading(folder)
    if connection is None:
        raise Permanent(f"no local Space was ever started in {folder}: name CloudTrail's files with --trail")
    tally.objects = True  # the local record leaves no call out
    try:
        for line in read_audit(connection, limit=10_000_000):
            told = json.loads(line.text)
            yield str(told["time"]), list(of_record(told))
    finally:
        connection.close()


def _events(trails: list[Path], tally: _Tally) -> Iterator[tuple[str, list[Call]]]:
    for event in events_in(trails, tally.skipped):
        tally.objects |= is_on_objects(event)
        yield event["eventTime"], list(of_trail(event))
