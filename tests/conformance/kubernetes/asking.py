"""Asks a server the interactions, and keeps of its answers what is compared."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from conformance.kubernetes.interactions import Interaction, Step


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: the status, the body's text and the texts of the warnings."""

    status: int
    body: str
    warnings: tuple[str, ...]


TRIES, PAUSE_SECONDS = 50, 0.1
Ask = Callable[[str, str, bytes, str], Awaitable[Answered]]
"""Method, path with query, body and media type."""


async def asked(ask: Ask, interaction: Interaction, space: str) -> list[dict[str, Any]]:
    """Make the namespace, send the steps, return what each came to."""
    made = {"metadata": {"name": space, "labels": interaction.labels}}
    await ask("POST", "/api/v1/namespaces", json.dumps(made).encode(), "application/json")
    account = {"metadata": {"name": "default"}}
    await ask("POST", f"/api/v1/namespaces/{space}/serviceaccounts", json.dumps(account).encode(), "application/json")
    return [kept(step, await _send(ask, step, space), space) for step in interaction.steps]


async def _send(ask: Ask, step: Step, space: str) -> Answered:
    body = step.body if isinstance(step.body, str) else "" if step.body is None else json.dumps(step.body)
    path, content = step.path.replace("NS", space), body.replace("NS", space).encode()
    for _ in range(TRIES if step.patient else 0):
        answer = await ask(step.method, path, content, step.media)
        if answer.status not in {404, 429}:
            return answer
        await asyncio.sleep(PAUSE_SECONDS)
    return await ask(step.method, path, content, step.media)


def kept(step: Step, answer: Answered, space: str) -> dict[str, Any]:
    """The comparable part of an answer."""
    found: dict[str, Any] = {"status": answer.status}
    if answer.warnings:
        found["warnings"] = [text.replace(space, "NS") for text in answer.warnings]
    try:
        body = json.loads(answer.body.replace(space, "NS"))
    except ValueError:
        return found
    if body.get("kind") == "Status" and body.get("status") == "Failure":
        causes = (body.get("details") or {}).get("causes")
        found |= {"reason": body.get("reason", ""), "message": _plain(body["message"])}
        if causes:
            found["causes"] = [[cause.get("field", ""), cause.get("reason", "")] for cause in causes]
    for path in step.shown:
        found[path] = _at(body, path)
    return found


def _plain(text: str) -> str:
    """Without what differs from run to run: identities, times, and the whole objects that a bad patch is told with."""
    text = re.sub(r'(patch: Invalid value: )"(?:[^"\\]|\\.)*"', r"\1OBJECT", text)
    # Go names the field of a map, we name the key, too.
    text = re.sub(r"(Go struct field \w+)\.\S+", r"\1", text)
    return re.sub(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b", "UID", text)


def _at(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body
