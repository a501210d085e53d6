"""A differential oracle: sequences of requests, a peer's answers to them recorded as data, and ours held against those.

A :class:`Suite` is a list of scenarios; each begins with an empty service and sends its steps through botocore. The
peer (moto, see ``record.py``) is asked once, its answers are a JSON file beside the suite, and the tests replay them.
A recording carries a digest of each scenario's steps: a scenario that changed must be recorded anew.

Answers are compared as botocore parses them. What every run makes up for itself (version ids, upload ids, times) is
replaced by its kind and a number, so that the *same* id in two places must still be the same in both. Where the peer is
wrong, or knows less, the suite says so with a :class:`Difference`; one that no longer differs fails the test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

FOLDER = Path(__file__).parent
_LONGEST_TEXT = 256


@dataclass(frozen=True, slots=True)
class Ref:
    """A value out of the answer to an earlier step: ``Ref("put.VersionId")``, ``Ref("list.Parts.0.ETag")``."""

    path: str
    later_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One request: botocore's operation (``PutObject``) and its parameters; ``name`` is unique in its scenario."""

    name: str
    operation: str
    params: Mapping[str, Any]


def step(name: str, operation: str, **params: Any) -> Step:
    """A step, written short."""
    return Step(name, operation, params)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps that build on one another, beginning with nothing there."""

    name: str
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        names = [one.name for one in self.steps]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: a step's name comes twice: {sorted(names)}")

    @property
    def digest(self) -> str:
        """What the recording is bound to."""
        text = json.dumps([(one.name, one.operation, one.params) for one in self.steps], default=repr, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where ours and the peer's answers are meant to differ, and why the peer's is not AWS's.

    ``where`` is a pattern (``*``, ``?``) of ``scenario/step: path``, as :func:`differences` names them.
    """

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Suite:
    """All scenarios of one service, and what is made up anew in each run."""

    service: str
    scenarios: tuple[Scenario, ...]
    differences: tuple[Difference, ...] = ()
    #: members whose values are ids of the run: replaced by their kind and a number
    made_up: frozenset[str] = frozenset()
    #: members that are not looked at, on either side
    unseen: frozenset[str] = field(default_factory=frozenset)
    #: whether the texts of errors are compared, too
    messages: bool = False
    region: str = "us-west-2"

    @property
    def path(self) -> Path:
        """Where the peer's answers lie."""
        return FOLDER / f"{self.service}.json"

    def scenario(self, name: str) -> Scenario:
        return next(one for one in self.scenarios if one.name == name)

    def recorded(self) -> dict[str, Any]:
        """The peer's answers: scenario → {digest, answers: {step: answer}}."""
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found


# Asking ---------------------------------------------------------------------------------------------------------------


def answers(suite: Suite, scenario: Scenario, api: Any) -> dict[str, Any]:
    """Send the steps through ``api`` (a botocore client) and return the normalised answers by step."""
    known: dict[str, Any] = {}
    shown = _Shown(suite)
    found: dict[str, Any] = {}
    for one in scenario.steps:
        raw = _answer(api, one.operation, _resolved(one.params, known))
        known[one.name] = raw.get("result", {})
        found[one.name] = shown.value("", raw)
    return found


