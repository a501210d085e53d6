"""Tag, untag and list tags: the same three operations for everything of IAM that has tags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import checks, shapes
from keyless.local.cloud.iam.model import InstanceProfile, ManagedPolicy, OidcProvider, Role, User
from keyless.local.cloud.service import Operation, TargetOf

T = TypeVar("T", Role, User, ManagedPolicy, OidcProvider, InstanceProfile)


class Tagging(Generic[T]):
    """``kind`` as the operations' names spell it; ``find`` and ``save`` one object of that kind."""

    def __init__(self, kind: str, *, find: Callable[[Call], T], save: Callable[[T], None], target: TargetOf) -> None:
        self._kind = kind
        self._find: Callable[[Call], T] = find
        self._save: Callable[[T], None] = save
        self._target = target

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation(f"Tag{self._kind}", self._tag, self._target),
            Operation(f"Untag{self._kind}", self._untag, self._target),
            Operation(f"List{self._kind}Tags", self._list, self._target),
        )

    def _tag(self, call: Call) -> None:
        if not call.params["Tags"]:
            # The code was seen live, the words were not.
            raise AwsError("InvalidInput", "Tags cannot be empty.", status=400)
        found = self._find(call)
        self._save(replace(found, tags=checks.tags(call.params["Tags"], found.tags)))

    def _untag(self, call: Call) -> None:
        found, removed = self._find(call), {key.lower() for key in call.params["TagKeys"]}
        self._save(replace(found, tags={key: value for key, value in found.tags.items() if key.lower() not in removed}))

    def _list(self, call: Call) -> dict[str, Any]:
        return shapes.page(call, "Tags", checks.as_tags(self._find(call).tags))
