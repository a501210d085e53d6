"""The one door of the cloud: every AWS service on one port, told apart by what clients sign and send.

The order is AWS's: host and size, service, signature, operation, shape of the parameters, permission, the operation
itself, and an audit line whatever happened. Nothing here knows what a service does.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from keyless.api import KeylessError, Transient
from keyless.local.cloud.audit import Audit, line_of, refused_line
from keyless.local.cloud.authenticate import Authenticator, must_be_signed
from keyless.local.cloud.authorise import Authoriser
from keyless.local.cloud.call import Call
from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.faults import Ahead, ConnectionLost, Faults
from keyless.local.cloud.permission import authorise, denied
from keyless.local.cloud.service import INSIDE, Answer, Operation, Service
from keyless.local.cloud.signatures import Signature, SignatureFault, read_untrusted
from keyless.local.cloud.wire.asgi import (
    Receive,
    Scope,
    Send,
    head_of,
    http_date,
    lose,
    own_host,
    read_body,
    respond,
)
from keyless.local.cloud.wire.http import HttpRequest, HttpResponse
from keyless.local.cloud.wire.read import Meant, form_fields, operation_meant, read_parameters
from keyless.local.cloud.wire.validate import sentence, violations
from keyless.local.cloud.wire.write import write_error, write_result

_LOG = logging.getLogger(__name__)
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Realm:
    """The account and region the gateway stands for, its clock, and where it may be asked besides loopback."""

    account: str
    region: str
    now: Callable[[], float]
    hosts: tuple[str, ...] = ()


class Gateway:
    """A direct ASGI application. ``services`` says what it answers."""

    def __init__(
        self,
        services: Sequence[Service],
        realm: Realm,
        *,
        database: Database,
        authenticator: Authenticator,
        authoriser: Authoriser,
    ) -> None:
        self.services = tuple(services)
        self._realm = realm
        self._database = database
        self._authenticator = authenticator
        self._authoriser = authoriser
        self._audit = Audit(database)
        self.faults = Faults(database, realm.now)
        self._by_path = [service for service in services if service.path_prefix]
        self._by_scope = {scope: service for service in services if not service.path_prefix for scope in service.scopes}
        self._by_target = {service.target_prefix: service for service in services if service.target_prefix}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        head = head_of(scope)
        if not own_host(head.header("host"), self._realm.hosts):
            text = "Host is not a loopback name" + (
                f" nor one of {', '.join(self._realm.hosts)}" * bool(self._realm.hosts)
            )
            await respond(send, HttpResponse(403, {"content-type": "text/plain"}, f"{text}\n".encode()))
            return
        try:
            answer = await self._answer(head, receive)
        except ConnectionLost:
            await lose(scope, receive)
            return
        await respond(send, answer, head=head.method == "HEAD")

    async def _answer(self, head: HttpRequest, receive: Receive) -> HttpResponse:
        request_id, ahead = str(uuid4()), Ahead()
        service: Service | None = None
        try:
            signature = read_untrusted(head)
            service = self._service_of_head(head, signature)
            body = await read_body(receive, service.body_limit_bytes if service else 1 << 16)
            request = head.with_body(body)
            service = service or self._service_of_form(request)
            ahead = self.faults.of(service.name)
            answer = await self._serve(service, request, signature, request_id=request_id, ahead=ahead)
        except AwsError as error:
            answer = self._refused(service, head, error, request_id=request_id, ahead=ahead)
        except ConnectionLost:
            raise
        except Exception as error:  # noqa: BLE001 - a peer's bytes must never end the connection without an answer
            protocol = service.model.protocol if service else "query"
            error = _internal(protocol, error, "reading a request")
            answer = self._refused(service, head, error, request_id=request_id, ahead=ahead)
        answer.headers.setdefault("x-amzn-requestid", request_id)
        answer.headers.setdefault("x-amz-request-id", request_id)
        # SDKs learn from it how far their own clock is off.
        answer.headers.setdefault("date", http_date(int(self._realm.now() + ahead.clock_offset)))
        return answer

    # Which service -----------------------------------------------------------------------------------------------

    def _service_of_head(self, head: HttpRequest, signature: Signature | SignatureFault) -> Service | None:
        """The service that the signature or the headers name; None where the body must tell."""
        if isinstance(signature, Signature):
            for service in self._by_path:
                if signature.service in service.scopes and head.path.startswith(service.path_prefix):
                    return service
            if signature.service in self._by_scope:
                return self._by_scope[signature.service]
            served = ", ".join(sorted(service.name for service in self.services))
            raise _unknown(_protocol_of(head), f"{signature.service} is not part of this cloud, which serves {served}")
        if prefix := head.header("x-amz-target").rpartition(".")[0]:
            if prefix in self._by_target:
                return self._by_target[prefix]
            raise AwsError("UnknownOperationException", "", status=400)
        if head.header("content-type").startswith(_FORM) or head.argument("Action"):
            return None
        return self._path_service(head)

    def _path_service(self, head: HttpRequest) -> Service:
        """Unsigned and without a target: EKS by its paths, else S3, where anonymous requests are lawful."""
        eks, s3 = self._by_scope.get("eks"), self._by_scope.get("s3")
        if eks and (s3 is None or head.path.startswith("/clusters/")):
            return eks
        if s3:
            return s3
        raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", status=403)

    def _service_of_form(self, request: HttpRequest) -> Service:
        version = dict(form_fields(request)).get("Version", "")
        return self._by_scope["iam" if version == "2010-05-08" else "sts"]

    # One call ----------------------------------------------------------------------------------------------------

    async def _serve(
        self,
        service: Service,
        request: HttpRequest,
        signature: Signature | SignatureFault,
        *,
        request_id: str,
        ahead: Ahead,
    ) -> HttpResponse:
        model, now = service.model, self._realm.now() + ahead.clock_offset
        proven = self._authenticator.authenticate(
            request, signature, protocol=model.protocol, scopes=service.scopes, now=now
        )
        asked = service.addressed(proven.request) if service.addressed else proven.request
        meant = operation_meant(model, service.table, asked)
        operation = service.table.get(meant.operation)
        if operation is None or not operation.unsigned:
            must_be_signed(proven.caller, model.protocol)
        call = Call(
            service=service.name,
            prefix=service.iam_prefix,
            operation=meant.operation,
            params={},
            caller=proven.caller,
            account=self._realm.account,
            region=signature.region if isinstance(signature, Signature) else self._realm.region,
            request=asked,
            request_id=request_id,
            now=now,
            decide=self._authoriser.decide,
        )
        call.denial = lambda decision, target: denied(service, call, decision, target)
        if ahead.due:
            call.notes["faults"] = ahead.met  # filled when the call meets them
        try:
            await ahead.before(meant.operation, model.protocol)
            answer = await self._run(service, operation, meant, call=call, ahead=ahead)
        except AwsError as error:
            return self._failed(service, call, error)
        except ConnectionLost:
            self._audit.write(line_of(call, service.model, code="ConnectionLost", status=0))
            raise
        except Exception as error:  # noqa: BLE001 - whatever breaks inside, the peer gets AWS's word for it and we log it
            return self._failed(service, call, _internal(model.protocol, error, f"{call.service} {call.operation}"))
        if answer is None:
            raise ConnectionLost(call.operation)
        return answer

    async def _run(
        self, service: Service, operation: Operation | None, meant: Meant, *, call: Call, ahead: Ahead
    ) -> HttpResponse | None:
        """The answer, with its line in the audit written; None where it is to be lost."""
        if operation is None:
            raise _not_here(service, meant)
        call.params = read_parameters(service.model, meant, call.request)
        if operation.validated:
            found = violations(service.model.operation(operation.name).input_shape, call.params)
            if found:
                raise service.invalid(sentence(found))
        if operation.waits:
            authorise(operation, call)
            made = operation.run(call)
            assert isinstance(made, Awaitable)
            return self._settled(service, operation, await made, call=call, ahead=ahead)
        # One transaction with the line in the audit: a process that is killed leaves both or neither.
        with self._database.transaction():
            authorise(operation, call)
            made = operation.run(call)
            assert not isinstance(made, Awaitable)
            return self._settled(service, operation, made, call=call, ahead=ahead)

    def _settled(
        self, service: Service, operation: Operation, result: Answer, *, call: Call, ahead: Ahead
    ) -> HttpResponse | None:
        if operation.target is INSIDE and not call.decisions:
            raise RuntimeError(f"{service.name} {operation.name} answered without asking for permission")
        answer = (
            result
            if isinstance(result, HttpResponse)
            else write_result(
                service.model, operation.name, result or {}, request_id=call.request_id, root=operation.root
            )
        )
        if isinstance(result, Mapping):
            call.answer = result
        if ahead.loses_answer(operation.name):
            self._audit.write(line_of(call, service.model, code="ConnectionLost", status=0))
            return None
        self._audit.write(line_of(call, service.model, code="Success", status=answer.status))
        return answer

    # Refusals ----------------------------------------------------------------------------------------------------

    def _failed(self, service: Service, call: Call, error: AwsError) -> HttpResponse:
        status = error.status or service.model.status_of(error.code)
        self._audit.write(line_of(call, service.model, code=error.code, status=status, message=error.message))
        return write_error(
            service.model.protocol,
            error,
            status=status,
            request_id=call.request_id,
            head=call.request.method == "HEAD",
        )

    def _refused(
        self, service: Service | None, head: HttpRequest, error: AwsError, *, request_id: str, ahead: Ahead
    ) -> HttpResponse:
        protocol = service.model.protocol if service else _protocol_of(head)
        status = error.status or (service.model.status_of(error.code) if service else 400)
        line = refused_line(
            service=service.name if service else "",
            request_id=request_id,
            now=self._realm.now() + ahead.clock_offset,
            request=head,
            code=error.code,
            status=status,
            message=error.message,
        )
        if ahead.met:
            line["notes"]["faults"] = ahead.met
        self._audit.write(line)
        answer = write_error(protocol, error, status=status, request_id=request_id, head=head.method == "HEAD")
        # Where the protocol is a guess, this is what clients of the others look for.
        answer.headers.setdefault("x-amzn-errortype", error.code)
        return answer


def _not_here(service: Service, meant: Meant) -> AwsError:
    """AWS knows the operation and this cloud does not: say so, in the form AWS uses for one it does not know."""
    return _unknown(service.model.protocol, f"{meant.operation} is not part of this cloud's {service.name}")


def _protocol_of(head: HttpRequest) -> str:
    """The protocol that a request to an unknown service looks like. XML, the last, no client chokes on."""
    if head.header("x-amz-target"):
        return "json"
    if head.header("content-type").startswith(_FORM) or head.argument("Action"):
        return "query"
    return "rest-json" if head.header("content-type").startswith("application/json") else "rest-xml"


def _unknown(protocol: str, text: str) -> AwsError:
    if protocol == "query":
        return AwsError("InvalidAction", text, status=400)
    if protocol == "rest-xml":
        return AwsError("NotImplemented", text, status=501)
    return AwsError("UnknownOperationException", text, status=400 if protocol == "json" else 404)


def _internal(protocol: str, error: Exception, doing: str) -> AwsError:
    if isinstance(error, Transient):
        _LOG.warning("%s: %s", doing, error)
        return AwsError("ServiceUnavailable", "The service is temporarily unavailable.", status=503)
    # The trace shows code, never values; the text of an unforeseen error could quote a parameter.
    _LOG.error("%s failed: %s", doing, error if isinstance(error, KeylessError) else type(error).__name__)
    if not isinstance(error, KeylessError):
        _LOG.error("".join(traceback.format_tb(error.__traceback__)))
    codes = {"rest-xml": "InternalError", "query": "InternalFailure"}
    return AwsError(codes.get(protocol, "InternalServerException"), "An internal error occurred.", status=500)
