"""What Go answers to a case, as recorded, and what we answer to it: in one form, so that they compare."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keyless.gotemplate.errors import Problem
from keyless.gotemplate.json_text import json_of
from keyless.gotemplate.yaml import dump, keys_and_values, load
from keyless.shared_secrets.stores.model import Payload, RemoteRef
from keyless.shared_secrets.stores.resolution import StoreRef
from keyless.shared_secrets.sync.gjson import PathFault
from keyless.shared_secrets.sync.jsonpath import Malformed, lookup, object_members
from keyless.shared_secrets.sync.model import Rewrite, Source
from keyless.shared_secrets.sync.values import ValueFault, decode, rewritten, value_of

RECORDED = Path(__file__).with_name("values.jsonl")
DIFFERENCES = Path(__file__).with_name("values_differences.jsonl")
REFUSED = {"refused": True}
"""Both refuse; the words are not compared."""
_AS_BYTES = {"payload", "path", "text", "value", "pattern", "replacement"}


def asked(case: dict[str, Any]) -> dict[str, Any]:
    """Return the line that the oracle reads."""
    given = {name: _base64(value) if _is_bytes(case["ask"], name) else value for name, value in case.items()}
    return {"ask": given.pop("ask"), "input": given}


def _is_bytes(ask: str, name: str) -> bool:
    return name in _AS_BYTES and ask != "yaml.dump"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def go_answer(ask: str, reply: dict[str, Any]) -> Any:
    """Return a reply in the form of the record."""
    if "fault" in reply:
        return REFUSED
    answer = reply.get("answer")
    if ask == "property":
        return {"text": _text(answer["string"])} if answer["exists"] else {"exists": False}
    if ask == "extract":
        return {"members": {name: _text(value) for name, value in (answer or {}).items()}}
    if ask == "yaml.load":
        return {"value": answer["value"]}
    if ask == "yaml.keysAndValues":
        return {"members": answer or {}}
    return {"text": _text(answer or "")}


def _text(encoded: str | None) -> str:
    return base64.b64decode(encoded or "").decode("utf-8", "surrogateescape")


def our_answer(case: dict[str, Any]) -> Any:
    """Return ours in the form of the record."""
    given = {name: value for name, value in case.items() if name != "ask"}
    try:
        return OURS[case["ask"]](**given)
    except (Problem, PathFault, ValueFault):
        return REFUSED


def _property(payload: str, path: str) -> Any:
    raw = payload.encode("utf-8", "surrogateescape")
    try:
        found = lookup(raw, path)
    except Malformed:
        found = None
    if found is None:
        return {"exists": False}
    # The whole way gives the same.
    source = Source(StoreRef("s"), RemoteRef("k"), property=path)
    assert not path or value_of(source, Payload(binary=raw)) == found
    return {"text": found.decode("utf-8", "surrogateescape")}


def _extract(payload: str) -> Any:
    try:
        members = object_members(payload.encode("utf-8", "surrogateescape"))
    except Malformed:
        members = None
    if members is None:
        return REFUSED
    return {"members": {name: value.decode("utf-8", "surrogateescape") for name, value in members.items()}}


def _rewrite(pattern: str, text: str, replacement: str) -> Any:
    (name,) = rewritten({text: b""}, Rewrite(source=pattern, target=replacement))
    return {"text": name}


def _decoded(strategy: str, value: str) -> Any:
    made = decode(value.encode("utf-8", "surrogateescape"), strategy, "k")
    return {"text": made.decode("utf-8", "surrogateescape")}


OURS: dict[str, Callable[..., Any]] = {
    "property": _property,
    "extract": _extract,
    "decode": _decoded,
    "regexp": _rewrite,
    "tags": lambda tags: {"text": json_of(tags)},
    "yaml.load": lambda text: {"value": load(text)},
    "yaml.keysAndValues": lambda text: {"members": keys_and_values(text)},
    "yaml.dump": lambda value: {"text": dump(value)},
}


def lines(path: Path) -> list[dict[str, Any]]:
    """Read a record: one case a line, its numbers float64 as in Go."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line, parse_int=float)
        # An answer of ours may be an integer that float64 cannot hold.
        found.append({**record, "ours": json.loads(line)["ours"]} if "ours" in record else record)
    return found


def case_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return a line's case without what was answered."""
    return {name: value for name, value in record.items() if name not in {"go", "ours", "reason"}}


def same(first: Any, second: Any) -> bool:
    """Return whether two answers are equal, and a number no boolean."""
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def key_of(record: dict[str, Any]) -> str:
    """Return what tells a case from all others."""
    return json.dumps(case_of(record), sort_keys=True)
