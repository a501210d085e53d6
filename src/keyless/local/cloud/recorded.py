"""What of a call's parameters and answer may stand in the record, as CloudTrail shows them. Pure.

Hidden: what AWS's models call sensitive, and what they forget (session tokens). Left out: bodies, long texts' ends, and
the answers of calls that only read. A message of AWS's that quotes a hidden value is hidden, too.

Spec: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.wire.models import Model
from keyless.local.cloud.wire.shapes import Shape

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
#: what the models do not mark as sensitive and is: the keys to a session, one-time codes, and what users write about
#: their objects
ALSO_HIDDEN = frozenset(
    {"SessionToken", "sessionToken", "SecretAccessKey", "secretAccessKey", "Token", "TokenCode", "Metadata"}
)
#: sensitive by the model for the sake of who may see a key's name; no secret on the machine of its owner
SHOWN = frozenset({"KMSKeyId", "SSEKMSKeyId", "KMSMasterKeyID", "KMSKeyArn"})
_LONGEST_TEXT, _MOST_ITEMS = 2048, 100
_READING = ("Get", "List", "Describe", "Head", "BatchGet", "Simulate")


def reads(operation: str) -> bool:
    """Whether an operation changes nothing and hands out nothing new: CloudTrail keeps no answer of it."""
    return operation.startswith(_READING) and operation not in {"GetSessionToken", "GetFederationToken"}


def recorded(model: Model, call: Call, message: str = "") -> dict[str, Any]:
    """``parameters``, ``answer`` and ``message`` of a call, for its line; only what there is."""
    found: dict[str, Any] = {}
    if message:
        found["message"] = _quoting_nothing(model, call, message)[:_LONGEST_TEXT]
    if call.params:
        found["parameters"] = shown(model.operation(call.operation).input_shape, call.params)
    if call.answer and not reads(call.operation):
        found["answer"] = shown(model.operation(call.operation).output_shape, call.answer)
    return found


def shown(shape: Shape | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a structure that may be shown, named as CloudTrail names them (``roleArn``)."""
    if shape is None:
        return {}
    found: dict[str, Any] = {}
    for name, value in values.items():
        member = shape.members.get(name)
        if member is None or value is None or member.kind == "blob":
            continue
        found[name[:1].lower() + name[1:]] = _value(name, member, value)
    return found


def _value(name: str, shape: Shape, value: Any) -> Any:
    if shape.kind == "structure" and isinstance(value, Mapping):
        return shown(shape, value)
    if _is_hidden(name, shape):
        return HIDDEN
    if shape.kind == "list" and isinstance(value, (list, tuple)):
        return [_value(name, shape.member, item) for item in value[:_MOST_ITEMS]]
    if shape.kind == "map" and isinstance(value, Mapping):
        kept = list(value.items())[:_MOST_ITEMS]
        return {str(key)[:_LONGEST_TEXT]: _value(name, shape.value, item) for key, item in kept}
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return value[:_LONGEST_TEXT]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, (bool, int, float)) else str(type(value).__name__)


def _is_hidden(name: str, shape: Shape) -> bool:
    if name in SHOWN:
        return False
    return name in ALSO_HIDDEN or shape.sensitive or shape.kind == "blob"


def _quoting_nothing(model: Model, call: Call, message: str) -> str:
    """The message, unless it holds a hidden value of the request, or could hold one that could not be read."""
    operation = model.operations.get(call.operation)
    if operation is None or (shape := operation.input_shape) is None:
        return message
    quotes = any(text in message for text in _hidden(shape, call.params) if text)
    return HIDDEN if quotes else message


def _hidden(shape: Shape, values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if (member := shape.members.get(name)) is not None:
            yield from _hidden_in(name, member, value)


def _hidden_in(name: str, shape: Shape, value: Any) -> Iterator[str]:
    if shape.kind == "structure" and isinstance(value, Mapping):
        yield from _hidden(shape, value)
    elif isinstance(value, (list, tuple)) and shape.kind == "list":
        for item in value:
            yield from _texts(item) if _is_hidden(name, shape) else _hidden_in(name, shape.member, item)
    elif isinstance(value, Mapping) and shape.kind == "map":
        for item in value.values():
            yield from _texts(item) if _is_hidden(name, shape) else _hidden_in(name, shape.value, item)
    elif _is_hidden(name, shape):
        yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    else:
        yield str(value)
