"""JSON patch, RFC 6902, on immutable objects: only the containers along a changed path are copied.

Errors carry the sentences of the API server, which kubectl prints as they are.
"""

from __future__ import annotations

from typing import Any

from keyless.api.numbers import is_digits
from keyless.local.cluster.patches.errors import PatchError, bad_request, unprocessable

LIMIT = 10_000
"""The API server refuses longer patches."""

MISSING = object()


def json_patch(obj: dict[str, Any], operations: Any) -> dict[str, Any]:
    """Apply the operations in order; the first that fails ends it."""
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > LIMIT:
        raise PatchError(
            413,
            "RequestEntityTooLarge",
            f"The allowed maximum operations in a JSON patch is {LIMIT}, got {len(operations)}",
        )
    document: Any = obj
    for operation in operations:
        document = _apply(document, operation)
    if not isinstance(document, dict):
        raise unprocessable("the patched document is no object")
    return document


def _apply(document: Any, operation: Any) -> Any:
    if not isinstance(operation, dict) or not isinstance(operation.get("op"), str):
        raise bad_request("error decoding patch: every operation is an object with an op")
    name = operation["op"]
    pointer = operation.get("path")
    if not isinstance(pointer, str):
        raise unprocessable(f"{name} operation does not apply: missing path")
    path = _steps(pointer, name)
    if name in {"add", "replace", "test"} and "value" not in operation and name != "test":
        raise unprocessable(f"{name} operation does not apply: missing value")
    if name == "add":
        return _put(document, path, operation["value"], pointer, name)
    if name == "remove":
        return _remove(document, path, pointer, name)
    if name == "replace":
        _get(document, path, pointer, name)
        return _swap(document, path, operation["value"])
    if name == "test":
        return _test(document, path, pointer, operation.get("value"))
    if name in {"move", "copy"}:
        return _transfer(document, path, pointer, operation)
    raise bad_request(f'Unexpected kind: "{name}"')


def _transfer(document: Any, path: list[str], pointer: str, operation: dict[str, Any]) -> Any:
    name = operation["op"]
    source = operation.get("from")
    if not isinstance(source, str):
        raise unprocessable(f"{name} operation does not apply: missing from")
    steps = _steps(source, name)
    value = _get(document, steps, source, name)
    if name == "move":
        if len(path) > len(steps) and path[: len(steps)] == steps:
            raise unprocessable("move operation does not apply: a value cannot be moved into itself")
        document = _remove(document, steps, source, name)
    return _put(document, path, value, pointer, name)


def _test(document: Any, path: list[str], pointer: str, expected: Any) -> Any:
    try:
        found = _get(document, path, pointer, "test")
    except PatchError:
        # A missing member equals null, as in the library that the API server uses.
        if expected is not None:
            raise
        found = None
    if not same(found, expected):
        raise unprocessable(f"testing value {pointer} failed: test failed")
    return document


def same(left: Any, right: Any) -> bool:
    """JSON equality: unlike Python's, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


def _steps(pointer: str, name: str) -> list[str]:
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise unprocessable(f'{name} operation does not apply: doc is missing path: "{pointer}": missing value')
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def _missing(name: str, pointer: str) -> PatchError:
    word = "path" if name in {"add", "test"} else "key"
    if name == "remove":
        return unprocessable(f'remove operation does not apply: doc is missing path: "{pointer}": missing value')
    return unprocessable(f"{name} operation does not apply: doc is missing {word}: {pointer}: missing value")


def _child(node: Any, step: str) -> Any:
    if isinstance(node, dict):
        return node.get(step, MISSING)
    if isinstance(node, list):
        index = _index(step, len(node))
        return node[index] if index is not None and index < len(node) else MISSING
    return MISSING


def _index(step: str, length: int) -> int | None:
    """A list position; negative ones count from the end, as the API server still accepts."""
    digits = step.removeprefix("-")
    if not is_digits(digits) or len(digits) > 9 or (len(digits) > 1 and digits[0] == "0"):
        return None
    index = int(step)
    if index < 0:
        index += length
    return index if index >= 0 else None


def _get(document: Any, path: list[str], pointer: str, name: str) -> Any:
    for step in path:
        document = _child(document, step)
        if document is MISSING:
            raise _missing(name, pointer)
    return document


def _swap(document: Any, path: list[str], value: Any) -> Any:
    """Replace an existing value."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(document, list):
        index = _index(step, len(document)) or 0
        return [*document[:index], _swap(document[index], rest, value), *document[index + 1 :]]
    return {**document, step: _swap(document[step], rest, value)}


def _put(document: Any, path: list[str], value: Any, pointer: str, name: str) -> Any:
    if not path:
        return value
    parent = _get(document, path[:-1], pointer, name)
    last = path[-1]
    if isinstance(parent, dict):
        return _swap(document, path[:-1], {**parent, last: value})
    if isinstance(parent, list):
        index = len(parent) if last == "-" else _index(last, len(parent))
        if index is None or index > len(parent):
            raise unprocessable(
                f'{name} operation does not apply: doc is missing path: "{pointer}": '
                f"unable to access invalid index: {last}: invalid index referenced"
            )
        return _swap(document, path[:-1], [*parent[:index], value, *parent[index:]])
    raise _missing(name, pointer)


def _remove(document: Any, path: list[str], pointer: str, name: str) -> Any:
    if not path:
        raise unprocessable("remove operation does not apply: the whole document cannot be removed")
    _get(document, path, pointer, name)
    parent = _get(document, path[:-1], pointer, name)
    if isinstance(parent, list):
        index = _index(path[-1], len(parent)) or 0
        return _swap(document, path[:-1], [*parent[:index], *parent[index + 1 :]])
    return _swap(document, path[:-1], {key: item for key, item in parent.items() if key != path[-1]})
