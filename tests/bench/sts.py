"""AssumeRoleWithWebIdentity over HTTP: ours verifies the token and decides the trust, moto reads neither."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlencode

from tests.bench.cloud_server import ISSUER
from tests.bench.load import busy, paced, request_bytes
from tests.bench.ours import Place, our_cloud
from tests.bench.peers import moto_server
from tests.bench.row import Row

ACCOUNT = "111122223333"
HOST = ISSUER.removeprefix("https://")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"{HOST}:aud": "sts.amazonaws.com",
                    f"{HOST}:sub": "system:serviceaccount:mxp-1-system:vector",
                }
            },
        }
    ],
}


def bench() -> Iterator[Row]:
    """Requests per second with four clients, and the 99th percentile at 200 a second."""
    with our_cloud() as ours, moto_server() as moto_url:
        moto = Place(moto_url, token=ours.token)
        loads = {}
        for place in (ours, moto):
            _prepare(place, provider=place is ours)
            request = _request(place)
            loads[place] = busy(place.url, lambda request=request: request, count=2000)
        request = _request(ours)
        calm = paced(ours.url, lambda: request, per_second=200)
    ratio = loads[ours].per_second / loads[moto].per_second
    peer = f"moto {loads[moto].per_second:.0f}/s, {ratio:.1f}×"
    yield Row(
        "sts", "AssumeRoleWithWebIdentity, 4 clients", f"{loads[ours].per_second:.0f}/s", peer, "≥ 5×", ratio >= 5
    )
    shown = f"p50 {calm.p50_ms:.1f} ms, p99 {calm.p99_ms:.1f} ms"
    yield Row("sts", "AssumeRoleWithWebIdentity at 200/s", shown, "", "p99 ≤ 5 ms", calm.p99_ms <= 5)


def _prepare(place: Place, *, provider: bool) -> None:
    iam = place.aws("iam")
    if provider:
        iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"])
    iam.create_role(RoleName="billing", AssumeRolePolicyDocument=json.dumps(TRUST))


def _request(place: Place) -> bytes:
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/billing",
        "RoleSessionName": "bench",
        "WebIdentityToken": place.token,
    }
    # Without a signature moto takes the service from the host's name.
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    if place.key == "AKIAIOSFODNN7EXAMPLE":
        headers["Host"] = "sts.us-west-2.amazonaws.com"
    return request_bytes("POST", f"{place.url}/", headers, urlencode(form).encode())
