"""Rules may call mathematics and base64, which are loaded for them alone."""

from __future__ import annotations

import pytest

from keyless.local.cluster.schema.rules import Rule, compile_rule

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "s": {"type": "string"}}}


@pytest.mark.parametrize(
    "text",
    [
        "self.a > 1",
        "math.greatest(self.a, 1) > 2",
        "base64.decode(self.s) != b''",
        "self.s == 'math'",
        "self.s.size() < 9",
    ],
)
def test_a_rule_compiles(text: str) -> None:
    assert isinstance(compile_rule({"rule": text}, SCHEMA, "rules[0]"), Rule)
