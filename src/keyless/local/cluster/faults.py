"""What the codecs say about input they cannot take: one exception, and field errors as values.

Texts and reasons follow k8s.io/apimachinery ``pkg/util/validation/field``. The makers below put the value into the
text: never hand them one that may be secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from keyless.api import Permanent

Object = dict[str, Any]
"""A Kubernetes object; immutable by convention."""


class Malformed(Permanent):
    """Bytes, a selector, a patch or an object that cannot be read; the message is fit for a 400 Status."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault: ``path`` as Kubernetes writes it, ``reason`` of the Status cause, ``body`` the text after the path."""

    path: str
    reason: str
    body: str

    @property
    def message(self) -> str:
        """Path and text, as in the message of a Status."""
        return f"{self.path}: {self.body}"

    def cause(self) -> dict[str, str]:
        """The cause of a Status' details."""
        return {"reason": self.reason, "message": self.body, "field": self.path}


def aggregate(errors: Sequence[FieldError]) -> str:
    """All messages as one text, in Kubernetes' form; repeated ones once."""
    texts = list(dict.fromkeys(error.message for error in errors))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def shown(value: object) -> str:
    """A value inside a text: strings quoted, everything else as JSON."""
    return orjson.dumps(value, default=str).decode()


def required(path: str, detail: str = "") -> FieldError:
    """A field that must be there."""
    return FieldError(path, "FieldValueRequired", _with("Required value", detail))


def invalid(path: str, value: object, detail: str) -> FieldError:
    """A value that breaks a rule."""
    return FieldError(path, "FieldValueInvalid", _with(f"Invalid value: {shown(value)}", detail))


def wrong_type(path: str, value: object, expected: str) -> FieldError:
    """A value of another type than the schema's."""
    found = type_name(value)
    text = f'Invalid value: "{found}": {path or "<nil>"} in body must be of type {expected}: "{found}"'
    return FieldError(path, "FieldValueTypeInvalid", text)


def unsupported(path: str, value: object, allowed: Iterable[str], *, in_order: bool = False) -> FieldError:
    """A value outside a list; Kubernetes sorts most of these lists, but not all."""
    listed = ", ".join(f'"{choice}"' for choice in (allowed if in_order else sorted(allowed)))
    return FieldError(path, "FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {listed}")


def duplicate(path: str, value: object) -> FieldError:
    """A second item with the same key."""
    return FieldError(path, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")


def forbidden(path: str, detail: str) -> FieldError:
    """A field that may not be set, or not be changed."""
    return FieldError(path, "FieldValueForbidden", _with("Forbidden", detail))


def not_found(path: str, value: object) -> FieldError:
    """A reference to something that the object does not have."""
    return FieldError(path, "FieldValueNotFound", f"Not found: {shown(value)}")


def too_long(path: str, maximum: int) -> FieldError:
    """A text longer than allowed; the text itself is not repeated."""
    return FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {maximum} bytes")


def too_many(path: str, found: int, maximum: int) -> FieldError:
    """A list or map longer than allowed."""
    return FieldError(path, "FieldValueTooMany", f"Too many: {found}: must have at most {maximum} items")


def type_name(value: object) -> str:
    """The JSON type of a value, as OpenAPI names it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    for kind, name in ((str, "string"), (int, "integer"), (float, "number"), (dict, "object"), (list, "array")):
        if isinstance(value, kind):
            return name
    return type(value).__name__


def _with(text: str, detail: str) -> str:
    return f"{text}: {detail}" if detail else text
