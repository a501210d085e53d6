"""The record of calls: one versioned JSON line for each, with the decision that let it pass or not.

Never in it: secret values, tokens, request or response bodies (see ``recorded.py`` for what is shown of parameters).

Line, version 2: ``v, time, eventId, requestId, service, action, operation, region, caller{type, arn, accountId,
principalId, accessKeyId, session, issuedAt, role{arn, name}, sourceIdentity, provider}, sourceIp, userAgent,
resources[], status, code, decision{outcome, layer, statement, trace[]}, notes{}``, and where there is any: ``message``,
``parameters{}``, ``answer{}``, ``via[]``. Version 1 had none of these four, and no ``issuedAt`` and ``role``.
``cloudtrail.py`` writes a line as CloudTrail does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson

from keyless.local.cloud.call import Call, Caller
from keyless.local.cloud.database import Database
from keyless.local.cloud.recorded import recorded
from keyless.local.cloud.wire.http import HttpRequest
from keyless.local.cloud.wire.models import Model
from keyless.policy import Decision, explain

VERSION = 2
_KEPT_LINES = 100_000
_PRUNE_EVERY = 1_000
_DENIALS = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_LONGEST_AGENT, _LONGEST_MESSAGE = 256, 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One stored line; ``number`` grows by one for each call and never comes again."""

    number: int
    text: str


class Audit:
    """Writes the record into the state."""

    def __init__(self, database: Database) -> None:
        self._connection = database.connection
        self._since_pruned = 0

    def write(self, line: dict[str, Any]) -> None:
        """Append one line."""
        denied = int(line["code"] in _DENIALS)
        text = orjson.dumps(line).decode()
        cursor = self._connection.execute("INSERT INTO cloud_audit (denied, line) VALUES (?, ?)", (denied, text))
        self._since_pruned += 1
        if self._since_pruned >= _PRUNE_EVERY:
            self._since_pruned = 0
            oldest = (cursor.lastrowid or 0) - _KEPT_LINES
            self._connection.execute("DELETE FROM cloud_audit WHERE number <= ?", (oldest,))


def read_audit(
    connection: sqlite3.Connection, *, after: int = 0, denied: bool = False, limit: int = 1000
) -> Iterator[Line]:
    """Lines behind number ``after``, oldest first; a read-only connection of another process will do."""
    query = "SELECT number, line FROM cloud_audit WHERE number > ? AND denied >= ? ORDER BY number LIMIT ?"
    for number, text in connection.execute(query, (after, int(denied), limit)):
        yield Line(number, text)


def last_by(connection: sqlite3.Connection, access_key_id: str) -> dict[str, Any] | None:
    """The newest call that an access key signed and that became one, let pass or not; None where none is recorded.

    A key that was never used costs a pass over the whole record, some tenths of a second at its full length.
    """
    query = "SELECT line FROM cloud_audit WHERE instr(line, ?) > 0 ORDER BY number DESC"
    for (text,) in connection.execute(query, (f'"accessKeyId":"{access_key_id}"',)):
        line: dict[str, Any] = orjson.loads(text)
        # Its parameters and answers may name a key that somebody else made or asked about.
        if line["caller"].get("accessKeyId") == access_key_id:
            return line
    return None


def last_number(connection: sqlite3.Connection) -> int:
    """The number of the newest line, 0 for none: where ``--follow`` begins."""
    return int(connection.execute("SELECT coalesce(max(number), 0) FROM cloud_audit").fetchone()[0])


def line_of(call: Call, model: Model, *, code: str, status: int, message: str = "") -> dict[str, Any]:
    """The line of an authenticated call; ``message`` is what AWS's error says."""
    decision = _telling(call.decisions)
    line: dict[str, Any] = {
        "v": VERSION,
        "time": _time(call.now),
        "eventId": str(uuid4()),
        "requestId": call.request_id,
        "service": call.service,
        "action": decision.request.action if decision else f"{call.prefix}:{call.operation}",
        "operation": call.operation,
        "region": call.region,
        "caller": caller_fields(call.caller),
        "sourceIp": call.request.source_ip,
        "userAgent": call.request.header("user-agent")[:_LONGEST_AGENT],
        "resources": sorted({one.request.resource for one in call.decisions if one.request.resource != "*"}),
        "status": status,
        "code": code,
        "decision": _decision_fields(decision),
        "notes": call.notes,
        **recorded(model, call, message),
    }
    if call.via:
        line["via"] = call.via
    return line


def refused_line(
    *, service: str, request_id: str, now: float, request: HttpRequest, code: str, status: int, message: str
) -> dict[str, Any]:
    """The line of a request that never became a call: bad signature, unknown operation, malformed body."""
    return {
        "v": VERSION,
        "time": _time(now),
        "eventId": str(uuid4()),
        "requestId": request_id,
        "service": service,
        "action": "",
        "operation": "",
        "region": "",
        "caller": {"type": "Unauthenticated"},
        "sourceIp": request.source_ip,
        "userAgent": request.header("user-agent")[:_LONGEST_AGENT],
        "resources": [],
        "status": status,
        "code": code,
        "decision": None,
        "notes": {},
        "message": message[:_LONGEST_MESSAGE],
    }


def _time(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def caller_fields(caller: Caller) -> dict[str, Any]:
    """Who called."""
    fields: dict[str, Any] = {"type": caller.kind}
    if caller.kind != "Anonymous":
        fields |= {
            "arn": caller.arn,
            "accountId": caller.account,
            "principalId": caller.user_id,
            "accessKeyId": caller.access_key_id,
        }
    if session := caller.session:
        fields["session"] = session.name
        fields["issuedAt"] = _time(session.issued_at)
        if caller.kind == "Role":
            fields["role"] = {"arn": session.principal_arn, "name": session.principal_name}
        if session.source_identity:
            fields["sourceIdentity"] = session.source_identity
        if session.federated_provider:
            fields["provider"] = session.federated_provider
    return fields


def _telling(decisions: list[Decision]) -> Decision | None:
    """The decision worth showing: the last refusal, else the first question."""
    refused = [decision for decision in decisions if not decision.allowed]
    return refused[-1] if refused else (decisions[0] if decisions else None)


def _decision_fields(decision: Decision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    fields: dict[str, Any] = {
        "outcome": str(decision.outcome),
        "layer": str(decision.layer) if decision.layer else None,
        "statement": decision.decided_label,
    }
    if not decision.allowed:
        fields["trace"] = list(explain(decision))
    return fields
