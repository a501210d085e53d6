"""Decide a request under all policies that bear on it. Pure; never raises.

The order is that of facts/identity.md#order-and-composition: any matching Deny anywhere; resource control policies;
service control policies; the VPC endpoint's policy; the resource's policy; identity policies; the permissions boundary;
session policies; else an implicit deny. Within one account identity *or* resource policy is enough, except where the
resource's policy must agree (role trust, KMS keys).

What could not be read is taken at its best first: if even then the answer is no, it is a certain no; otherwise it is
Unknown, because what was not read may hold a Deny.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from keyless.policy.arns import account_of
from keyless.policy.model import (
    Layer,
    Named,
    Outcome,
    Policies,
    Principal,
    Request,
    Source,
    StatementTrace,
    Unreadable,
    statement_label,
)
from keyless.policy.principals import Grant
from keyless.policy.statements import Facts, Statement

_ALWAYS_ALLOWED = "sts:getcalleridentity"
# Actions on a role that its trust policy alone, or first, decides.
_TRUST_PREFIXES = ("sts:assumerole", "sts:tagsession", "sts:setsourceidentity", "sts:setcontext")
# Callers with policies of their own. The others have no account that acts: only what they ask for speaks for them.
_WITH_POLICIES = ("AssumedRole", "User", "FederatedUser", "Root")
_FEDERATED_USER = ":federated-user/"
_SERVICE_LINKED = ":role/aws-service-role/"
# So that nobody is locked out of a bucket, its account's root user may do these whatever the bucket policy says.
_ROOT_KEEPS = ("s3:getbucketpolicy", "s3:putbucketpolicy", "s3:deletebucketpolicy")
# Names of this module: looking a member up in its class costs as much as half a statement.
_NONE, _ROLE, _DIRECT = Grant.NONE, Grant.ROLE, Grant.DIRECT
_ALLOWED, _EXPLICIT, _IMPLICIT = Outcome.ALLOWED, Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY
_TRUST, _RESOURCE, _IDENTITY = Layer.TRUST, Layer.RESOURCE, Layer.IDENTITY
_BOUNDARY, _SESSION = Layer.BOUNDARY, Layer.SESSION
_LIMITS = (_BOUNDARY, _SESSION)
_GUARDS = (Layer.RCP, Layer.SCP, Layer.ENDPOINT)


# This one and the next are made for each decision, and not frozen: freezing would be a third of a decision's price.
@dataclass(slots=True, eq=False)
class _Match:
    """What a union of documents says at its best: the statement that applies, and where it stands.

    ``statement`` is ``None`` where the best is what a document that could not be read may say.
    """

    grant: Grant
    layer: Layer
    source: Source
    statement: Statement | None


@dataclass(slots=True, eq=False)
class Decision:
    """The answer to a request and everything that led to it; read it, never write to it.

    ``layer``: the kind of policy that decided: it holds the Deny, lacks the Allow, or gave the Allow; ``None`` where no
    policy was asked (GetCallerIdentity, the root user's own rights).
    """

    outcome: Outcome
    layer: Layer | None
    request: Request = field(repr=False)
    policies: Policies = field(repr=False)
    match: _Match | None = field(default=None, repr=False)

    @property
    def allowed(self) -> bool:
        """True only for a certain Allow."""
        return self.outcome is Outcome.ALLOWED

    @property
    def unread(self) -> tuple[str, ...]:
        """What could not be read, "name: why"."""
        layers = _layers(self.request, self.policies)
        return tuple(f"{s.name}: {s.why}" for _, sources in layers for s in sources if isinstance(s, Unreadable))

    @property
    def decided_by(self) -> StatementTrace | None:
        """The statement that denied or allowed; ``None`` for an implicit deny."""
        match = self.match
        if match is None or match.statement is None:
            return None
        facts = _facts(self.request, self.policies)
        return match.statement.trace(facts, layer=match.layer, document=match.source.name)

    @property
    def decided_label(self) -> str | None:
        """The label of ``decided_by``, without evaluating the statement again."""
        match = self.match
        if match is None or match.statement is None:
            return None
        return statement_label(match.statement.index, match.statement.sid, match.source.name)

    @property
    def trace(self) -> tuple[StatementTrace, ...]:
        """Every statement of every readable document, in the order of evaluation; computed when asked."""
        return self._traced(whole=True)

    @property
    def trace_of_action(self) -> tuple[StatementTrace, ...]:
        """The part of the trace that is about the request's action: many documents cost little more than few."""
        return self._traced(whole=False)

    def _traced(self, *, whole: bool) -> tuple[StatementTrace, ...]:
        facts = _facts(self.request, self.policies)
        return tuple(
            statement.trace(facts, layer=layer, document=source.name)
            for layer, sources in _layers(self.request, self.policies)
            for source in sources
            if isinstance(source, Named)
            for statement in source.document.statements
            if whole or statement.actions.match(facts.action)
        )


def evaluate(request: Request, policies: Policies) -> Decision:
    """Decide ``request`` under ``policies``; never raises."""
    facts = _facts(request, policies)
    if facts.action == _ALWAYS_ALLOWED:
        return Decision(_ALLOWED, None, request, policies)
    found: dict[Layer, _Match] = {}
    silent: list[Layer] = []
    for layer, sources in _layers(request, policies):
        match = _scan(sources, layer, facts)
        if match is None:
            silent.append(layer)
        elif match.statement is not None and match.statement.deny:
            return Decision(_EXPLICIT, layer, request, policies, match)
        else:
            found[layer] = match
    lacking, match = _compose(request, policies, found, silent)
    if lacking:
        return Decision(_IMPLICIT, lacking, request, policies)
    outcome = Outcome.UNKNOWN if facts.unread else _ALLOWED
    return Decision(outcome, match.layer if match else None, request, policies, match)


def _scan(sources: tuple[Source, ...], layer: Layer, facts: Facts) -> _Match | None:
    """One union of documents: the first Deny that applies, else the best Allow."""
    best: _Match | None = None
    grant, resource = _NONE, facts.request.resource
    for source in sources:
        document = source.document
        if document is None:
            facts.unread = True
            grant, best = _DIRECT, _Match(_DIRECT, layer, source, None)
            continue
        plan = document.plans.get(facts.action) or document.plan(facts.action)
        if plan.varying:
            plan = plan.about(resource, facts.context())
        for fits, settled, statement in plan.denies:
            if fits(resource) and (settled or statement.means(facts)):
                return _Match(_DIRECT, layer, source, statement)
        if grant is _DIRECT:
            continue
        for fits, settled, statement in plan.allows:
            if fits(resource) and (gives := _DIRECT if settled else statement.means(facts)) > grant:
                grant, best = gives, _Match(gives, layer, source, statement)
                if gives is _DIRECT:
                    break
    return best


def _compose(
    request: Request, policies: Policies, found: dict[Layer, _Match], silent: list[Layer]
) -> tuple[Layer | None, _Match | None]:
    """Without a Deny: the layer that lacks an Allow, or the match that gives it.

    ``found``: the best of each layer; ``silent``: the layers that have none, in their order.
    """
    if silent and silent[0] in _GUARDS:
        return silent[0], None
    limit = next((layer for layer in silent if layer in _LIMITS), None) if silent else None
    kind = request.principal.kind
    layer = _resource_layer(policies)
    resource, identity = found.get(layer), found.get(_IDENTITY)
    granted = resource.grant if resource else _NONE
    if kind not in _WITH_POLICIES:
        return (None, resource) if granted else (layer, None)
    across = _is_cross_account(request)
    if not granted and (across or _resource_must_agree(request, policies)):
        return layer, None
    if granted is _DIRECT and not across:
        return None, resource
    if granted is _ROLE and not across:
        return limit, resource
    if identity or kind == "Root":
        return limit, identity
    return _IDENTITY, None


def _resource_must_agree(request: Request, policies: Policies) -> bool:
    """Role trust policies and KMS key policies are never optional (rule 2)."""
    action = request.action.lower()
    if action.startswith(_TRUST_PREFIXES):
        return _FEDERATED_USER not in request.resource  # tags of a federated user: it has no policy of its own
    return action.startswith("kms:") and policies.resource is not None


def _is_cross_account(request: Request) -> bool:
    account = request.resource_account or account_of(request.resource)
    return bool(account) and account != request.principal.account


def _facts(request: Request, policies: Policies) -> Facts:
    return Facts(request, request.action.lower(), policies.boundary is not None)


def sources_of(request: Request, policies: Policies) -> tuple[Source, ...]:
    """All documents that bear on the caller, in the order of evaluation."""
    return tuple(source for _, sources in _layers(request, policies) for source in sources)


def _layers(request: Request, policies: Policies) -> list[tuple[Layer, tuple[Source, ...]]]:
    """All documents that bear on the caller, in the order of evaluation; ``_compose`` relies on it."""
    layers = _guards(request.principal, policies) if policies.rcps or policies.scps or policies.endpoint else []
    if policies.resource and not _keeps_bucket(request):
        layers.append((_resource_layer(policies), (policies.resource,)))
    if policies.identity:
        layers.append((_IDENTITY, policies.identity))
    if policies.boundary:
        layers.append((_BOUNDARY, (policies.boundary,)))
    if policies.session:
        layers.append((_SESSION, policies.session))
    return layers


def _guards(principal: Principal, policies: Policies) -> list[tuple[Layer, tuple[Source, ...]]]:
    """What an organisation and a VPC endpoint let through.

    Policies of organisations do not touch service-linked roles; service control policies bind the accounts' own users
    and roles only, while resource control policies bind everybody.
    """
    layers: list[tuple[Layer, tuple[Source, ...]]] = []
    if _SERVICE_LINKED not in principal.role_arn:
        layers += [(Layer.RCP, level) for level in policies.rcps]
        if principal.kind in _WITH_POLICIES:
            layers += [(Layer.SCP, level) for level in policies.scps]
    if policies.endpoint:
        layers.append((Layer.ENDPOINT, (policies.endpoint,)))
    return layers


def _keeps_bucket(request: Request) -> bool:
    root = request.principal.kind == "Root" and request.action.lower() in _ROOT_KEEPS
    return root and not _is_cross_account(request)


def _resource_layer(policies: Policies) -> Layer:
    source = policies.resource
    return _TRUST if source and source.document and source.document.kind == "trust" else _RESOURCE
