"""The rules for tags of S3, and how ``x-amz-tagging`` writes them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from keyless.local.cloud.errors import AwsError

MOST_ON_OBJECTS, MOST_ON_BUCKETS = 10, 50
_LONGEST_KEY, _LONGEST_VALUE = 128, 256


def checked_tags(pairs: Sequence[tuple[str, str]], most: int) -> dict[str, str]:
    """The tags; raises BadRequest or InvalidTag."""
    if len(pairs) > most:
        kind = "Object" if most == MOST_ON_OBJECTS else "Bucket"  # the two texts that S3 has
        raise AwsError("BadRequest", f"{kind} tags cannot be greater than {most}", status=400)
    tags: dict[str, str] = {}
    for key, value in pairs:
        if key in tags:
            raise AwsError("InvalidTag", "Cannot provide multiple Tags with the same key", status=400)
        if not key or len(key) > _LONGEST_KEY or key.lower().startswith("aws:"):
            raise AwsError("InvalidTag", "The TagKey you have provided is invalid", status=400)
        if len(value) > _LONGEST_VALUE:
            raise AwsError("InvalidTag", "The TagValue you have provided is invalid", status=400)
        tags[key] = value
    return tags


def header_tags(text: str | None) -> dict[str, str]:
    """The tags that a write brings along, written as a query."""
    try:
        pairs = parse_qsl(text or "", keep_blank_values=True, strict_parsing=bool(text))
    except ValueError:
        text = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag"
        raise AwsError("InvalidArgument", f"{text} name duplicates.", status=400) from None
    return checked_tags(pairs, MOST_ON_OBJECTS)
