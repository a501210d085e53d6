"""Subjects into trust policies under IAM's quota: 2048 characters, or 8192 where it was raised.

White space is free, so the text is readable and its size is counted as IAM counts (facts/identity.md#quotas). A subject
that was placed never moves: a role's session would lose its rights between two writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from keyless.api.words import counted

DEFAULT_QUOTA = 2048
LARGEST_QUOTA = 8192
_AUDIENCE = "sts.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Shard:
    """The subjects of one role, the trust policy's text for them, and its size as AWS counts it."""

    subjects: tuple[str, ...]
    document: str
    size: int


def size(text: str) -> int:
    """Characters as IAM counts them: white space is free."""
    return sum(1 for character in text if not character.isspace())


def web_identity_trust(provider_arn: str, *, subjects: Sequence[str], audience: str = _AUDIENCE) -> str:
    """The trust policy that admits exactly ``subjects`` (StringLike where one holds a wildcard)."""
    host = provider_arn.partition(":oidc-provider/")[2]
    wild = any("*" in subject or "?" in subject for subject in subjects)
    wanted: str | list[str] = subjects[0] if len(subjects) == 1 else list(subjects)
    equals: dict[str, object] = {f"{host}:aud": audience}
    condition: dict[str, object] = {"StringEquals": equals}
    if wild:
        condition["StringLike"] = {f"{host}:sub": wanted}
    else:
        equals[f"{host}:sub"] = wanted
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider_arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=1)


def pack(
    subjects: Iterable[str],
    provider_arn: str,
    *,
    quota: int = DEFAULT_QUOTA,
    placed: Mapping[str, int] | None = None,
) -> tuple[Shard, ...]:
    """Shard ``subjects`` over trust policies of at most ``quota``; a subject in ``placed`` keeps its shard.

    Others go, in sorted order, to the first shard with room. A shard may be left empty by deletions: its document then
    is the empty text, since IAM has no policy that admits nobody; the caller keeps or deletes that role. Raises
    ``ValueError`` when one subject alone exceeds the quota, or when placed subjects do.
    """
    wanted = sorted(set(subjects))
    fixed = {subject: place for subject, place in (placed or {}).items() if subject in set(wanted)}
    empty = size(web_identity_trust(provider_arn, subjects=[""])) - _listed("")
    filling = _Filling(provider_arn, quota, empty, [_Shelf() for _ in range(max(fixed.values(), default=-1) + 1)])
    for subject, place in sorted(fixed.items()):
        filling.shelves[place].put(subject)
    for subject in wanted:
        if subject not in fixed:
            filling.add(subject)
    for shelf in filling.shelves:
        if shelf.subjects and not filling.fits(shelf.subjects):
            found = f"{counted(len(shelf.subjects), 'subject')} starting with {shelf.subjects[0]!r}"
            raise ValueError(f"{found} do not fit {quota} characters")
    return tuple(_shard(shelf.subjects, provider_arn) for shelf in filling.shelves)


@dataclass(slots=True)
class _Shelf:
    """A shard that is being filled; ``listed``: what its subjects cost in a list."""

    subjects: list[str] = field(default_factory=list)
    listed: int = 0

    def put(self, subject: str) -> None:
        self.subjects.append(subject)
        self.listed += _listed(subject)


@dataclass(slots=True)
class _Filling:
    """Shards so far. A document is written to be measured only where the sum of its parts leaves room.

    ``empty``: the characters of a document beside its subjects.
    """

    provider_arn: str
    quota: int
    empty: int
    shelves: list[_Shelf]

    def add(self, subject: str) -> None:
        """Put a subject into the first shard with room, or into a new one."""
        room = self.quota - self.empty - _listed(subject)
        for shelf in self.shelves:
            if shelf.listed <= room and self.fits([*shelf.subjects, subject]):
                break
        else:
            shelf = _Shelf()
            self.shelves.append(shelf)
        shelf.put(subject)

    def fits(self, subjects: Sequence[str]) -> bool:
        """Whether one trust policy holds them."""
        return size(web_identity_trust(self.provider_arn, subjects=subjects)) <= self.quota


def _listed(subject: str) -> int:
    """Characters of a subject and its comma."""
    return size(json.dumps(subject)) + 1


def _shard(subjects: Sequence[str], provider_arn: str) -> Shard:
    document = web_identity_trust(provider_arn, subjects=subjects) if subjects else ""
    return Shard(tuple(subjects), document, size(document))
