"""Events as a collector writes them, read without making objects of them: each is cut in two, before its times.

What stands before the times says whose count it is and recurs every hour, so it is read once; the rest is three fields
of a narrow form. Both parts are cut where JSON is between two members of an event: a text whose parts are all of that
form is one array of such events. Anything else is not read here and says nothing about the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_CUT = b'},{"kind":'
_OPEN = b'[{"kind":'
_TIMES = b',"timestamp":'
# Good times and a count, to read a head with.
FIXED_TAIL = b',"timestamp":"2006-01-02T15:04:05Z","timestamp_end":"2006-01-02T15:04:05Z","value":0}'
# RFC 3339 in UTC to the second or finer; a whole number far below 2^53, as Go or Python writes a double.
_TIME = rb'"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?Z"'
_TAIL = re.compile(_TIME + rb',"timestamp_end":' + _TIME + rb',"value":(0|[1-9]\d{0,14})(?:\.0)?')
# A head has 300 bytes, so 16 MiB are kept at most; what is beyond is read in the ordinary way.
_HEADS = 16 * 2**10
_HEAD_BYTES = 2**10

Key = tuple[str, str, str, str]
_heads: dict[bytes, Key] = {}


def usual_counts_untrusted(text: bytes, head_untrusted: Callable[[bytes], Key | None]) -> dict[Key, int] | None:
    """The largest value of each key in ``text``, or None where it has not the usual form throughout.

    ``head_untrusted`` reads an event up to its times; None for one that is not of the contract's form.
    """
    if not text.startswith(_OPEN) or not text.endswith(b"}]"):
        return None
    largest: dict[Key, int] = {}
    whole = _TAIL.fullmatch
    for event in text[len(_OPEN) : -2].split(_CUT):
        head, _, tail = event.partition(_TIMES)
        key = _heads.get(head)
        if key is None:
            if len(_heads) >= _HEADS or len(head) > _HEAD_BYTES:
                return None
            if (key := head_untrusted(b'{"kind":' + head)) is None:
                return None
            _heads[head] = key
        found = whole(tail)
        if found is None:
            return None
        value = int(found[1])
        if value > largest.get(key, -1):
            largest[key] = value
    return largest
