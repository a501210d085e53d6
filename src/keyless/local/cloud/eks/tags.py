"""TagResource, UntagResource and ListTagsForResource over everything of EKS that has tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.service import Operation

MOST_TAGS = 50


class Tagged(Protocol):
    """A kind of resource that has tags."""

    def tags_of(self, arn: str) -> dict[str, str] | None:
        """The tags of the resource ``arn``; None when it is not one of this kind or does not exist."""
        ...

    def set_tags_of(self, arn: str, tags: dict[str, str]) -> None:
        """Write them."""
        ...


@dataclass(frozen=True, slots=True)
class Tags:
    """The operations, over several kinds."""

    kinds: tuple[Tagged, ...]

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("TagResource", self._tag, self._target),
            Operation("UntagResource", self._untag, self._target),
            Operation("ListTagsForResource", self._list, self._target),
        )

    def _target(self, call: Call) -> Target:
        found = self._found(call.params["resourceArn"])
        keys = {**resource_tag_keys(found[1] if found else {}), **tag_keys(dict(call.params.get("tags") or {}))}
        if removed := call.params.get("tagKeys"):
            keys["aws:TagKeys"] = tuple(removed)
        return Target(call.params["resourceArn"], keys=keys)

    def _found(self, arn: str) -> tuple[Tagged, dict[str, str]] | None:
        for kind in self.kinds:
            if (tags := kind.tags_of(arn)) is not None:
                return kind, tags
        return None

    def _find(self, arn: str) -> tuple[Tagged, dict[str, str]]:
        found = self._found(arn)
        if found is None:
            raise AwsError("NotFoundException", f"Resource not found for ARN: {arn}", status=404)
        return found

    def _tag(self, call: Call) -> None:
        kind, tags = self._find(call.params["resourceArn"])
        kind.set_tags_of(call.params["resourceArn"], checked({**tags, **call.params["tags"]}))

    def _untag(self, call: Call) -> None:
        kind, tags = self._find(call.params["resourceArn"])
        kept = {key: value for key, value in tags.items() if key not in call.params["tagKeys"]}
        kind.set_tags_of(call.params["resourceArn"], kept)

    def _list(self, call: Call) -> dict[str, Any]:
        return {"tags": self._find(call.params["resourceArn"])[1]}


def checked(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags, unless they are too many or use AWS's prefix."""
    if len(tags) > MOST_TAGS:
        raise AwsError("BadRequestException", f"A resource can have at most {MOST_TAGS} tags", status=400)
    if any(key.lower().startswith("aws:") for key in tags):
        raise AwsError("BadRequestException", "Tag keys must not start with aws:", status=400)
    return dict(tags)
