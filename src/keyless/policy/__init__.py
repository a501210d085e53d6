"""The IAM policy language: parse, evaluate, explain, analyse, pack. Pure: everything is told.

    document = parse(text, "identity")                          # MalformedPolicy carries AWS's text
    policies = Policies(identity=(Named("inline policy billing", document),))
    request = Request("s3:PutObject", "arn:aws:s3:::bucket/key", principal, {"aws:SourceIp": "10.0.0.1"})
    decision = evaluate(request, policies)
    decision.allowed, decision.outcome                          # Allowed | ExplicitDeny | ImplicitDeny | Unknown
    decision.layer, decision.decided_by, decision.trace         # kind of policy, the statement, all statements
    explain(decision)                                           # lines for a person
    denied_within(request, policies, "arn:aws:s3:::bucket/*")   # the decision on a part that a Deny refuses, or None
    granted_within(request, policies, "arn:aws:s3:::bucket/*")  # a resource of each part that an Allow is about
    access_denied(decision)                                     # AWS's own sentence for the caller

``parse_to_store`` also refuses what AWS refuses in a document that is being written. Documents are compiled; keep
them: they remember their statements by action. The trace is made when it is
asked for. ``resource`` of :class:`Policies` is the trust policy for ``sts:AssumeRole*``; parse it as kind "trust".
AssumeRoleWithWebIdentity: principal of kind "WebIdentity" with ``federated`` the provider's ARN and ``account`` the
provider's account, context ``{host/path}:aud|sub|…``. Levels of an organisation are tuples of tuples (``scps``,
``rcps``); a resource of another account is told by its ARN or by ``Request.resource_account``.

Trust: ``admitted(trust)`` lists who a trust policy lets in by web identity; ``admits_all(a, b)`` proves that ``a``
admits everything that ``b`` admits; ``pack(subjects, …)`` shards subjects over trust policies under a quota;
``size(text)`` counts as AWS counts.
"""

from keyless.policy.admission import Admission, admitted
from keyless.policy.coverage import admits_all
from keyless.policy.errors import MalformedPolicy
from keyless.policy.evaluate import Decision, evaluate
from keyless.policy.explain import explain
from keyless.policy.messages import access_denied
from keyless.policy.model import (
    ConditionTrace,
    ContextValue,
    Kind,
    Layer,
    Named,
    Outcome,
    Policies,
    Principal,
    PrincipalKind,
    Request,
    Source,
    StatementTrace,
    Unreadable,
)
from keyless.policy.packing import Shard, pack, size, web_identity_trust
from keyless.policy.parse import parse
from keyless.policy.statements import Document
from keyless.policy.storing import parse_to_store
from keyless.policy.within import denied_within, granted_within

__all__ = [
    "Admission",
    "ConditionTrace",
    "ContextValue",
    "Decision",
    "Document",
    "Kind",
    "Layer",
    "MalformedPolicy",
    "Named",
    "Outcome",
    "Policies",
    "Principal",
    "PrincipalKind",
    "Request",
    "Shard",
    "Source",
    "StatementTrace",
    "Unreadable",
    "access_denied",
    "admits_all",
    "admitted",
    "denied_within",
    "evaluate",
    "explain",
    "granted_within",
    "pack",
    "parse",
    "parse_to_store",
    "size",
    "web_identity_trust",
]
