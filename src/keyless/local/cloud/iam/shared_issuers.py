"""Trust in an issuer that many organisations share must say whom it means (identity.md Q4).

AWS keeps a list of issuers whose tokens anybody can have: a trust policy that does not evaluate the claim which tells
tenants apart is refused when it is written. Only writing is checked; what is already there goes on working.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc_secure-by-default.html
"""

from __future__ import annotations

import fnmatch
from typing import Any

import orjson

#: issuer (host and path) → the claims of which one must be evaluated, as condition keys
_BY_SUBJECT = (
    "agent.buildkite.com",
    "app.terraform.io",
    "gitlab.com",
    "oidc-configuration.audit-log.githubusercontent.com",
    "oidc.codefresh.io",
    "proidc.upbound.io",
    "scalr.io",
    "studio.datachain.ai/api",
    "token.actions.githubusercontent.com",
    "tokens.cloud.shisho.dev",
    "vstoken.actions.githubusercontent.com",
)
_BY_AUDIENCE = ("api.pulumi.com/oidc", "cognito-identity.amazonaws.com", "oidc.vercel.com", "sandboxes.cloud")
_AZURE_SENTINEL = "sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d"

REQUIRED = {
    **{issuer: f"{issuer}:sub" for issuer in _BY_SUBJECT},
    **{issuer: f"{issuer}:aud" for issuer in _BY_AUDIENCE},
    _AZURE_SENTINEL: "sts:RoleSessionName",
}
_NEGATED = ("StringNotEquals", "StringNotLike", "StringNotEqualsIgnoreCase")
_ACTION = "sts:assumerolewithwebidentity"


def unscoped(text: str) -> str:
    """What is wrong with the valid trust policy ``text``, or nothing."""
    for statement in _listed(orjson.loads(text)["Statement"]):
        principal, actions = statement.get("Principal"), _listed(statement.get("Action", []))
        if statement.get("Effect") != "Allow" or not isinstance(principal, dict):
            continue
        if not any(fnmatch.fnmatchcase(_ACTION, action.lower()) for action in actions):
            continue
        for provider in _listed(principal.get("Federated", [])):
            required = REQUIRED.get(provider.partition(":oidc-provider/")[2] or provider)
            if required and not _evaluates(statement.get("Condition", {}), required):
                return f"Trust in the shared identity provider {provider} must evaluate the condition key {required}"
    return ""


def _evaluates(conditions: dict[str, dict[str, Any]], key: str) -> bool:
    """Whether some operator tests ``key`` against a value that is more than a wildcard."""
    for operator, tests in conditions.items():
        name = operator.removesuffix("IfExists").rpartition(":")[2]
        if name in _NEGATED or name == "Null":
            continue
        for tested, values in tests.items():
            if tested.lower() == key.lower() and all(str(value).strip("*?") for value in _listed(values)):
                return True
    return False


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
