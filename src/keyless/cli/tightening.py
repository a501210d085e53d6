"""What ``keyless identity tighten`` reads: a role's inline policies, and the record or CloudTrail's files."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyless.api import Permanent
from keyless.identity.tighten import Call, Span, Tightened, of_record, of_trail, span_of, tighten

if TYPE_CHECKING:
    from keyless.policy.amend import Written


async def inline_policies(role: str) -> dict[str, Written]:
    """By name; those that are attached are shared with others, and not looked at."""
    from keyless.aws import Session

    aws = Session.from_environment(os.environ)
    names = (await aws.call("iam", "ListRolePolicies", RoleName=role))["PolicyNames"]
    read = {name: await aws.call("iam", "GetRolePolicy", RoleName=role, PolicyName=name) for name in names}
    return {name: one["PolicyDocument"] for name, one in read.items()}


def judged(
    role: str, policies: dict[str, Written], trails: list[Path], folder: Path, *, keys: bool
) -> tuple[Span, int, dict[str, Tightened]]:
    """How long was watched, how many calls the role made, and what is left of each policy."""
    calls: list[Call] = []
    times: list[str] = []
    for time, found in _events(trails) if trails else _record(folder):
        times.append(time)
        calls += [one for one in found if one.role == role]
    return span_of(times), len(calls), {name: tighten(one, calls, keys=keys) for name, one in policies.items()}


def _record(folder: Path) -> Iterator[tuple[str, list[Call]]]:
    from keyless.local.cloud.audit import read_audit
    from keyless.local.state.database import open_for_reading

    connection = open_for_reading(folder)
    if connection is None:
        raise Permanent(f"no local Space was ever started in {folder}: name CloudTrail's files with --trail")
    try:
        for line in read_audit(connection, limit=10_000_000):
            told = json.loads(line.text)
            yield str(told["time"]), list(of_record(told))
    finally:
        connection.close()


def _events(trails: list[Path]) -> Iterator[tuple[str, list[Call]]]:
    for path in trails:
        try:
            raw = _unzipped(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            events = _read(raw.decode("utf-8"))
        except (OSError, ValueError, EOFError) as error:
            expected = "a file of CloudTrail: JSON with Records, or an event on each line, perhaps gzipped"
            raise Permanent(f"{path}: expected {expected}, found what cannot be read: {type(error).__name__}") from None
        for event in events:
            yield str(event.get("eventTime", "")), list(of_trail(event))


def _unzipped(raw: bytes) -> bytes:
    if not raw:
        raise ValueError("empty")
    return gzip.decompress(raw)


def _read(text: str) -> list[dict[str, Any]]:
    """CloudTrail's own files are one object; ``keyless audit --output cloudtrail`` and many tools write lines."""
    try:
        whole = json.loads(text)
    except ValueError:
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        found = whole.get("Records", [whole]) if isinstance(whole, dict) else whole
    if not found or not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError("not events")
    return found
