"""Run the calls of one step as the stack's caller, and say how a refusal reads in a stack's events.

A flow whose calls write in one transaction commits together with the record of its outcome: it is done, or not begun.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from keyless.local.cloud.call import Wire
from keyless.local.cloud.cloudformation.actor import SERVICE, Actors
from keyless.local.cloud.cloudformation.documents import MISSHAPEN
from keyless.local.cloud.cloudformation.kinds import Flow, Made, Request
from keyless.local.cloud.cloudformation.model import Stack
from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.onbehalf import Errand, OnBehalf

#: how CloudFormation's handlers sort what services answer; any other code is a GeneralServiceException
_HANDLER_CODES = {
    "AccessDenied": "AccessDenied",
    "AccessDeniedException": "AccessDenied",
    "BucketAlreadyOwnedByYou": "AlreadyExists",
    "EntityAlreadyExists": "AlreadyExists",
    "InvalidInput": "InvalidRequest",
    "InvalidParameterException": "InvalidRequest",
    "LimitExceeded": "ServiceLimitExceeded",
    "MalformedPolicyDocument": "InvalidRequest",
    "NoSuchEntity": "NotFound",
    "ResourceInUseException": "AlreadyExists",
    "ResourceLimitExceededException": "ServiceLimitExceeded",
    "ResourceNotFoundException": "NotFound",
    "ValidationError": "InvalidRequest",
}
_MISSHAPEN = 'Resource handler returned message: "Model validation failed" (HandlerErrorCode: InvalidRequest)'
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refused:
    """A call was refused; nothing of an atomic flow was kept."""

    reason: str


Outcome = Made | Refused


class _Refusal(Exception):
    """Ends a flow."""


class Flows:
    """Runs flows."""

    def __init__(self, database: Database, actors: Actors, on_behalf: OnBehalf, region: str) -> None:
        self._database = database
        self._actors = actors
        self._on_behalf = on_behalf
        self._region = region

    async def run(self, stack: Stack, flow: Flow, *, is_atomic: bool, write: Callable[[Outcome], None]) -> None:
        """Make the calls, and ``write`` the outcome; an atomic flow and its record are one transaction."""
        try:
            errand = Errand(self._actors.caller(stack.actor), SERVICE, self._region)
        except AwsError as error:
            write(Refused(error.message))
            return
        try:
            if is_atomic:
                with self._database.transaction():
                    write(self._plain(errand, flow))
            else:
                write(await self._awaited(errand, flow))
        except _Refusal as refusal:
            write(Refused(str(refusal)))
        except MISSHAPEN as error:
            # A property of another shape than its API takes; the text of the error could quote a value.
            _LOG.warning("a call for stack %s could not be made: %s", stack.name, type(error).__name__)
            write(Refused(_MISSHAPEN))
        finally:
            self._on_behalf.settle(errand)

    def _plain(self, errand: Errand, flow: Flow) -> Made:
        answer: Wire | None = None
        while True:
            request = _next(flow, answer)
            if isinstance(request, Made):
                return request
            try:
                answer = self._on_behalf.call_plain(errand, request.service, request.operation, request.params)
            except AwsError as error:
                answer = _absent(request, error)

    async def _awaited(self, errand: Errand, flow: Flow) -> Made:
        answer: Wire | None = None
        while True:
            request = _next(flow, answer)
            if isinstance(request, Made):
                return request
            try:
                answer = await self._on_behalf.call(errand, request.service, request.operation, request.params)
            except AwsError as error:
                answer = _absent(request, error)


def _next(flow: Flow, answer: Wire | None) -> Request | Made:
    try:
        return next(flow) if answer is None else flow.send(answer)
    except StopIteration as end:
        made: Made = end.value
        return made


def _absent(request: Request, error: AwsError) -> Wire:
    """Nothing, where the error says that nothing is left to do; else the end of the flow."""
    if error.code in request.absent:
        return {}
    service = request.service.capitalize()
    status = f", Status Code: {error.status}" if error.status else ""
    told = f"{error.message} (Service: {service}{status})"
    code = _HANDLER_CODES.get(error.code, "GeneralServiceException")
    raise _Refusal(f'Resource handler returned message: "{told}" (HandlerErrorCode: {code})') from error
