"""What is to be published, and what is unsafe about it. Pure.

A key that signs before everybody who caches the old set can know it makes tokens that are refused; one that is taken
away while its tokens live makes them refused for good. So keys are added at once, whoever signs, and leave when the
last of their tokens has ended. AWS keeps a set for a time that it does not publish; the wait is what it is told to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from keyless.identity.issuer.model import PRIVATE_MEMBERS
from keyless.identity.publishing.model import DISCOVERY, RECORD, VERSION, Documents, Jwk, Place, Published, Record, Seen

CACHE_SECONDS = 86_400
TOKEN_SECONDS = 86_400
"""The longest life that the webhook's tokens have by default; a cluster may be told to allow more."""
_FLAG = "--service-account-issuer"
_PRIVATE = (".local", ".svc", ".internal", ".localhost", "localhost")
_MOST_URL = 255


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about it: ``unsafe`` where tokens are refused, or would be; ``advice`` says what to do."""

    says: str
    advice: str = ""
    unsafe: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """``refused`` are reasons to publish nothing; ``documents`` is empty where all is as it should be already."""

    documents: Documents
    findings: tuple[Finding, ...]
    refused: tuple[Finding, ...] = ()


def plan(
    cluster: Seen,
    place: Place,
    published: Published,
    now: int,
    *,
    cache_seconds: int = CACHE_SECONDS,
    token_seconds: int = TOKEN_SECONDS,
) -> Plan:
    """What to write so that AWS knows the cluster's keys; ``now`` in epoch seconds."""
    refused = tuple(_refusals(cluster, place, published))
    if refused:
        return Plan(Documents(), (), refused)
    records = _records(cluster, published, now)
    kept = {kid: one for kid, one in records.items() if not _is_over(one, now, token_seconds)}
    keys = {**{kid: published.keys[kid] for kid in kept if kid in published.keys}, **cluster.keys}
    findings = tuple(_findings(cluster, published, kept, now, cache_seconds, token_seconds))
    if published.issuer == cluster.issuer and dict(published.keys) == keys and dict(published.records) == kept:
        return Plan(Documents(), findings)
    return Plan(Documents(tuple(_objects(cluster, place, keys, kept))), findings)


