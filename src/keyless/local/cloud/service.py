"""Services and their operations: one table that routing, authorisation and audit read.

    class Queues:
        def __init__(self, database: Database) -> None: ...

        def service(self) -> Service:
            return Service("sqs", operations=(Operation("GetQueueUrl", self._get_queue_url, self._queue),))

An operation declares what it touches with ``target``: the gateway asks the policy engine before the operation runs.
Where that is only known inside (``BatchGetSecretValue``), ``target`` is :data:`INSIDE` and the operation calls
``call.authorise``; one that then answered without asking would be a bug, and the gateway refuses to send its answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import iscoroutinefunction
from types import MappingProxyType

from keyless.local.cloud.call import Call, Target, Wire
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.wire.http import HttpRequest, HttpResponse
from keyless.local.cloud.wire.models import Model, load

Answer = Wire | HttpResponse | None
Run = Callable[[Call], Answer | Awaitable[Answer]]
TargetOf = Callable[[Call], Target | Sequence[Target]]


class _Marker:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


INSIDE = _Marker("INSIDE")
OPEN = _Marker("OPEN")
"""No permission is needed (GetCallerIdentity)."""


def anything(_: Call) -> Target:
    """The target of operations that touch no single resource."""
    return Target("*")


@dataclass(frozen=True, slots=True)
class Operation:
    """One served operation. ``unsigned``: a request without a signature is let in (and is Anonymous)."""

    name: str
    run: Run
    target: TargetOf | _Marker = anything
    unsigned: bool = False
    #: the XML root of the answer, where AWS's differs from ``<name>Result``
    root: str = ""
    #: check the parameters against the model before anything else
    validated: bool = True
    #: whether ``run`` is a coroutine function
    waits: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "waits", iscoroutinefunction(self.run))


def validation_error(text: str) -> AwsError:
    """How the query services report parameters of the wrong shape."""
    return AwsError("ValidationError", text, status=400)


@dataclass(frozen=True)
class Service:
    """One service: botocore's folder name, the IAM prefix, and how it words its refusals."""

    name: str
    operations: Iterable[Operation] = ()
    prefix: str = ""
    signing_names: tuple[str, ...] = ()
    target_prefix: str = ""
    body_limit_bytes: int = 1 << 20
    denied_code: str = ""
    #: whether refusals end in an authorization id, as AWS's newest do
    explains_refusals: bool = False
    #: where two services sign alike: what this one's paths begin with
    path_prefix: str = ""
    invalid: Callable[[str], AwsError] = validation_error
    #: brings requests that are proven into the one form that the model knows (S3's buckets in hosts)
    addressed: Callable[[HttpRequest], HttpRequest] | None = None
    #: called in place of the usual text for a refusal
    denied: Callable[[Call, Target], AwsError] | None = None
    table: MappingProxyType[str, Operation] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", MappingProxyType({op.name: op for op in self.operations}))

    @property
    def iam_prefix(self) -> str:
        """What actions begin with."""
        return self.prefix or self.name

    @property
    def scopes(self) -> tuple[str, ...]:
        """The service names that signatures for this service carry."""
        return self.signing_names or (self.name,)

    @cached_property
    def model(self) -> Model:
        """The service's model, loaded at the first call."""
        return load(self.name, tuple(self.table))
