"""botocore's suites as values: cases of the protocol suites, and requests of the SigV4 suite.

The files are part of botocore's source distribution (Apache-2.0): fetched, never committed, see ``tests/tools.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.model import ServiceModel

from keyless.local.cloud.wire.http import HttpRequest
from keyless.local.cloud.wire.models import Model, pruned
from keyless.local.cloud.wire.shapes import Shape
from tools import botocore_suites

#: the files of the protocols that the cloud speaks (the folder ``legacy`` repeats them, without ids)
PROTOCOLS = ("query", "json", "json_1_0", "json_1_0-query-compatible", "rest-json", "rest-xml")
SPECIAL = {"NaN", "Infinity", "-Infinity"}


@dataclass(frozen=True)
class Case:
    """One case with the description of its service."""

    id: str
    suite: dict[str, Any]
    case: dict[str, Any]

    @property
    def operation(self) -> str:
        return str(self.case["given"].get("name", "OperationName"))

    def raw(self) -> dict[str, Any]:
        """The description of the case's service; a copy, since botocore's models alter theirs."""
        given = {"name": self.operation, "http": {"method": "POST", "requestUri": "/"}, **self.case["given"]}
        raw = {
            "metadata": self.suite["metadata"],
            "shapes": self.suite.get("shapes", {}),
            "operations": {self.operation: given},
        }
        found: dict[str, Any] = json.loads(json.dumps(raw))
        return found

    def model(self) -> Model:
        """The service as we see it."""
        return pruned(self.raw(), "suite", (self.operation,))

    def theirs(self) -> ServiceModel:
        """The service as botocore sees it."""
        return ServiceModel(self.raw(), service_name="suite")


def folder() -> Path | None:
    return botocore_suites()


def cases(side: str) -> list[Case]:
    """All cases of ``input`` or ``output``; none where the suites have not been fetched."""
    root = folder()
    if root is None:
        return []
    files = [root / "protocols" / side / f"{name}.json" for name in PROTOCOLS]
    return [case for file in files for case in _cases_of(file)]


def _cases_of(file: Path) -> Iterator[Case]:
    for suite in json.loads(file.read_text()):
        for case in suite["cases"]:
            yield Case(f"{file.stem}-{case['id']}", suite, case)


def exceptions(by_reason: dict[str, str]) -> dict[str, str]:
    """Case ids, separated by white space, by their reason: turned into reasons by id."""
    return {name: reason for reason, names in by_reason.items() for name in names.split()}


def sigv4_requests() -> list[Path]:
    """The requests of the SigV4 suite."""
    root = folder()
    return sorted((root / "auth" / "aws4_testsuite").rglob("*.req")) if root else []


def request_of(text: str) -> HttpRequest:
    """A raw request as the suite writes it: LF or CRLF, folded header lines, UTF-8 in the path."""
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.split("\n")
    method, _, rest = first.partition(" ")
    target = rest.rpartition(" ")[0]
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1].isspace() and headers:
            # What HTTP once called folding: the next line goes on with the value.
            name, value = headers.pop()
            headers.append((name, f"{value} {line.strip()}"))
        elif line:
            name, _, value = line.partition(":")
            headers.append((name.lower(), value))
    path, _, query = target.partition("?")
    return HttpRequest(method, path, query, tuple(headers), body.encode())


def plain(value: Any) -> Any:
    """What our reader returns, in the form in which the suites write parameters."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, float) and (value != value or value in {float("inf"), float("-inf")}):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return value


def native(shape: Shape | None, value: Any) -> Any:
    """A result as the suites write it, in the form in which an operation returns it."""
    if shape is None or value is None:
        return value
    kind = shape.kind
    if kind == "structure" and isinstance(value, dict) and not shape.document:
        return {key: native(shape.members[key], item) for key, item in value.items() if key in shape.members}
    if kind == "list":
        return [native(shape.member, item) for item in value]
    if kind == "map":
        return {key: native(shape.value, item) for key, item in value.items()}
    if kind == "blob" and isinstance(value, str):
        return value.encode()
    if kind in {"float", "double"} and value in SPECIAL:
        return float(value)
    return value