def _objects(
    cluster: Seen, place: Place, keys: Mapping[str, Jwk], records: Mapping[str, Record]
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Keys before what leads to them; the record last: stopped before it, a wait begins anew, and none is cut short."""
    noted = {kid: {"since": one.since, "gone": one.gone} for kid, one in sorted(records.items())}
    yield place.key(_keys_name(cluster)), {"keys": [keys[kid] for kid in sorted(keys)]}
    yield place.key(DISCOVERY), _discovery(cluster)
    yield place.key(RECORD), {"version": VERSION, "keys": noted}


def _discovery(cluster: Seen) -> Mapping[str, object]:
    """What the API server itself publishes, with the place of the keys that AWS can reach."""
    return {
        "issuer": cluster.issuer,
        "jwks_uri": f"{cluster.issuer}/{_keys_name(cluster)}",
        "authorization_endpoint": "urn:kubernetes:programmatic_authorization",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "claims_supported": ["sub", "iss"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }


def _keys_name(cluster: Seen) -> str:
    """Where the API server's own discovery says, if that is below the issuer; else as Kubernetes has it."""
    below = f"{cluster.issuer}/"
    return cluster.jwks_uri.removeprefix(below) if cluster.jwks_uri.startswith(below) else "openid/v1/jwks"


def _records(cluster: Seen, published: Published, now: int) -> dict[str, Record]:
    """Where nothing was noted yet, nobody caches a set without these keys: there is nothing to wait for."""
    found: dict[str, Record] = {}
    for kid in {*published.keys, *cluster.keys}:
        lay_there = kid in published.keys
        known = published.records.get(kid) if lay_there else None
        since = known.since if known else (now if published.records else 0)
        gone = None if kid in cluster.keys else (known.gone if known and known.gone is not None else now)
        found[kid] = Record(since, gone)
    return found


def _is_over(one: Record, now: int, token_seconds: int) -> bool:
    return one.gone is not None and now >= one.gone + token_seconds


def _refusals(cluster: Seen, place: Place, published: Published) -> Iterator[Finding]:
    why = _not_public(cluster.issuer)
    meant = f"set {_FLAG}={place.url} on every kube-apiserver, in front of the old one, which stays accepted"
    if why:
        yield Finding(f"the cluster's issuer is {cluster.issuer or 'not told'}: {why}", meant)
    elif cluster.issuer != place.url:
        yield Finding(f"the cluster's issuer is {cluster.issuer}, and s3://{place.bucket} is {place.url}", meant)
    if any(PRIVATE_MEMBERS & {*one} for one in cluster.keys.values()):
        yield Finding("there is a private key among those that the API server publishes", "replace it at once", True)
    if not cluster.keys:
        yield Finding("the API server publishes no key with a kid", "see its --service-account-key-file")
    if published.issuer and published.issuer != cluster.issuer and place.url == cluster.issuer:
        says = f"another issuer is published there: {published.issuer}"
        yield Finding(says, "publish this cluster at a place of its own, or remove the documents that lie there")
    elif published.keys and cluster.keys and not set(published.keys) & set(cluster.keys):
        # Two clusters with one issuer would take each other's keys away, and admit each other's subjects.
        says = f"the keys that lie there ({', '.join(sorted(published.keys))}) are none of this cluster's"
        advice = (
            "is another cluster published there? Each needs an issuer of its own; if its keys are lost, remove them"
        )
        yield Finding(says, advice, unsafe=True)


def _not_public(issuer: str) -> str:
    """Why AWS could not fetch it, as far as the URL tells."""
    try:
        parts = urlsplit(issuer)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "it is no URL"
    if parts.scheme != "https" or not host:
        return "AWS fetches by https alone"
    if parts.query or parts.fragment or parts.username or issuer.endswith("/") or len(issuer) > _MOST_URL:
        return f"IAM takes no query, no fragment, no final slash and at most {_MOST_URL} characters"
    if port is not None:
        return "IAM takes no port: 443 it is"
    try:
        private = not ipaddress.ip_address(host).is_global
    except ValueError:
        private = "." not in host or host.endswith(_PRIVATE)
    return "nobody outside the cluster can reach it" if private else ""


def _findings(
    cluster: Seen,
    published: Published,
    kept: Mapping[str, Record],
    now: int,
    cache_seconds: int,
    token_seconds: int,
) -> Iterator[Finding]:
    below = f"{cluster.issuer}/"
    if not cluster.jwks_uri.startswith(below):
        says = f"the API server's jwks_uri is {cluster.jwks_uri or 'not told'}, which is not below the issuer"
        advice = f"--service-account-jwks-uri={below}openid/v1/jwks makes both documents say the same; AWS reads ours"
        yield Finding(says, advice)
    if not cluster.signing:
        yield Finding("which key signs is not known: no token could be had", "whoever may create tokens can tell")
    elif cluster.signing not in cluster.keys:
        yield Finding(f"key {cluster.signing} signs, and the API server does not publish it", unsafe=True)
    elif published.keys and now < (until := kept[cluster.signing].since + cache_seconds):
        says = f"key {cluster.signing} signs already, and was published {now - kept[cluster.signing].since} s ago"
        advice = f"tokens may be refused for {until - now} s more; next time publish a key a day before it signs"
        yield Finding(says, advice, unsafe=True)
    for kid in sorted(kept):
        one = kept[kid]
        if one.gone is not None:
            left = one.gone + token_seconds - now
            yield Finding(f"key {kid} is not the cluster's any more; it stays {left} s more, for tokens that it signed")
        elif kid != cluster.signing and kid not in published.keys:
            yield Finding(f"key {kid} waits for its turn: it may sign in {cache_seconds} s")
