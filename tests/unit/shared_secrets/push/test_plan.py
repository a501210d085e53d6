"""What is written to a provider, decided without one."""

from __future__ import annotations

import pytest

from keyless.shared_secrets.push.plan import PushFault, Remote, without

NO_OBJECTS = {
    "nothing": None,
    "empty": b"",
    "a text": b"plain",
    "a list": b"[]",
    "lists without end": b"[" * 100_000,
    "objects without end": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("value", NO_OBJECTS.values(), ids=NO_OBJECTS)
def test_a_property_is_taken_from_no_value_that_is_no_object(value: bytes | None) -> None:
    with pytest.raises(PushFault, match="holds no JSON object"):
        without("k", ["a"], Remote(value, managed=True))
