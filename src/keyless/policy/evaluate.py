"""Decide a request under all policies that bear on it. Pure; never raises.

The order is identity.md §2.1: any matching Deny anywhere; resource control policies; service control policies; the
resource's policy; identity policies; the permissions boundary; session policies; else an implicit deny. Within one
account identity *or* resource policy is enough, except where the resource's policy must agree (role trust, KMS keys).

What could not be read is taken at its best first: if even then the answer is no, it is a certain no; otherwise it is
Unknown, because what was not read may hold a Deny.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from keyless.policy.context import Context
from keyless.policy.model import Layer, Named, Outcome, Policies, Request, Source, StatementTrace, Unreadable
from keyless.policy.principals import Grant
from keyless.policy.statements import Facts, Statement

_ALWAYS_ALLOWED = "sts:getcalleridentity"
# Actions on a role that its trust policy alone, or first, decides.
_TRUST_PREFIXES = ("sts:assumerole", "sts:tagsession", "sts:setsourceidentity")
_OWN_ACCOUNT_KINDS = ("AssumedRole", "User", "Root")


@dataclass(frozen=True, slots=True)
class _Match:
    """A statement that applied, and where it stands."""

    layer: Layer
    document: str
    statement: Statement


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a request and everything that led to it.

    ``layer``: the kind of policy that decided: it holds the Deny, lacks the Allow, or gave the Allow; ``None`` where no
    policy was asked (GetCallerIdentity, the root user's own rights). ``unread``: what could not be read, "name: why".
    """

    outcome: Outcome
    layer: Layer | None
    unread: tuple[str, ...]
    request: Request = field(repr=False)
    policies: Policies = field(repr=False)
    match: _Match | None = field(default=None, repr=False)

    @property
    def allowed(self) -> bool:
        """True only for a certain Allow."""
        return self.outcome is Outcome.ALLOWED

    @property
    def decided_by(self) -> StatementTrace | None:
        """The statement that denied or allowed; ``None`` for an implicit deny."""
        if self.match is None:
            return None
        facts = _facts(self.request, self.policies)
        return self.match.statement.trace(facts, layer=self.match.layer, document=self.match.document)

    @property
    def trace(self) -> tuple[StatementTrace, ...]:
        """Every statement of every readable document, in the order of evaluation; computed when asked."""
        facts = _facts(self.request, self.policies)
        return tuple(
            statement.trace(facts, layer=layer, document=source.name)
            for layer, sources in _layers(self.policies)
            for source in sources
            if isinstance(source, Named)
            for statement in source.document.statements
        )


@dataclass(slots=True, eq=False)
class _Finding:
    """What a union of documents says: a Deny that applies, and its best Allow (at its best, if one is unreadable).

    Never changed; not frozen for its price, as :class:`Facts`.
    """

    grant: Grant
    match: _Match | None = None
    denied: _Match | None = None


_NOTHING = _Finding(Grant.NONE)


def evaluate(request: Request, policies: Policies) -> Decision:
    """Decide ``request`` under ``policies``; never raises."""
    facts = _facts(request, policies)
    if facts.action == _ALWAYS_ALLOWED:
        return Decision(Outcome.ALLOWED, None, (), request, policies)
    layers = _layers(policies)
    unread = tuple([f"{s.name}: {s.why}" for _, sources in layers for s in sources if isinstance(s, Unreadable)])
    findings = [(layer, _scan(sources, layer, facts) if sources else _NOTHING) for layer, sources in layers]
    for layer, finding in findings:
        if finding.denied:
            return Decision(Outcome.EXPLICIT_DENY, layer, unread, request, policies, finding.denied)
    lacking, match = _compose(request, policies, findings)
    if lacking:
        return Decision(Outcome.IMPLICIT_DENY, lacking, unread, request, policies)
    outcome = Outcome.UNKNOWN if unread else Outcome.ALLOWED
    return Decision(outcome, match.layer if match else None, unread, request, policies, match)


