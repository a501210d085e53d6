"""Calls that one service makes of another for its caller, as AWS's forward access sessions make them.

They are decided by the caller's own policies, under its own name, with ``aws:CalledVia`` and ``aws:ViaAWSService``
added; each leaves its line in the audit. No signature and no wire: the caller was proven when it came.

Spec: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_forward_access_sessions.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from keyless.local.cloud.audit import Audit, line_of
from keyless.local.cloud.authorise import Authoriser
from keyless.local.cloud.call import Call, Caller, Wire
from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.permission import authorise, denied
from keyless.local.cloud.service import Operation, Service
from keyless.local.cloud.wire.http import HttpRequest
from keyless.local.cloud.wire.validate import sentence, violations

#: S3 wants a checksum with some requests: parameters come here without a body
_EMPTY_BODY = ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")


@dataclass(slots=True)
class Errand:
    """What one service does for one caller: a few calls, and their lines for the audit once the work is settled.

    ``via`` is the service's principal, such as ``cloudformation.amazonaws.com``.
    """

    caller: Caller
    via: str
    region: str
    lines: list[dict[str, Any]] = field(default_factory=list)


class OnBehalf:
    """Makes the calls. ``services`` is asked late: the services hold this, too."""

    def __init__(
        self,
        services: Callable[[], Sequence[Service]],
        database: Database,
        authoriser: Authoriser,
        *,
        account: str,
        now: Callable[[], float],
    ) -> None:
        self._services = services
        self._database = database
        self._authoriser = authoriser
        self._audit = Audit(database)
        self._account = account
        self._now = now

    def call_plain(self, errand: Errand, service: str, operation: str, params: Mapping[str, Any]) -> Wire:
        """Run an operation that is a plain function, within the transaction that is open."""
        found, served, call = self._open(errand, service, operation, params)
        try:
            authorise(served, call)
            answer = served.run(call)
        except AwsError as error:
            self._note(errand, found, call, error)
            raise
        assert not isinstance(answer, Awaitable)
        return self._answered(errand, found, call, answer)

    async def call(self, errand: Errand, service: str, operation: str, params: Mapping[str, Any]) -> Wire:
        """Run any operation."""
        found, served, call = self._open(errand, service, operation, params)
        if not served.waits:
            with self._database.transaction():
                return self.call_plain(errand, service, operation, params)
        try:
            authorise(served, call)
            made = served.run(call)
            assert isinstance(made, Awaitable)
            answer = await made
        except AwsError as error:
            self._note(errand, found, call, error)
            raise
        return self._answered(errand, found, call, answer)

    def settle(self, errand: Errand) -> None:
        """Write the audit's lines: apart from the work's transaction, so that a refusal outlives what it undid."""
        for line in errand.lines:
            self._audit.write(line)
        errand.lines.clear()

    def _open(
        self, errand: Errand, name: str, operation: str, params: Mapping[str, Any]
    ) -> tuple[Service, Operation, Call]:
        service = next(one for one in self._services() if one.name == name)
        served = service.table[operation]
        if found := violations(service.model.operation(operation).input_shape, params):
            raise service.invalid(sentence(found))
        call = Call(
            service=service.name,
            prefix=service.iam_prefix,
            operation=operation,
            params=dict(params),
            caller=errand.caller,
            account=self._account,
            region=errand.region,
            request=HttpRequest("POST", "/", "", (("user-agent", errand.via), _EMPTY_BODY), source_ip=errand.via),
            request_id=str(uuid4()),
            now=self._now(),
            decide=self._authoriser.decide,
            via=(errand.via,),
        )
        call.denial = lambda decision, target: denied(service, call, decision, target)
        return service, served, call

    def _note(self, errand: Errand, service: Service, call: Call, error: AwsError) -> None:
        status = error.status or service.model.status_of(error.code)
        errand.lines.append(line_of(call, service.model, code=error.code, status=status, message=error.message))

    def _answered(self, errand: Errand, service: Service, call: Call, answer: Any) -> Wire:
        call.answer = answer if isinstance(answer, Mapping) else {}
        errand.lines.append(line_of(call, service.model, code="Success", status=200))
        return call.answer
