"""What the tags of a session may be. Pure. (Those that come as parameters are held to the model before.)

Spec: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

MOST_TAGS = 50
_LONGEST_KEY, _LONGEST_VALUE = 128, 256
_PUNCTUATION = frozenset("_.:/=+-@")


def fault(tags: Mapping[str, str]) -> str:
    """What no session tags may be, of all that AWS documents; empty when they may."""
    if len(tags) > MOST_TAGS:
        return f"{len(tags)} tags, and a session has at most {MOST_TAGS}"
    if len({key.lower() for key in tags}) < len(tags):
        return "Duplicate tag keys found. Please note that Tag keys are case insensitive."
    for key, value in tags.items():
        if not 0 < len(key) <= _LONGEST_KEY or not _written_with_allowed_characters(key):
            return f"the tag key {key[:_LONGEST_KEY]!r} is none"
        if key.lower().startswith("aws:"):
            return "Tag keys must not start with aws:"
        if len(value) > _LONGEST_VALUE or not _written_with_allowed_characters(value):
            return f"the value of the tag {key!r} is none"
    return ""


def _written_with_allowed_characters(text: str) -> bool:
    """Letters, separators and numbers of any script, and some punctuation: ``[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*``."""
    return all(character in _PUNCTUATION or unicodedata.category(character)[0] in "LZN" for character in text)
