"""Trust in an issuer that many organisations share must say whom it means.

AWS keeps a list of issuers whose tokens anybody can have: a trust policy that does not evaluate the claim which tells
tenants apart is refused when it is written. Only writing is checked; what is already there goes on working.
Facts: facts/identity.md#shared-issuers.
"""

from __future__ import annotations

import fnmatch
from typing import Any

import orjson

_BY_SUBJECT = (
    "agent.buildkite.com",
    "app.terraform.io",
    "gitlab.com",
    "oidc-configuration.audit-log.githubusercontent.com",
    "oidc.codefresh.io",
    "proidc.upbound.io",
    "scalr.io",
    "studio.datachain.ai/api",
    "tokens.cloud.shisho.dev",
    "vstoken.actions.githubusercontent.com",
)
_BY_AUDIENCE = ("api.pulumi.com/oidc", "cognito-identity.amazonaws.com", "oidc.vercel.com", "sandboxes.cloud")
_AZURE_SENTINEL = "sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d"

_GITHUB = "token.actions.githubusercontent.com"
_ACTION = "sts:assumerolewithwebidentity"
#: only these tell tenants apart, under any quantifier; not with IfExists, which holds where the claim is absent
_OPERATORS = ("StringEquals", "StringLike", "StringEqualsIgnoreCase")

#: issuer (host and path) → the condition keys of which one must be evaluated
REQUIRED: dict[str, tuple[str, ...]] = {
    **{issuer: (f"{issuer}:sub",) for issuer in _BY_SUBJECT},
    **{issuer: (f"{issuer}:aud",) for issuer in _BY_AUDIENCE},
    _AZURE_SENTINEL: ("sts:RoleSessionName",),
    _GITHUB: (f"{_GITHUB}:sub", f"{_GITHUB}:job_workflow_ref"),
}


def unscoped(text: str) -> str:
    """What is wrong with the valid trust policy ``text``, or nothing."""
    for statement in _listed(orjson.loads(text)["Statement"]):
        principal = statement.get("Principal")
        if statement.get("Effect") != "Allow" or not isinstance(principal, dict) or not _lets_in(statement):
            continue
        for provider in _listed(principal.get("Federated", [])):
            keys = _required(provider.partition(":oidc-provider/")[2] or provider)
            if keys and not any(_evaluates(statement.get("Condition", {}), key) for key in keys):
                return (
                    f"Trust policy with trusted principal {provider} must evaluate, using StringEquals, StringLike or "
                    f"StringEqualsIgnoreCase, {' or '.join(keys)} which is not scoped to all."
                )
    return ""


def _lets_in(statement: dict[str, Any]) -> bool:
    if "NotAction" in statement:
        return not _names_the_action(statement["NotAction"])
    return _names_the_action(statement.get("Action", []))


def _names_the_action(patterns: Any) -> bool:
    return any(fnmatch.fnmatchcase(_ACTION, pattern.lower()) for pattern in _listed(patterns))


def _required(issuer: str) -> tuple[str, ...]:
    """An enterprise of GitHub has a path of its own under the issuer, and the same two claims."""
    if issuer.startswith(f"{_GITHUB}/"):
        return f"{issuer}:sub", f"{issuer}:job_workflow_ref"
    return REQUIRED.get(issuer, ())


def _evaluates(conditions: dict[str, dict[str, Any]], key: str) -> bool:
    """Whether some operator tests ``key`` against values none of which begins with a wildcard."""
    return any(
        tested.lower() == key.lower() and all(_is_scoped(str(value)) for value in _listed(values))
        for operator, tests in conditions.items()
        if operator.rpartition(":")[2] in _OPERATORS
        for tested, values in tests.items()
    )


def _is_scoped(value: str) -> bool:
    return bool(value) and not value.startswith(("*", "?"))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
