"""AWS's own AccessDenied sentences (facts/identity.md#denials), for the caller who was refused.

They name the kind of policy, a managed one that denies by its ARN, and nothing of its content; the content is for
:mod:`keyless.policy.explain`.
"""

from __future__ import annotations

from keyless.policy.evaluate import Decision
from keyless.policy.model import Layer, Outcome

# Where a call has no resource, these two end the sentence; the others say "on resource: *".
_SILENT_WITHOUT_RESOURCE = ("s3:", "secretsmanager:")
_ARTICLES = {Layer.IDENTITY: "an", Layer.TRUST: "the"}


def access_denied(decision: Decision, *, resource: str | None = None) -> str:
    """AWS's AccessDenied text for a decision that is no Allow; ``resource`` as the service words it, if not the ARN.

    S3 quotes the ARN, IAM says "role NAME": each service passes its own wording. A caller without a name (anonymous)
    gets the two words that S3 gives.
    """
    request, layer = decision.request, decision.layer
    caller = request.principal.arn or request.principal.service
    if not caller:
        return "Access Denied"
    place = request.resource if resource is None else resource
    silent = place == "*" and request.action.startswith(_SILENT_WITHOUT_RESOURCE)
    on = "" if silent else f" on resource: {place}"
    start = f"User: {caller} is not authorized to perform: {request.action}{on}"
    if decision.outcome is Outcome.EXPLICIT_DENY and layer:
        return f"{start} with an explicit deny in {_ARTICLES.get(layer, 'a')} {layer.value}{_named(decision)}"
    if layer in (None, Layer.TRUST):
        # STS does not say that the trust policy is what lacks the Allow.
        return start
    return f"{start} because no {layer.value} allows the {request.action} action"


def _named(decision: Decision) -> str:
    """The ARN of the managed policy that denies; inline policies have none, and are not named."""
    name = decision.match.source.name if decision.match else ""
    return f": {name}" if name.startswith("arn:") else ""
