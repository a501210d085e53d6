"""Values as Go prints them (``%#v``): the API server puts some into its messages, and users search for these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def text(value: str) -> str:
    """A quoted string."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def string_map(found: Mapping[str, str] | None) -> str:
    """``map[string]string{"a":"b"}``."""
    if found is None:
        return "map[string]string(nil)"
    return "map[string]string{" + ", ".join(f"{text(key)}:{text(found[key])}" for key in sorted(found)) + "}"


def string_list(found: Sequence[str] | None) -> str:
    """``[]string{"a"}``."""
    return "[]string(nil)" if found is None else "[]string{" + ", ".join(text(item) for item in found) + "}"


def label_selector(found: Mapping[str, Any]) -> str:
    """``v1.LabelSelector{…}``."""
    expressions = found.get("matchExpressions")
    shown = "[]v1.LabelSelectorRequirement(nil)"
    if expressions is not None:
        items = [
            f"v1.LabelSelectorRequirement{{Key:{text(item.get('key', ''))}, Operator:{text(item.get('operator', ''))}, "
            f"Values:{string_list(item.get('values'))}}}"
            for item in expressions
        ]
        shown = "[]v1.LabelSelectorRequirement{" + ", ".join(items) + "}"
    return f"v1.LabelSelector{{MatchLabels:{string_map(found.get('matchLabels'))}, MatchExpressions:{shown}}}"


def int_or_string(value: Any) -> str:
    """``intstr.IntOrString{…}``."""
    number, word = (value, "") if isinstance(value, int) else (0, value)
    return f"intstr.IntOrString{{Type:{int(isinstance(value, str))}, IntVal:{number}, StrVal:{text(word)}}}"
