"""Faults on request: what a cloud does on a bad day, by service and action, for testing what is built on it.

Off unless set (``keyless faults set``). They lie in the state's database, so another process may set them, and they
count from the next call on: for ever, for a number of calls, for a while, or by chance. Where none is set, a call pays
one look into the database (2 µs). Nothing here is AWS's: see aws-differences.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

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
    "propagation": "IAM's decisions lag --seconds more behind its writes",
}
#: what ``service`` may be, beside ``*``: botocore's names
SERVICES = ("sts", "iam", "eks", "eks-auth", "s3", "secretsmanager", "ssm", "kms", "cloudformation", "iam-toolbox")
_TIMED = {"latency", "clock", "propagation"}
#: a state of the service, not something that happens to a call: no action, no count, no chance
_STANDING = {"clock", "propagation"}
_KIND = "fault"
_ANY = f"SELECT 1 FROM cloud_document WHERE kind = '{_KIND}' LIMIT 1"  # noqa: S608 - a word of ours
_LONGEST_SECONDS = 3600


class ConnectionLost(Exception):
    """The peer gets no answer, and the connection ends."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; ``*`` stands for every service or action, ``times`` 0 for every call until it is cleared.

    ``until``: epoch seconds at which it ends by itself, 0 for never. ``probability``: how likely a call meets it.
    """

    kind: str
    service: str = "*"
    action: str = "*"
    seconds: float = 0.0
    times: int = 0
    probability: float = 1.0
    until: float = 0.0

    def __post_init__(self) -> None:
        if wrong := next(_wrong(self), None):
            raise Permanent(wrong)

    @property
    def name(self) -> str:
        """What it is listed and cleared by; setting it again replaces it."""
        return f"{self.kind}:{self.service}:{self.action}"

    def counts_at(self, now: float) -> bool:
        """Whether it has not ended by itself."""
        return not self.until or now < self.until


def _wrong(fault: Fault) -> Iterator[str]:
    """What makes no sense about a fault, in the words of the command's options."""
    kind, seconds = fault.kind, fault.seconds
    if kind not in KINDS:
        yield f"fault {kind!r}: expected one of {', '.join(KINDS)}"
    if fault.service not in {"*", *SERVICES}:
        yield f"service {fault.service!r}: expected one of {', '.join(SERVICES)}, or * for all"
    if kind in _TIMED and (not seconds or not math.isfinite(seconds)):
        yield f"fault {kind}: expected --seconds other than 0, found {seconds:g}"
    if kind in _TIMED - {"clock"} and not 0 < seconds <= _LONGEST_SECONDS:
        yield f"fault {kind}: expected seconds up to {_LONGEST_SECONDS}, found {seconds:g}"
    if kind not in _TIMED and seconds:
        yield f"fault {kind}: it has no length; leave --seconds out, or say --for how long it lasts"
    if kind in _STANDING and fault.action != "*":
        yield f"fault {kind}: it counts for whole services; leave --action out"
    if kind in _STANDING and (fault.times or fault.probability != 1.0):
        yield f"fault {kind}: it counts until it is cleared, or --for a while; leave --times and --probability out"
    if kind == "propagation" and fault.service not in {"*", "iam"}:
        yield f"fault propagation: only what IAM writes lags; expected service iam, found {fault.service!r}"
    if fault.times < 0:
        yield f"fault {kind}: expected --times of at least 1, found {fault.times}"
    if not 0 < fault.probability <= 1:
        yield f"fault {kind}: expected --probability above 0 and up to 1, found {fault.probability:g}"


class Faults:
    """The faults that are set. ``chance`` gives a number from 0 up to 1, another one each time."""

    def __init__(
        self,
        database: Database,
        now: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._now = now
        self._chance = chance

    def all(self) -> list[Fault]:
        """Every fault that counts, by name."""
        # Asked at every call, and mostly in vain: the shortest question first.
        if self._database.connection.execute(_ANY).fetchone() is None:
            return []
        now = self._now()
        return [fault for body in self._database.all(_KIND) if (fault := Fault(**body)).counts_at(now)]

    def set(self, fault: Fault) -> None:
        """Set one; it counts from the next call on."""
        self._database.put(_KIND, fault.name, asdict(fault))

    def clear(self, name: str = "") -> int:
        """Clear the fault of that name, or all; returns how many counted."""
        found = [fault for fault in self.all() if name in {"", fault.name}]
        for fault in found:
            self._database.remove(_KIND, fault.name)
        if not name:
            self._forget_ended()
        return len(found)

    def of(self, service: str) -> Ahead:
        """What lies ahead of one call to ``service``."""
        if not (every := self.all()):
            return Ahead()
        due = [fault for fault in every if fault.service in {"*", service}]
        clocks = [fault for fault in due if fault.kind == "clock"]
        return Ahead(due, self.take, sum(fault.seconds for fault in clocks), [fault.name for fault in clocks])

    def propagation_seconds(self) -> float:
        """How much longer than usual IAM's decisions lag behind what is written now."""
        return sum(fault.seconds for fault in self.all() if fault.kind == "propagation")

    def take(self, fault: Fault) -> bool:
        """Whether a call meets ``fault``, by chance; then it is one time less, and the last time clears it."""
        if fault.probability < 1 and self._chance() >= fault.probability:
            return False
        body = self._database.get(_KIND, fault.name) if fault.times else None
        if body is None:
            # Another call that was under way met it for the last time.
            return not fault.times
        left = Fault(**body)
        if left.times == 1:
            self._database.remove(_KIND, fault.name)
        elif left.times:
            self._database.put(_KIND, fault.name, asdict(replace(left, times=left.times - 1)))
        return True

    def _forget_ended(self) -> None:
        for body in self._database.all(_KIND):
            self._database.remove(_KIND, Fault(**body).name)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What lies ahead of one call. ``take`` says whether the call meets a fault; those met are named in ``met``.

    ``clock_offset``: how far the service's clock is off, in seconds.
    """

    due: Sequence[Fault] = ()
    take: Callable[[Fault], bool] = bool
    clock_offset: float = 0.0
    met: list[str] = field(default_factory=list)

    async def before(self, action: str, protocol: str) -> None:
        """What happens before an operation runs; raises AwsError or ConnectionLost."""
        for fault in self._met(action, {"latency"}):
            await asyncio.sleep(fault.seconds)
        for fault in self._met(action, _ENDS_BEFORE):
            if fault.kind == "lose-request":
                raise ConnectionLost(fault.name)
            raise _refused(fault.kind, protocol)

    def loses_answer(self, action: str) -> bool:
        """Whether an operation that took effect gets no answer."""
        return any(True for _ in self._met(action, {"lose-answer"}))

    def _met(self, action: str, kinds: Collection[str]) -> Iterator[Fault]:
        """One after another: what ends the call leaves those behind it for the next one."""
        for fault in self.due:
            if fault.kind in kinds and fault.action in {"*", action} and self.take(fault):
                self.met.append(fault.name)
                yield fault


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


_ENDS_BEFORE = {"lose-request", *_ANSWERS}


def _refused(kind: str, protocol: str) -> AwsError:
    code, status, message = _ANSWERS[kind][protocol]
    return AwsError(code, message, status=status)