def _compose(
    request: Request, policies: Policies, findings: list[tuple[Layer, _Finding]]
) -> tuple[Layer | None, _Match | None]:
    """Without a Deny: the layer that lacks an Allow, or the match that gives it."""
    *guards, (_, resource), (_, identity), (_, boundary), (_, session) = findings
    if guards and ":role/aws-service-role/" not in request.principal.role_arn:
        lacking = next((layer for layer, finding in guards if not finding.grant), None)
        if lacking:
            return lacking, None
    limits: tuple[Layer, ...] = ()
    if policies.boundary is not None and not boundary.grant:
        limits = (Layer.BOUNDARY,)
    if policies.session and not session.grant:
        limits = (*limits, Layer.SESSION)
    return _grant(_Question(request, policies, resource, identity, limits))


@dataclass(slots=True, eq=False)
class _Question:
    """What is left when no Deny and no guard decided; ``limits``: boundary or session policies without an Allow."""

    request: Request
    policies: Policies
    resource: _Finding
    identity: _Finding
    limits: tuple[Layer, ...]


def _grant(q: _Question) -> tuple[Layer | None, _Match | None]:
    principal, granted = q.request.principal, q.resource.grant
    layer = _resource_layer(q.policies)
    if principal.kind not in _OWN_ACCOUNT_KINDS:
        return (None, q.resource.match) if granted else (layer, None)
    across = _is_cross_account(q.request)
    if not granted and (across or _resource_must_agree(q)):
        return layer, None
    if not across:
        if granted is Grant.DIRECT:
            return None, q.resource.match
        if granted is Grant.ROLE:
            return _limited(q, q.resource.match)
    if q.identity.grant or principal.kind == "Root":
        return _limited(q, q.identity.match)
    return Layer.IDENTITY, None


def _limited(q: _Question, match: _Match | None) -> tuple[Layer | None, _Match | None]:
    return (q.limits[0], None) if q.limits else (None, match)


def _resource_must_agree(q: _Question) -> bool:
    """Role trust policies and KMS key policies are never optional (rule 2)."""
    action = q.request.action.lower()
    if action.startswith(_TRUST_PREFIXES):
        return True
    return action.startswith("kms:") and q.policies.resource is not None


def _is_cross_account(request: Request) -> bool:
    account = request.resource_account
    if not account and request.resource.startswith("arn:"):
        segments = request.resource.split(":", 5)
        account = segments[4] if len(segments) == 6 else ""
    return bool(account) and account != request.principal.account


def _scan(sources: tuple[Source, ...], layer: Layer, facts: Facts) -> _Finding:
    """One union of documents; ends at the first Deny that applies."""
    best, match = Grant.NONE, None
    for source in sources:
        if isinstance(source, Unreadable):
            best = Grant.DIRECT
            continue
        for statement in source.document.candidates(facts.vendor):
            if best is Grant.DIRECT and not statement.deny:
                continue
            grant = statement.applies(facts)
            if grant and statement.deny:
                return _Finding(best, match, _Match(layer, source.name, statement))
            if grant > best:
                best, match = grant, _Match(layer, source.name, statement)
    return _Finding(best, match)


def _facts(request: Request, policies: Policies) -> Facts:
    context = Context(request.principal, request.context)
    action = request.action.lower()
    return Facts(
        action=action,
        vendor=action.partition(":")[0],
        resource=request.resource,
        principal=request.principal,
        bounded=policies.boundary is not None,
        context=context,
    )


def _layers(policies: Policies) -> list[tuple[Layer, tuple[Source, ...]]]:
    """All documents in the order of evaluation; ``_compose`` relies on the last four."""
    return [
        *((Layer.RCP, level) for level in policies.rcps),
        *((Layer.SCP, level) for level in policies.scps),
        (_resource_layer(policies), _one(policies.resource)),
        (Layer.IDENTITY, policies.identity),
        (Layer.BOUNDARY, _one(policies.boundary)),
        (Layer.SESSION, policies.session),
    ]


def _resource_layer(policies: Policies) -> Layer:
    source = policies.resource
    return Layer.TRUST if isinstance(source, Named) and source.document.kind == "trust" else Layer.RESOURCE


def _one(source: Source | None) -> tuple[Source, ...]:
    return () if source is None else (source,)
