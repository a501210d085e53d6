"""The tokens of ``aws eks get-token`` and of eksctl: a presigned GetCallerIdentity as a bearer token. Pure.

``read_untrusted`` takes one apart and holds it against the rules of the authenticator that EKS runs; the request that
comes out of it still has to be proven by its signature.

Spec: https://github.com/kubernetes-sigs/aws-iam-authenticator (API Authorization from Outside a Cluster)
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import SplitResult, parse_qsl, urlsplit

from keyless.api.numbers import is_digits
from keyless.local.cloud.wire.http import HttpRequest

PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
LIFETIME_SECONDS = 900
_LONGEST = 4096 * 3  # a session token of ours is longer than AWS's
_STS = re.compile(r"sts(-fips)?(\.[a-z]{2}(-[a-z]+)+-[0-9])?\.amazonaws\.com(\.cn)?")
_ALLOWED = frozenset(
    {
        "action",
        "version",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    }
)


class Unfit(Exception):
    """The token is none, or not one for this cluster; the text holds nothing of its secret parts."""


def read_untrusted(token: str, cluster: str, now: float) -> HttpRequest:
    """The request inside the token, with the cluster's name in its header; raises ``Unfit`` with the reason."""
    if len(token) > _LONGEST:
        raise Unfit("token is too large")
    if not token.startswith(PREFIX):
        raise Unfit(f'token is missing expected "{PREFIX}" prefix')
    url = _url(token.removeprefix(PREFIX))
    _check_place(url)
    query = _arguments(url.query)
    if query.get("action") != "GetCallerIdentity":
        raise Unfit("unexpected action parameter in pre-signed URL")
    if CLUSTER_HEADER not in query.get("x-amz-signedheaders", "").lower().split(";"):
        raise Unfit(f"client did not sign the {CLUSTER_HEADER} header in the pre-signed URL")
    _check_times(query, now)
    return HttpRequest("GET", url.path or "/", url.query, (("host", url.netloc), (CLUSTER_HEADER, cluster)))


def _url(text: str) -> SplitResult:
    try:
        raw = base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
        return urlsplit(raw.decode("ascii"))
    except (binascii.Error, ValueError):
        raise Unfit("token is no base64 of a URL") from None


def _check_place(url: SplitResult) -> None:
    """STS of AWS over https, or ours on loopback (``AWS_ENDPOINT_URL``), at its root and with nothing beside it."""
    host = url.hostname or ""
    loopback = host == "localhost" or _is_loopback(host)
    if url.scheme != "https" and not (url.scheme == "http" and loopback):
        raise Unfit(f'unexpected scheme "{url.scheme[:10]}" in pre-signed URL')
    if not loopback and (not _STS.fullmatch(host) or url.netloc != host):
        raise Unfit(f'unexpected hostname "{host[:80]}" in pre-signed URL')
    if "@" in url.netloc:
        raise Unfit("unexpected user in pre-signed URL")
    if url.path not in ("", "/") or url.fragment:
        raise Unfit("unexpected path in pre-signed URL")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _arguments(query: str) -> Mapping[str, str]:
    """The query by lower-case names: each of them known, each of them once."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        lowered = name.lower()
        if lowered not in _ALLOWED:
            raise Unfit(f'non-whitelisted query parameter "{lowered[:40]}"')
        if lowered in found:
            raise Unfit("query parameter with multiple values not supported")
        found[lowered] = value
    return found


def _check_times(query: Mapping[str, str], now: float) -> None:
    expires = query.get("x-amz-expires", "")
    if not is_digits(expires) or len(expires) > 6 or not 0 < int(expires) <= LIFETIME_SECONDS:
        raise Unfit(f"invalid X-Amz-Expires parameter in pre-signed URL: {expires[:10]}")
    date = query.get("x-amz-date", "")
    if not date:
        raise Unfit("X-Amz-Date parameter must be present in pre-signed URL")
    try:
        signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Unfit("error parsing X-Amz-Date parameter from pre-signed URL") from None
    # Whatever X-Amz-Expires says (clients write 60), STS takes such a request for a quarter of an hour.
    if now > signed_at + LIFETIME_SECONDS:
        raise Unfit(f"X-Amz-Date parameter is expired ({LIFETIME_SECONDS // 60} minute expiration) {date}")
