"""What stands behind a resource, and bears on every call about it: its own policy, and the key that encrypts it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyless.policy import ContextValue, Source
from keyless.policy.amend import Written


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something that bears on an answer and could not be read: ``what`` and why."""

    what: str


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What the service asks KMS for in the caller's name: ``action`` on the key ``arn``, with these condition keys.

    ``grants``: the key's, as KMS lists them. ``written``: its policy as KMS has it, where a fix starts; ``None`` where
    it was not read, or where AWS manages the key and nobody may change it. ``state`` is KMS's KeyState.
    """

    action: str
    arn: str
    context: Mapping[str, ContextValue]
    policy: Source
    grants: tuple[Mapping[str, Any], ...] | Unseen = ()
    written: Written | None = None
    state: str = "Enabled"


@dataclass(frozen=True, slots=True)
class Reached:
    """What stands behind a declared ARN pattern: one resource of it, the resource's policy, and its key by action.

    ``deleted``: when the secret goes for good, where somebody scheduled that; until then it is not read.
    """

    resource: str
    policy: Source | None = None
    keys: Mapping[str, KeyUse | Unseen] = field(default_factory=dict)
    deleted: str = ""


def uses_of(reached: Mapping[str, Reached]) -> Iterator[KeyUse | Unseen]:
    """Each question to a key once: many secrets have one key."""
    seen: set[tuple[str, str]] = set()
    for one in reached.values():
        for use in one.keys.values():
            asked = (use.action, use.arn) if isinstance(use, KeyUse) else ("", use.what)
            if asked not in seen:
                seen.add(asked)
                yield use
