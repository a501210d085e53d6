"""Parse and compile a policy document, refusing what AWS refuses, in AWS's words.

Sizes and the allowed characters are the caller's: they depend on where a document is stored
(facts/identity.md#quotas). What is refused only when it is written: :mod:`keyless.policy.storing`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from keyless.policy.arns import compile_arn
from keyless.policy.conditions import Condition
from keyless.policy.errors import MalformedPolicy
from keyless.policy.grammar import GRAMMARS, STATEMENT_ELEMENTS, TOP_ELEMENTS, VERSIONS, Grammar, load, strings
from keyless.policy.model import Kind
from keyless.policy.operators import operator
from keyless.policy.principals import PrincipalSet
from keyless.policy.resource_rules import whole_resource
from keyless.policy.statements import Actions, Document, Resources, Statement

_SID = re.compile(r"[0-9A-Za-z]*")
_VENDOR = re.compile(r"[A-Za-z0-9.-]+")
_ACCOUNT = re.compile(r"[0-9]{12}")
_PRINCIPAL_ARN = re.compile(
    r"arn:aws[a-z0-9-]*:(iam::[0-9]{12}:(root|(user|role)/[^*?\s]+)|"
    r"iam::cloudfront:user/CloudFront Origin Access Identity [A-Z0-9]+|"
    r"sts::[0-9]{12}:(assumed-role/[^*?/\s]+/[^*?/\s]+|federated-user/[^*?\s]+))"
)
_UNIQUE_ID = re.compile(r"A[A-Z]{2}A[A-Z0-9]{12,28}")
_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.(amazonaws\.com(\.cn)?|amazon\.com|aws\.internal)")
_ROLE_ACTIONS = (
    "sts:assumerole",
    "sts:assumerolewithsaml",
    "sts:assumerolewithwebidentity",
    "sts:setcontext",
    "sts:setsourceidentity",
    "sts:tagsession",
)


def parse(source: str | bytes | Mapping[str, object], kind: Kind) -> Document:
    """Validate as AWS does and compile; raises :class:`MalformedPolicy` with AWS's text, and nothing else."""
    grammar = GRAMMARS[kind]
    voice = grammar.voice
    content = load(source, voice)
    unknown = next((name for name in content if name not in TOP_ELEMENTS), None)
    if unknown is not None:
        raise MalformedPolicy(voice.unknown.format(unknown))
    version = content.get("Version", VERSIONS[0])
    if version not in VERSIONS or not isinstance(content.get("Id", ""), str):
        raise MalformedPolicy(voice.version)
    listed = content.get("Statement")
    raw = [listed] if isinstance(listed, Mapping) else listed
    if not isinstance(raw, list | tuple) or not raw:
        raise MalformedPolicy(voice.empty)
    variables = version == VERSIONS[1]
    statements = tuple(_statement(item, index, kind, variables) for index, item in enumerate(raw))
    sids = [statement.sid for statement in statements if statement.sid]
    if len(set(sids)) != len(sids):
        raise MalformedPolicy(voice.sids)
    return Document(kind, str(version), statements)


def _statement(raw: object, index: int, kind: Kind, variables: bool) -> Statement:
    grammar = GRAMMARS[kind]
    voice = grammar.voice
    if not isinstance(raw, Mapping):
        raise MalformedPolicy(voice.syntax)
    unknown = next((name for name in raw if name not in STATEMENT_ELEMENTS), None)
    if unknown is not None:
        raise MalformedPolicy(voice.unknown.format(unknown))
    deny = _effect(raw, grammar) == "Deny"
    return Statement(
        index=index,
        sid=_sid(raw, grammar),
        deny=deny,
        principals=_principals(raw, kind, deny),
        actions=_actions(raw, kind),
        resources=_resources(raw, grammar, variables),
        conditions=_conditions(raw, grammar, variables, deny=deny),
    )


def _effect(raw: Mapping[str, object], grammar: Grammar) -> str:
    effect = raw.get("Effect")
    if effect is None:
        raise MalformedPolicy(grammar.voice.effect_missing)
    if effect not in ("Allow", "Deny"):
        voice = grammar.voice
        is_a_case = isinstance(effect, str) and effect.lower() in ("allow", "deny")
        raise MalformedPolicy((voice.effect_case if is_a_case else voice.effect).format(effect))
    return str(effect)


def _sid(raw: Mapping[str, object], grammar: Grammar) -> str:
    sid = raw.get("Sid", "")
    if not isinstance(sid, str):
        raise MalformedPolicy(grammar.voice.syntax)
    # Policies with a Principal accept any text as Sid; identity policies do not.
    if not grammar.principal and not _SID.fullmatch(sid):
        raise MalformedPolicy(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*"
        )
    return sid


def _either(raw: Mapping[str, object], name: str, grammar: Grammar) -> tuple[str, tuple[str, ...]] | None:
    """``Name`` or ``NotName``, whichever is there; both is an error."""
    present = [key for key in (name, f"Not{name}") if key in raw]
    if len(present) == 2:
        raise MalformedPolicy(grammar.voice.syntax)
    if not present:
        return None
    values = strings(raw[present[0]], grammar.voice)
    return (present[0], values) if values else None


def _actions(raw: Mapping[str, object], kind: Kind) -> Actions:
    grammar = GRAMMARS[kind]
    found = _either(raw, "Action", grammar)
    if found is None:
        raise MalformedPolicy(grammar.voice.action_missing)
    element, names = found
    for name in names:
        _check_action(name, kind)
    return Actions.of(tuple(name.lower() for name in names), negated=element == "NotAction")


