"""Read the cluster and the bucket, write the documents, and fetch them as AWS would."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from keyless.api import KeylessError, Permanent
from keyless.aws import AWS_FAILURES, Session, in_pool
from keyless.identity.publishing.model import DISCOVERY, RECORD, Jwk, Place, Published, Record, Seen
from keyless.identity.publishing.plan import Plan
from keyless.kube import Kube

Fetch = Callable[[str], Awaitable[str]]
"""GET by a public URL, without credentials; raises ``KeylessError`` that says what came instead."""

_AUDIENCE, _TOKEN_SECONDS = "sts.amazonaws.com", 600
_ABSENT = ("NoSuchKey", "404", "NotFound")
_CACHE = "max-age=3600"


async def read_cluster(kube: Kube) -> Seen:
    """What the API server says, and which key it signs with: seen in a token that is asked for and thrown away."""
    told = await kube.request("GET", "/.well-known/openid-configuration")
    document = told if isinstance(told, dict) else _object(str(told))
    jwks = await kube.request("GET", "/openid/v1/jwks")
    keys = _keys(jwks if isinstance(jwks, dict) else _object(str(jwks)))
    issuer, uri = str(document.get("issuer", "")), str(document.get("jwks_uri", ""))
    return Seen(issuer, uri, keys, await _signing(kube))


async def _signing(kube: Kube) -> str:
    try:
        issued = await kube.token("default", "default", audiences=[_AUDIENCE], expiration_seconds=_TOKEN_SECONDS)
        head = issued.token.partition(".")[0]
        return str(_object(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)).decode()).get("kid", ""))
    except (KeylessError, ValueError):
        return ""  # it is told as not known


async def read_published(aws: Session, place: Place) -> Published:
    """What lies there now; raises what S3 answers where that cannot be read."""
    discovery = await _get(aws, place, DISCOVERY)
    if discovery is None:
        return Published()
    issuer = str(discovery.get("issuer", ""))
    uri = str(discovery.get("jwks_uri", ""))
    name = uri.removeprefix(f"{issuer}/") if uri.startswith(f"{issuer}/") else urlsplit(uri).path.lstrip("/")
    keys = await _get(aws, place, name)
    noted = await _get(aws, place, RECORD)
    records = (noted or {}).get("keys")
    return Published(issuer, _keys(keys or {}), _records(records if isinstance(records, dict) else {}))


def _records(noted: Mapping[str, Any]) -> dict[str, Record]:
    found = {}
    for kid, one in noted.items():
        if isinstance(one, dict) and isinstance(one.get("since"), int):
            gone = one.get("gone")
            found[kid] = Record(one["since"], gone if isinstance(gone, int) else None)
    return found


def _keys(document: Mapping[str, Any]) -> dict[str, Jwk]:
    listed = document.get("keys")
    found = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return {str(one["kid"]): one for one in found if one.get("kid")}


async def _get(aws: Session, place: Place, name: str) -> Mapping[str, Any] | None:
    key = place.key(name)
    try:
        answer = await aws.call("s3", "GetObject", Bucket=place.bucket, Key=key)
    except AWS_FAILURES as error:
        if error.code in _ABSENT:
            return None
        raise
    body = answer["Body"]
    text = await in_pool(body.read)
    try:
        return _object(text.decode())
    except ValueError:
        raise Permanent(f"s3://{place.bucket}/{key} is no JSON object: see whose it is, and remove it") from None


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


async def publish(made: Plan, place: Place, aws: Session) -> None:
    """Write the documents in their order; killed after any, the next run goes on."""
    for key, document in made.documents.objects:
        await aws.call(
            "s3",
            "PutObject",
            Bucket=place.bucket,
            Key=key,
            Body=json.dumps(document).encode(),
            ContentType="application/json",
            CacheControl=_CACHE,
        )


async def unreachable(cluster: Seen, fetch: Fetch) -> str:
    """Why AWS would not find the keys by the public URL; empty where it does."""
    try:
        discovery = _object(await fetch(f"{cluster.issuer}/{DISCOVERY}"))
        if discovery.get("issuer") != cluster.issuer:
            return f"{cluster.issuer}/{DISCOVERY} is for issuer {discovery.get('issuer')!r}"
        keys = _keys(_object(await fetch(str(discovery.get("jwks_uri", "")))))
    except KeylessError as error:
        return str(error)
    except ValueError:
        return f"what lies at {cluster.issuer} is no JSON"
    missing = sorted(set(cluster.keys) - set(keys))
    return f"the keys there lack {', '.join(missing)}" if missing else ""
