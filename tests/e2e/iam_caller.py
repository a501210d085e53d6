"""The Kubernetes API as somebody of IAM meets it: a bearer token that is a presigned GetCallerIdentity."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import httpx
import orjson
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from e2e.local_space import Keys, LocalSpace
from e2e.typed_bodies import MEDIA_TYPE

ACCEPT = f"{MEDIA_TYPE},application/json"


def bearer(space: LocalSpace, keys: Keys | None = None, *, cluster: str = "") -> str:
    """What eksctl and ``aws eks get-token`` make of somebody's keys."""
    keys = keys or Keys(space.environ["AWS_ACCESS_KEY_ID"], space.environ["AWS_SECRET_ACCESS_KEY"])
    url = f"{space.environ['AWS_ENDPOINT_URL']}/?Action=GetCallerIdentity&Version=2011-06-15"
    request = AWSRequest("GET", url, headers={"x-k8s-aws-id": cluster or space.name("CLUSTER_NAME")})
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
    SigV4QueryAuth(credentials, "sts", space.environ["AWS_REGION"], expires=60).add_auth(request)
    return "k8s-aws-v1." + base64.urlsafe_b64encode(request.url.encode()).decode().rstrip("=")


class ClusterCaller:
    """A typed client of client-go: protobuf bodies out, either form in; the server is the cluster's endpoint."""

    def __init__(self, space: LocalSpace, described: Mapping[str, Any], keys: Keys | None = None) -> None:
        authority = base64.b64decode(described["certificateAuthority"]["data"]).decode()
        headers = {"authorization": f"Bearer {bearer(space, keys)}", "accept": ACCEPT}
        context = ssl.create_default_context(cadata=authority)
        self._session = httpx.Client(base_url=described["endpoint"], verify=context, headers=headers, trust_env=False)

    def __enter__(self) -> ClusterCaller:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._session.close()

    def send(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        """Status and object of one request."""
        headers = {"content-type": MEDIA_TYPE} if body is not None else {}
        answer = self._session.request(method, path, content=body, headers=headers)
        found: dict[str, Any] = orjson.loads(answer.content)
        return answer.status_code, found
