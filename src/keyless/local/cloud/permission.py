"""May the caller do this, and how the service says no: the same for a request and for a call of one service to another.

The decision is ``authorise.py``'s, by way of the call.
"""

from __future__ import annotations

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.denials import authorization_id
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.service import INSIDE, OPEN, Operation, Service
from keyless.policy import Decision, access_denied


def authorise(operation: Operation, call: Call) -> None:
    """Ask for everything that the operation touches; raises the service's refusal."""
    if operation.target is INSIDE or operation.target is OPEN:
        return
    assert callable(operation.target)
    found = operation.target(call)
    for target in (found,) if isinstance(found, Target) else found:
        call.authorise(target)


def _details(identifier: str) -> str:
    """As AWS's text goes on, with our command in place of the link to its console."""
    return (
        f". Run keyless explain --event {identifier} for complete details, or call the GetRequestAuthorizationDetails"
        f" API with the following authorization id: {identifier}"
    )


def denied(service: Service, call: Call, decision: Decision, target: Target) -> AwsError:
    """The refusal of a decision, in the words of the service."""
    if service.denied:
        return service.denied(call, target)
    json = service.model.protocol in {"json", "rest-json"}
    code = service.denied_code or ("AccessDeniedException" if json else "AccessDenied")
    text = access_denied(decision, resource=target.label or None)
    if service.explains_refusals:
        text += _details(authorization_id(call.request_id))
    return AwsError(code, text, status=400 if service.model.protocol == "json" else 403)
