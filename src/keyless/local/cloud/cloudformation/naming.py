"""The names that CloudFormation makes up: stack, logical id, and a part that nobody else has. Pure.

The unique part follows from the stack's id and the step, so a step that is tried again asks for the same name.
"""

from __future__ import annotations

import hashlib
import string

_LETTERS = string.ascii_letters + string.digits
_UNIQUE = 12


def physical_name(stack_id: str, logical_id: str, generation: int, longest: int) -> str:
    """``STACK-LOGICAL-xxxxxxxxxxxx`` within ``longest`` characters: the stack's name gives way first."""
    stack = stack_id.split("/")[1]
    unique = unique_text(f"{stack_id}/{logical_id}/{generation}")
    room = longest - _UNIQUE - 2
    logical = logical_id[: max(room // 2, room - len(stack))]
    return f"{stack[: room - len(logical)]}-{logical}-{unique}"


def unique_text(seed: str) -> str:
    """Twelve letters and digits that follow from ``seed``."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big")
    found = ""
    for _ in range(_UNIQUE):
        number, index = divmod(number, len(_LETTERS))
        found += _LETTERS[index]
    return found


def step_token(stack_id: str, logical_id: str, generation: int) -> str:
    """A request token of 64 characters for one step."""
    return hashlib.sha256(f"token/{stack_id}/{logical_id}/{generation}".encode()).hexdigest()