def _answer(api: Any, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    method = next(name for name, other in api.meta.method_to_api_mapping.items() if other == operation)
    try:
        result = getattr(api, method)(**params)
    except ClientError as error:
        answer = error.response
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        return {"status": status, "error": {k: v for k, v in answer["Error"].items() if k in {"Code", "Message"}}}
    status = result.pop("ResponseMetadata")["HTTPStatusCode"]
    return {"status": status, "result": result}


def _resolved(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, Ref):
        found: Any = known
        for part in value.path.split("."):
            found = found[int(part)] if isinstance(found, list) else found.get(part, f"no {value.path}")
            if isinstance(found, str) and found == f"no {value.path}":
                return found
        return found + timedelta(seconds=value.later_seconds) if isinstance(found, datetime) else found
    if isinstance(value, Mapping):
        return {key: _resolved(item, known) for key, item in value.items()}
    return [_resolved(item, known) for item in value] if isinstance(value, list) else value


class _Shown:
    """Answers as plain JSON values, with what the run made up replaced."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._numbers: dict[str, dict[str, str]] = {}

    def value(self, name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: self.value(k, v) for k, v in value.items() if not self._left_out(k)}
        if isinstance(value, list):
            return [self.value(name, item) for item in value]
        if isinstance(value, datetime):
            return f"<{name}>" if value.astimezone(UTC).year > 2001 else value.astimezone(UTC).isoformat()
        if hasattr(value, "read"):
            value = value.read()
        if isinstance(value, bytes):
            value = value.decode("utf-8", "backslashreplace")
        if isinstance(value, str) and name in self._suite.made_up and value not in {"", "null"}:
            seen = self._numbers.setdefault(name, {})
            return seen.setdefault(value, f"<{name} {len(seen) + 1}>")
        return _short(value) if isinstance(value, str) else value

    def _left_out(self, name: str) -> bool:
        return name in self._suite.unseen or (name == "Message" and not self._suite.messages)


def _short(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"<{len(text)} characters, sha256 {hashlib.sha256(text.encode()).hexdigest()[:16]}>"


# Comparing ------------------------------------------------------------------------------------------------------------


def differences(place: str, ours: Any, theirs: Any) -> Iterator[str]:
    """Every place where two normalised answers differ: ``scenario/step: result.Contents.0.Key`` and both values."""
    separator = "" if place.endswith(": ") else "."
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from differences(f"{place}{separator}{key}", ours.get(key, _ABSENT), theirs.get(key, _ABSENT))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(f"{place}{separator}{number}", mine, other)
    elif ours != theirs:
        yield f"{place} ours {_told(ours)}, the peer's {_told(theirs)}"


_ABSENT = object()


def _told(value: Any) -> str:
    return "nothing" if value is _ABSENT else json.dumps(value, sort_keys=True)


def unexplained(suite: Suite, scenario: Scenario, found: Mapping[str, Any]) -> tuple[list[str], set[Difference]]:
    """The differences that no entry of the suite explains, and the entries that explained one."""
    recorded = suite.recorded()[scenario.name]
    if recorded["digest"] != scenario.digest:
        return [f"{scenario.name}: its steps changed since the recording: `make oracle`"], set()
    open_ones, used = [], set()
    for one in scenario.steps:
        place = f"{scenario.name}/{one.name}: "
        for difference in differences(place, found[one.name], recorded["answers"][one.name]):
            known = {entry for entry in suite.differences if fnmatchcase(difference.split(" ours ")[0], entry.where)}
            used |= known
            if not known:
                open_ones.append(difference)
    return open_ones, used


def stale(suite: Suite, used: Iterable[Difference]) -> list[str]:
    """Entries that explain nothing any more."""
    kept = set(used)
    return [entry.where for entry in suite.differences if entry not in kept]


# Recording ------------------------------------------------------------------------------------------------------------


def record(suite: Suite, scenarios: Sequence[Scenario], *, start: Callable[[], Any]) -> None:
    """Ask the peer and write its answers; ``start`` empties the peer and returns a botocore client for it."""
    old = suite.recorded() if suite.path.exists() else {}
    kept = {one.name: old[one.name] for one in suite.scenarios if one.name in old}
    for scenario in scenarios:
        kept[scenario.name] = {"digest": scenario.digest, "answers": answers(suite, scenario, start())}
    ordered = {one.name: kept[one.name] for one in suite.scenarios}
    suite.path.write_text(_text(ordered))


def _text(recordings: Mapping[str, Any]) -> str:
    """JSON with a line for each answer: a change can be read in a diff."""
    blocks = []
    for name, recording in recordings.items():
        lines = [
            f"   {json.dumps(one)}: {json.dumps(answer, sort_keys=True, ensure_ascii=False)}"
            for one, answer in recording["answers"].items()
        ]
        inner = ",\n".join(lines)
        blocks.append(f' {json.dumps(name)}: {{"digest": "{recording["digest"]}", "answers": {{\n{inner}\n }}}}')
    return "{\n" + ",\n".join(blocks) + "\n}\n"
