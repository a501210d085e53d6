"""The links between cluster and AWS of IRSA: the OIDC provider and its client ids. Pure."""

from __future__ import annotations

import shlex

from keyless.api import Arn, Reason
from keyless.identity.verify.model import STS_AUDIENCE, Cluster, Facts, Link, Provider, State, Unread


def provider_is_registered(facts: Facts) -> Link | None:
    """IAM of the role's account knows the issuer of the cluster, by its exact URL."""
    if facts.by_association or not facts.role_arn:
        return None
    if isinstance(facts.cluster, Unread):
        return Link(
            "OIDC provider", State.UNKNOWN, "a provider for the cluster's issuer", f"issuer {facts.cluster.why}"
        )
    expected = f"IAM has an OIDC provider for {facts.cluster.issuer}"
    if isinstance(facts.providers, Unread):
        return Link("OIDC provider", State.UNKNOWN, expected, f"providers {facts.providers.why}")
    exact = provider_of(facts, facts.cluster)
    if exact:
        return Link("OIDC provider", State.HELD, expected, exact.arn)
    same = next((p for p in facts.providers if p.arn == facts.cluster.provider_arn), None)
    if same:
        return _differs(facts, facts.cluster, same, expected)
    others = ", ".join(sorted(provider.url for provider in facts.providers)) or "none"
    meant = "".join(f"; {told}" for each in facts.providers if (told := _is_not(each, facts.cluster)))
    found = f"no such provider (there are: {others}{meant}): STS answers InvalidIdentityToken"
    fix = _create(facts.cluster, (audience_of(facts),))
    return Link("OIDC provider", State.BROKEN, expected, found, Reason.OIDC_PROVIDER_MISSING, fix)


def _is_not(provider: Provider, cluster: Cluster) -> str:
    """Why a provider that was meant for this cluster is not its own; empty where it is somebody else's."""
    if "$" in provider.url or "<" in provider.url or "YOUR_" in provider.url:
        return f"in https://{provider.url} a placeholder still stands, which no token has: remove that one"
    host, issuer = provider.url.partition("/")[0], cluster.issuer.partition("://")[2]
    if host.partition(":")[0] != cluster.host_path.partition("/")[0] or provider.url == issuer:
        return ""
    lacks = [word for word, is_there in (("port", ":" in host), ("path", "/" in provider.url)) if not is_there]
    what = f"lacks the {' and the '.join(lacks)}" if lacks else "has another port or path"
    return f"https://{provider.url} {what}"


def _differs(facts: Facts, cluster: Cluster, same: Provider, expected: str) -> Link:
    """IAM leaves the port out of the ARN, so the one that differs must go before the right one can come."""
    lacks = " it lacks the port" if same.url == cluster.host_path else ""
    found = f"{same.arn} has the URL https://{same.url}, which differs from iss:{lacks or ' see the expected one'}"
    delete = f"aws iam delete-open-id-connect-provider --open-id-connect-provider-arn {shlex.quote(same.arn)}"
    clients = tuple(dict.fromkeys((*same.client_ids, audience_of(facts))))
    return Link(
        "OIDC provider",
        State.BROKEN,
        expected,
        f"{found}; STS answers InvalidIdentityToken",
        Reason.OIDC_PROVIDER_DIFFERS,
        f"{delete} && {_create(cluster, clients)}",
        advice="replaces the provider; its client ids stay, and tokens of its old URL, which no cluster has, end",
    )


def provider_of(facts: Facts, cluster: Cluster) -> Provider | None:
    """The provider whose URL is exactly the issuer, in the account of the role."""
    if isinstance(facts.providers, Unread):
        return None
    url = cluster.issuer.partition("://")[2]
    return next((p for p in facts.providers if p.url == url and Arn.parse(p.arn).account == cluster.account), None)


def _create(cluster: Cluster, client_ids: tuple[str, ...]) -> str:
    return f"aws iam create-open-id-connect-provider --url {cluster.issuer} --client-id-list {' '.join(client_ids)}"


def audience_of(facts: Facts) -> str:
    """The audience of the component's tokens: what its pods mount, else the default."""
    return next((pod.token_audience for pod in facts.pods if pod.token_audience), STS_AUDIENCE)


def audience_is_registered(facts: Facts) -> Link | None:
    """The audience of the tokens is one of the provider's client ids."""
    if facts.by_association or isinstance(facts.cluster, Unread):
        return None
    provider = provider_of(facts, facts.cluster)
    if provider is None:
        return None
    audience = audience_of(facts)
    expected = f"the provider's client ids hold {audience}"
    if audience in provider.client_ids:
        return Link("audience", State.HELD, expected, ", ".join(provider.client_ids))
    found = f"client ids: {', '.join(provider.client_ids) or 'none'}: STS answers InvalidIdentityToken"
    fix = (
        "aws iam add-client-id-to-open-id-connect-provider "
        f"--open-id-connect-provider-arn {provider.arn} --client-id {audience}"
    )
    return Link("audience", State.BROKEN, expected, found, Reason.AUDIENCE_NOT_REGISTERED, fix)