def _is_role_action(name: str) -> bool:
    """Whether it is one of the actions that a trust policy is about, or a pattern of the vendor that includes one."""
    lowered = name.lower()
    return lowered.startswith("sts:") and any(map(Actions.of((lowered,), negated=False).match, _ROLE_ACTIONS))


def _check_action(name: str, kind: Kind) -> None:
    vendor, colon, rest = name.partition(":")
    if kind == "trust":
        if not _is_role_action(name):
            raise MalformedPolicy("AssumeRole policy may only specify STS AssumeRole actions.")
        return
    if name == "*":
        return
    if not colon or not rest:
        raise MalformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    if ":" in rest:
        raise MalformedPolicy("Actions/Condition can contain only one colon.")
    if vendor != "*" and not _VENDOR.fullmatch(vendor):
        raise MalformedPolicy(f"Vendor {vendor} is not valid")


def _resources(raw: Mapping[str, object], grammar: Grammar, variables: bool) -> Resources | None:
    if not grammar.resource:
        if "Resource" in raw:
            raise MalformedPolicy("Has prohibited field Resource")
        if "NotResource" in raw:
            raise MalformedPolicy("AssumeRole policy must not contain resources.")
        return None
    found = _either(raw, "Resource", grammar)
    if found is None:
        raise MalformedPolicy(grammar.voice.resource_missing)
    element, texts = found
    patterns = []
    for text in texts:
        whole = text if grammar.principal else whole_resource(text)
        pattern = compile_arn(whole, variables=variables) if whole == "*" or whole.startswith("arn:") else None
        if pattern is None:
            raise MalformedPolicy(f'Resource {text} must be in ARN format or "*".')
        patterns.append(pattern)
    return Resources.of(patterns, negated=element == "NotResource")


def _principals(raw: Mapping[str, object], kind: Kind, deny: bool) -> PrincipalSet | None:
    grammar = GRAMMARS[kind]
    present = [key for key in ("Principal", "NotPrincipal") if key in raw]
    if not grammar.principal:
        if present:
            raise MalformedPolicy("Policy document should not specify a principal.")
        return None
    if not present:
        raise MalformedPolicy("Missing required field Principal")
    if len(present) == 2:
        raise MalformedPolicy(grammar.voice.syntax)
    if present == ["NotPrincipal"]:
        if not deny:
            raise MalformedPolicy("Allow with NotPrincipal is not allowed.")
        if kind == "trust":
            raise MalformedPolicy("AssumeRole policy must not contain NotPrincipal field.")
    return _principal_set(raw[present[0]], kind, negated=present == ["NotPrincipal"])


def _principal_set(value: object, kind: Kind, *, negated: bool) -> PrincipalSet:
    if value == "*" and kind != "trust":
        return PrincipalSet(everyone=True, negated=negated)
    if not isinstance(value, Mapping):
        raise MalformedPolicy("Principal must be a JSON object.")
    if not value:
        raise MalformedPolicy("Missing required field Principal cannot be empty!")
    names = {"AWS": set[str](), "Service": set[str](), "Federated": set[str](), "CanonicalUser": set[str]()}
    for key, entries in value.items():
        if key not in names or (key == "CanonicalUser" and kind == "trust"):
            raise MalformedPolicy(f'Invalid principal in policy: "{key}"')
        for entry in strings(entries, GRAMMARS[kind].voice):
            if not _is_principal(str(key), entry):
                raise MalformedPolicy(f'Invalid principal in policy: "{str(key).upper()}":"{entry}"')
            names[key].add(entry)
    aws = names["AWS"]
    roots = {entry for entry in aws if entry.endswith(":root")}
    ids = {entry for entry in aws if _ACCOUNT.fullmatch(entry)}
    return PrincipalSet(
        everyone="*" in aws,
        accounts=frozenset(ids | {entry.split(":")[4] for entry in roots}),
        aws=frozenset(aws - roots - ids - {"*"}),
        services=frozenset(names["Service"]),
        federated=frozenset(names["Federated"]),
        canonical=frozenset(names["CanonicalUser"]),
        negated=negated,
        trust=kind == "trust",
        roots=frozenset(roots),
    )


def _is_principal(key: str, entry: str) -> bool:
    """Shape only: whether the user, role or provider exists is for the service that stores the document."""
    if key == "AWS":
        return bool(
            entry == "*" or _ACCOUNT.fullmatch(entry) or _PRINCIPAL_ARN.fullmatch(entry) or _UNIQUE_ID.fullmatch(entry)
        )
    if key == "Service":
        return bool(_SERVICE.fullmatch(entry))
    return bool(entry) and not any(character in entry for character in "*? ")


def _conditions(raw: Mapping[str, object], grammar: Grammar, variables: bool, *, deny: bool) -> tuple[Condition, ...]:
    block = raw.get("Condition", {})
    if not isinstance(block, Mapping):
        raise MalformedPolicy(grammar.voice.syntax)
    conditions = []
    for name, keys in block.items():
        known = operator(str(name))
        if known is None:
            raise MalformedPolicy(grammar.voice.operator.format(name))
        if not isinstance(keys, Mapping):
            raise MalformedPolicy(grammar.voice.syntax)
        for key, expected in keys.items():
            values = tuple(
                _scalar(value, grammar) for value in (expected if isinstance(expected, list) else [expected])
            )
            if not isinstance(key, str) or not key.strip():
                raise MalformedPolicy(grammar.voice.syntax)
            conditions.append(Condition.of(known, key, values, variables=variables, deny=deny))
    return tuple(conditions)


def _scalar(value: object, grammar: Grammar) -> str:
    """Booleans and numbers in a condition count as their text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise MalformedPolicy(grammar.voice.syntax)
