"""Subjects over roles whose trust policies have a quota. Pure.

A placed subject never moves: its sessions would lose their rights between two writes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping

from keyless.policy import size


def cost(subject: str) -> int:
    """Characters of a subject and its comma, as IAM counts them."""
    return size(json.dumps(subject)) + 1


def place(
    wanted: Iterable[str], placed: Mapping[str, str], rooms: Mapping[str, int], *, name: str, fresh: int
) -> dict[str, str]:
    """Give each wanted subject a role; those in ``placed`` keep theirs.

    ``rooms``: characters that each role there is has for subjects, those already placed taken off. Others go, in
    sorted order, to the first role with room, and else to a new one with ``fresh`` characters, numbered after ``name``.
    Raises ``ValueError`` where a subject fits no role at all.
    """
    left = {role: rooms[role] for role in sorted(rooms, key=lambda one: number(one, name))}
    found: dict[str, str] = {}
    for subject in sorted(set(wanted)):
        if subject in placed:
            found[subject] = placed[subject]
            continue
        need = cost(subject)
        role = next((one for one, room in left.items() if room >= need), "")
        if not role:
            if fresh < need:
                raise ValueError(f"{subject} needs {need} characters and a new trust policy has {fresh} left")
            role = _unused(name, left)
            left[role] = fresh
        left[role] -= need
        found[subject] = role
    return found


def number(role: str, name: str) -> int:
    """Which shard a role is: 1 for ``name`` itself, n for ``name-n``; 0 for a role that is none."""
    if role == name:
        return 1
    tail = role.removeprefix(f"{name}-")
    return int(tail) if role != tail and tail.isascii() and tail.isdigit() and tail[0] != "0" and tail != "1" else 0


def _unused(name: str, taken: Collection[str]) -> str:
    candidates = (name if n == 1 else f"{name}-{n}" for n in range(1, len(taken) + 2))
    return next(one for one in candidates if one not in taken)
