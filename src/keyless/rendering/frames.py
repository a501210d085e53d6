"""What the renderer and its process say to one another: a length, then JSON; bytes travel as Latin-1 text. Pure."""

from __future__ import annotations

import json
from typing import Any

from keyless.gotemplate import TemplateError
from keyless.gotemplate.jobs import Job, Rendered, Work

LENGTH_BYTES = 4
READY = b"{}"
GONE = b"null"
"""Said in place of an answer: the worker took too long, or ended."""


def framed(payload: bytes) -> bytes:
    """Return a payload with its length before it."""
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload


def work_to_bytes(work: Work) -> bytes:
    """Return work as bytes."""
    jobs = [[job.name, job.text, job.data, job.keys_and_values, job.discreet] for job in work.jobs]
    data = [{key: value.decode("latin-1") for key, value in values.items()} for values in work.data]
    return json.dumps({"jobs": jobs, "data": data, "named": sorted(work.named)}).encode()


def work_from_bytes(payload: bytes) -> Work:
    """Return the work that ``work_to_bytes`` wrote."""
    found = json.loads(payload)
    data = tuple({key: value.encode("latin-1") for key, value in values.items()} for values in found["data"])
    return Work(tuple(Job(*job) for job in found["jobs"]), data, frozenset(found["named"]))


def made_to_bytes(made: list[Rendered]) -> bytes:
    """Return what was rendered as bytes."""
    return json.dumps({"made": [_written(one) for one in made]}).encode()


def error_to_bytes(error: TemplateError) -> bytes:
    """Return an error as bytes."""
    return json.dumps({"error": [error.template, error.line, error.problem, error.limit]}).encode()


def answer_from_bytes(payload: bytes) -> list[Rendered]:
    """Return what was rendered; raises the ``TemplateError`` that was met."""
    found = json.loads(payload)
    if "error" in found:
        name, line, problem, limit = found["error"]
        raise TemplateError(name, line, problem, limit=limit)
    return [_read(one) for one in found["made"]]


def _written(one: Rendered) -> Any:
    if isinstance(one, bytes):
        return one.decode("latin-1")
    return {key: value.decode("latin-1") for key, value in one.items()}


def _read(one: Any) -> Rendered:
    if isinstance(one, str):
        return one.encode("latin-1")
    return {key: value.encode("latin-1") for key, value in one.items()}
