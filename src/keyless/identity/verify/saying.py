"""What AWS's and the network's own words in a component's report mean, where no policy that can be read says it. Pure.

Service control policies, resource control policies and endpoint policies are not readable from the account or the
cluster; AWS names them in its refusal, though. A name that is not found, a silent endpoint, a proxy and a clock that
differs show in the SDK's error alone. Sentences: facts/identity.md#denials.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from keyless.api import Reason


@dataclass(frozen=True, slots=True)
class Meaning:
    """The reason, and what is to be done by whom."""

    reason: Reason
    advice: str


_NODE = re.compile(r":assumed-role/(?P<role>[^/\s]+)/i-[0-9a-f]{8,17}\b", re.ASCII)
_ORGANIZATION = (
    "your organization refuses it: its administrator sees which statement in the management account; "
    "no policy of this account can allow it"
)
_ENDPOINT_POLICY = (
    "the policy of the VPC endpoint that the pod's calls go through refuses it: aws ec2 describe-vpc-endpoints shows "
    "its PolicyDocument, which must allow this action to this role"
)
_UNREACHABLE = (
    "the pod does not reach the endpoint: its name must resolve there (a VPC without a NAT gateway needs an interface "
    "endpoint with private DNS names on), and security groups and NetworkPolicies must let port 443 out"
)
_PROXY = "the pod's proxy does not lead there: HTTPS_PROXY must be reachable, or NO_PROXY hold the endpoint's name"
_CLOCK = (
    "the clocks of the node, or of the API server that signs tokens, and AWS's differ by more than five minutes: "
    "set the node's time (chronyc tracking), the condition follows within minutes"
)
_TABLE: tuple[tuple[re.Pattern[str], Reason, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.ASCII), reason, advice)
    for pattern, reason, advice in (
        (r"\b(service|resource) control policy\b", Reason.ORGANIZATION_DENIES, _ORGANIZATION),
        (r"\bVPC endpoint policy\b", Reason.ENDPOINT_POLICY_DENIES, _ENDPOINT_POLICY),
        (r"RequestTimeTooSkewed|Signature (not yet current|expired)", Reason.CLOCK_DIFFERS, _CLOCK),
        (r"Token (issued in the future|not yet valid)", Reason.CLOCK_DIFFERS, _CLOCK),
        (r"ProxyConnectionError|Failed to connect to proxy", Reason.ENDPOINT_UNREACHABLE, _PROXY),
        (r"EndpointConnectionError|Could not connect to the endpoint", Reason.ENDPOINT_UNREACHABLE, _UNREACHABLE),
        (r"ConnectTimeout(Error)?|Connect timeout on endpoint", Reason.ENDPOINT_UNREACHABLE, _UNREACHABLE),
        (r"Name or service not known|dns error|failed to lookup", Reason.ENDPOINT_UNREACHABLE, _UNREACHABLE),
    )
)


def meaning(message: str) -> Meaning | None:
    """What a refusal says of itself; ``None`` where it says no more than that it refuses."""
    return next((Meaning(reason, advice) for pattern, reason, advice in _TABLE if pattern.search(message)), None)


def node_role(message: str, role: str) -> str:
    """The role of the node, where a session of an instance did or tried the work in place of ``role``; else empty."""
    found = _NODE.search(message)
    return found["role"] if found and found["role"] != role else ""
