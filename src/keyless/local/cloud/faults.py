"""Faults on request: what a cloud does on a bad day, by service and action, for testing what is built on it.

Off unless set (``keyless faults set``). They lie in the state's database, so another process may set them, and they
count from the next call on; one may be for a number of calls only. Nothing here is AWS's: see aws-differences.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import asdict, dataclass, replace

from keyless.api import Permanent
from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError

KINDS = {
    "latency": "wait --seconds before the operation",
    "throttle": "refuse as AWS throttles",
    "error": "answer 500",
    "unavailable": "answer 503",
    "lose-request": "end the connection before the operation: nothing was written",
    "lose-answer": "end the connection after the operation: everything was written",
    "clock": "judge and stamp with a clock that is --seconds off",
}
#: what ``service`` may be, beside ``*``: botocore's names
SERVICES = ("sts", "iam", "eks", "eks-auth", "s3", "secretsmanager", "ssm", "kms")
_TIMED = {"latency", "clock"}
_KIND = "fault"
_LONGEST_LATENCY_SECONDS = 3600


class ConnectionLost(Exception):
    """The peer gets no answer, and the connection ends."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; ``*`` stands for every service or action, ``times`` 0 for every call until it is cleared."""

    kind: str
    service: str = "*"
    action: str = "*"
    seconds: float = 0.0
    times: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise Permanent(f"fault {self.kind!r}: expected one of {', '.join(KINDS)}")
        if self.service not in {"*", *SERVICES}:
            raise Permanent(f"service {self.service!r}: expected one of {', '.join(SERVICES)}, or * for all")
        if self.kind in _TIMED and (not self.seconds or not math.isfinite(self.seconds)):
            raise Permanent(f"fault {self.kind}: expected --seconds other than 0, found {self.seconds}")
        if self.kind == "latency" and not 0 < self.seconds <= _LONGEST_LATENCY_SECONDS:
            raise Permanent(f"fault latency: expected seconds up to {_LONGEST_LATENCY_SECONDS}, found {self.seconds}")
        if self.kind == "clock" and self.action != "*":
            raise Permanent("fault clock: it counts for whole services; leave --action out")
        if self.times < 0:
            raise Permanent(f"fault {self.kind}: expected --times of at least 1, found {self.times}")

    @property
    def name(self) -> str:
        """What it is listed and cleared by; setting it again replaces it."""
        return f"{self.kind}:{self.service}:{self.action}"

    def meets(self, service: str, action: str) -> bool:
        """Whether a call is its."""
        return self.service in {"*", service} and self.action in {"*", action}


class Faults:
    """The faults that are set."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Fault]:
        """Every fault, by name."""
        return [Fault(**body) for body in self._database.all(_KIND)]

    def set(self, fault: Fault) -> None:
        """Set one; it counts from the next call on."""
        self._database.put(_KIND, fault.name, asdict(fault))

    def clear(self, name: str = "") -> int:
        """Clear the fault of that name, or all; returns how many there were."""
        found = [fault for fault in self.all() if name in {"", fault.name}]
        for fault in found:
            self._database.remove(_KIND, fault.name)
        return len(found)

    def clock_offset(self, service: str) -> float:
        """How far the clock of ``service`` is off, in seconds."""
        return sum(fault.seconds for fault in self.all() if fault.kind == "clock" and fault.meets(service, "*"))

    async def before(self, service: str, action: str, protocol: str) -> None:
        """What happens before an operation runs; raises AwsError or ConnectionLost."""
        for fault in self._due(service, action):
            if fault.kind == "latency":
                self._count(fault)
                await asyncio.sleep(fault.seconds)
        for fault in self._due(service, action):
            if fault.kind == "lose-request":
                self._count(fault)
                raise ConnectionLost(fault.name)
            if fault.kind in _ANSWERS:
                self._count(fault)
                raise _refused(fault.kind, protocol)

    def after(self, service: str, action: str) -> None:
        """What happens after an operation took effect; raises ConnectionLost."""
        for fault in self._due(service, action):
            if fault.kind == "lose-answer":
                self._count(fault)
                raise ConnectionLost(fault.name)

    def _due(self, service: str, action: str) -> list[Fault]:
        return [fault for fault in self.all() if fault.meets(service, action)]

    def _count(self, fault: Fault) -> None:
        """One time less; the last one clears it."""
        if fault.times == 1:
            self._database.remove(_KIND, fault.name)
        elif fault.times:
            self._database.put(_KIND, fault.name, asdict(replace(fault, times=fault.times - 1)))


_RATE = "Rate exceeded"
_INTERNAL = "We encountered an internal error. Please try again."
_UNAVAILABLE = "Service is unable to handle request."
#: by kind and protocol: AWS's code, status and text; clients choose by the code whether and how to try again
_ANSWERS: dict[str, dict[str, tuple[str, int, str]]] = {
    "throttle": {
        "query": ("Throttling", 400, _RATE),
        "json": ("ThrottlingException", 400, _RATE),
        "rest-json": ("ThrottlingException", 429, _RATE),
        "rest-xml": ("SlowDown", 503, "Please reduce your request rate."),
    },
    "error": {
        "query": ("InternalFailure", 500, _INTERNAL),
        "json": ("InternalServerException", 500, _INTERNAL),
        "rest-json": ("InternalServerException", 500, _INTERNAL),
        "rest-xml": ("InternalError", 500, _INTERNAL),
    },
    "unavailable": {
        "query": ("ServiceUnavailable", 503, _UNAVAILABLE),
        "json": ("ServiceUnavailableException", 503, _UNAVAILABLE),
        "rest-json": ("ServiceUnavailableException", 503, _UNAVAILABLE),
        "rest-xml": ("ServiceUnavailable", 503, _UNAVAILABLE),
    },
}


def _refused(kind: str, protocol: str) -> AwsError:
    code, status, message = _ANSWERS[kind][protocol]
    return AwsError(code, message, status=status)
