"""What AWS refuses when a policy is written, beyond what makes a document no policy.

:func:`keyless.policy.parse` reads what is stored somewhere already, and the engine has an answer for each value in it.
Who keeps a new document asks here. Facts: facts/identity.md#storing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from keyless.policy.arns import SEGMENTS, is_arn_pattern
from keyless.policy.conditions import Condition
from keyless.policy.errors import MalformedPolicy
from keyless.policy.globs import matcher, read
from keyless.policy.grammar import GRAMMARS, Voice
from keyless.policy.model import Kind
from keyless.policy.parse import parse
from keyless.policy.principals import PrincipalSet
from keyless.policy.readers import binary, is_writable_network, moment, number
from keyless.policy.statements import Document, Resources

_LEGACY = "The policy failed legacy parsing"
_FEDERATED = "Federated principals must be valid domain names or SAML metadata ARNs"
_PROVIDER = re.compile(r"arn:(?P<partition>[a-z0-9-]+):iam::[0-9]{12}:(oidc-provider|saml-provider)/\S+", re.ASCII)
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_OF_CHINA = ".amazonaws.com.cn"
#: the first letters of an operator's name → whether IAM keeps such a value. Bool and Null: whatever it is
_VALUES: Mapping[str, Callable[[str], object]] = {
    "Numeric": lambda text: number(text) is not None,
    "Date": lambda text: moment(text) is not None,
    "Binary": lambda text: binary(text) is not None,
    "IpAddress": is_writable_network,
    "NotIpAddress": is_writable_network,
}


def parse_to_store(source: str | bytes | Mapping[str, object], kind: Kind, *, partition: str = "aws") -> Document:
    """:func:`keyless.policy.parse` for a document that is being written in an account of ``partition``.

    Raises :class:`MalformedPolicy` with AWS's text; those for condition values but dates are guesses.
    """
    document = parse(source, kind)
    voice = GRAMMARS[kind].voice
    for statement in document.statements:
        for condition in statement.conditions:
            _check_values(condition, voice)
        _check_partition(statement.resources, partition)
        if statement.principals:
            _check_principals(statement.principals, partition)
    return document


def _check_values(condition: Condition, voice: Voice) -> None:
    base = condition.operator.base
    if base.startswith("Arn"):
        if not all(is_arn_pattern(value, variables=condition.variables) for value in condition.expected):
            raise MalformedPolicy(voice.syntax)
        return
    is_kept = next((check for name, check in _VALUES.items() if base.startswith(name)), None)
    if is_kept and not all(map(is_kept, condition.expected)):
        raise MalformedPolicy(_LEGACY if base.startswith("Date") else voice.syntax)


def _check_partition(resources: Resources | None, partition: str) -> None:
    """A pattern that takes in the account's own partition is fine, whatever else it takes in."""
    for pattern in resources.patterns if resources else ():
        named = [*pattern.text.split(":", SEGMENTS - 1), "*"][1]
        if not matcher(read(named, wildcards=True, variables=False))(partition):
            raise MalformedPolicy(f'Partition "{named}" is not valid for resource "{pattern.text}".')


def _check_principals(entries: PrincipalSet, partition: str) -> None:
    for arn in sorted(entries.aws | entries.roots):
        if arn.startswith("arn:") and arn.split(":")[1] != partition:
            raise MalformedPolicy(f'Invalid principal in policy: "AWS":"{arn}"')
    for service in sorted(entries.services):
        if service.endswith(_OF_CHINA) and partition != "aws-cn":
            raise MalformedPolicy(f'Invalid principal in policy: "SERVICE":"{service}"')
    for provider in sorted(entries.federated):
        found = _PROVIDER.fullmatch(provider)
        if not (found["partition"] == partition if found else _DOMAIN.fullmatch(provider)):
            raise MalformedPolicy(_FEDERATED)
