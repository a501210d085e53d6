"""The billing bucket as a person's command reads it: signed requests without a service model, objects on the wire.

Every request is botocore's signature over botocore's own HTTP pool, and a failure is S3's own code in the one table of
``keyless.aws``. Objects, of which a month has thousands, are read by :mod:`keyless.billing.export.wire`, at a twentieth
of the processor time, large ones and those behind a proxy by obstore; what fails there is asked again the first way,
which can say what it is.

Why: docs/decisions/0012-usage-written-by-botocore-read-by-obstore.md
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_plus, urlencode, urlsplit
from xml.etree import ElementTree

import obstore
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from obstore.exceptions import BaseError
from obstore.store import S3Store

from keyless.api import Permanent
from keyless.aws import AWS_FAILURES, AwsTransient, Session, failure
from keyless.aws.writing import BARE, HEADERS, Spared, Writing, spare
from keyless.billing.export.reading import Readers
from keyless.billing.export.signing import Signer
from keyless.billing.export.wire import FEW_CONNECTIONS, Wire

if TYPE_CHECKING:
    from obstore.store import ClientConfig

# Twenty milliseconds a request are fifty a second for each reader.
READERS = 64
# The first try, then two more: what lasts longer, the person at the terminal decides about.
_PAUSES = (0.0, 0.3, 1.5)
# obstore trusts fewer certificates and proxies than botocore does: where it cannot go, it is not asked for ever.
_RESCUES = 3
# What obstore's paths carry unchanged: no empty segment, no "." or "..", no control character.
_PLAIN = re.compile(r"(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f\x7f]+(?:/(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f\x7f]+)*")
_FIELD = {name: re.compile(f"<{name}>([^<]*)</{name}>") for name in ("Code", "Message", "RequestId")}


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of a listing; ``size`` in bytes."""

    key: str
    size: int
    etag: str = ""


class S3Bucket:
    """One bucket, with the caller's credentials. Its methods block and may be called from several threads."""

    def __init__(
        self,
        session: Session,
        bucket: str,
        *,
        endpoint: str = "",
        writing: Writing = BARE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = bucket
        self._writing = writing
        self._session = session
        self._region = session.region
        self._endpoint = endpoint.rstrip("/")
        self._sleep = sleep
        self._http: Any = None
        self._store: Any = None
        self._rescued = self._cut = 0
        self._connections = FEW_CONNECTIONS

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], bucket: str, endpoint: str, writing: Writing = BARE
    ) -> S3Bucket:
        """The caller's default chain; the endpoint is ``endpoint``, else what the AWS SDKs would use."""
        chosen = endpoint or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""
        return cls(Session.from_environment(environ), bucket, endpoint=chosen, writing=writing)

    def list(self, prefix: str) -> Iterator[Listed]:
        """Every object below ``prefix``, in order; raises ``AwsTransient`` or ``AwsPermanent``."""
        for page, decode in self._pages(prefix, {}):
            for item in page.iterfind("{*}Contents"):
                size = int(item.findtext("{*}Size") or 0)
                yield Listed(decode(item.findtext("{*}Key") or ""), size, item.findtext("{*}ETag") or "")

    def groups(self, prefix: str) -> Iterator[str]:
        """The names directly below ``prefix``, up to their slash; raises as :meth:`list` does."""
        for page, decode in self._pages(prefix, {"delimiter": "/"}):
            for item in page.iterfind("{*}CommonPrefixes/{*}Prefix"):
                yield decode(item.text or "")

    def get(self, key: str) -> bytes:
        """An object's bytes; raises as :meth:`list` does."""
        if self._rescued < _RESCUES and _PLAIN.fullmatch(key):
            try:
                return bytes(obstore.get(self._opened(), key).bytes())
            except (BaseError, OSError, ValueError, *AWS_FAILURES):
                # Its texts are no contract: the plain request below says what is wrong, or succeeds.
                body = self._ask("GetObject", "GET", key)
                self._rescued += 1
                return body
        return self._ask("GetObject", "GET", key)

    def bodies(self, keys: Iterator[str], readers: Readers) -> Iterator[bytes]:
        """The bytes of objects of at most ``BODY_LIMIT``, in the order of ``keys``; raises as :meth:`list` does."""
        # Behind a proxy the wire is not asked at all.
        while self._cut < _RESCUES and not get_environ_proxies(self._url(self._region)):
            wire = Wire(
                self._url(self._region),
                self._request_as_of_now(),
                readers,
                connections=self._connections,
                ca_bundle=self._session.ca_bundle,
            )
            yield from wire.bodies(keys)
            self._connections = wire.connections
            if not wire.cut:
                return
            self._cut += 1
            keys = chain(wire.taken, keys)
            # What it could not read the plain request reads, or says what is wrong; the rest is begun again.
            for key in islice(keys, 1):
                yield self._ask("GetObject", "GET", key)
        yield from readers.in_order(self.get, keys)

    def _request_as_of_now(self) -> Callable[[str], bytes]:
        """Signed requests for objects, with the credentials and the time of their second."""
        host = urlsplit(self._url(self._region)).netloc.rpartition("@")[2]
        signer: Signer | None = None
        second = 0

        def request(key: str) -> bytes:
            nonlocal signer, second
            if signer is None or second != int(time.time()):
                second = int(time.time())
                now = datetime.fromtimestamp(second, UTC)
                keys = self._session.keys_blocking()
                signer = Signer(keys, region=self._region, host=host, bucket=self.name, now=now)
            return signer.get(key)

        return request

    def put_new(self, key: str, body: bytes, content_type: str = "application/json") -> bool:
        """Write unless the key is taken; whether it was written now. A key with its content's hash is written once."""
        return self._put(key, body, content_type, frozenset())

    def put_over(self, key: str, body: bytes, content_type: str = "application/json") -> None:
        """Write whatever is there; raises as :meth:`list` does."""
        self._put(key, body, content_type, frozenset({Spared.CONDITION}))

    def _put(self, key: str, body: bytes, content_type: str, spared: frozenset[Spared]) -> bool:
        while True:
            members = self._writing.members(body, content_type, spared)
            headers = {HEADERS[name]: value for name, value in members.items()}
            try:
                self._ask("PutObject", "PUT", key, body=body, headers=headers)
            except AWS_FAILURES as error:
                if error.code == "PreconditionFailed":
                    return False
                more = spare(error.code, error.message, spared, checksum=self._writing.checksum)
                if more is None:
                    raise
                spared |= {more}
            else:
                return True

    def etag(self, key: str) -> str | None:
        """An object's ETag, None where there is none; raises as :meth:`list` does."""
        return next((found.etag for found in self.list(key) if found.key == key), None)

    def put_if(self, key: str, body: bytes, etag: str | None) -> None:
        """Write where the object is still the one with this ETag (None: still none); raises as :meth:`list` does."""
        condition = {"If-None-Match": "*"} if etag is None else {"If-Match": etag}
        # The condition is never spared: without it what somebody else has written would be lost.
        spared = frozenset({Spared.CONDITION})
        while True:
            members = self._writing.members(body, "application/gzip", spared)
            headers = {**condition, **{HEADERS[name]: value for name, value in members.items()}}
            try:
                self._ask("PutObject", "PUT", key, body=body, headers=headers)
            except AWS_FAILURES as error:
                if error.code == "PreconditionFailed":
                    raise Permanent(f"{key}: somebody has written it meanwhile: run the same command again") from None
                more = spare(error.code, error.message, spared, checksum=self._writing.checksum)
                if more is None:
                    raise
                spared |= {more}
            else:
                return

    def _pages(self, prefix: str, more: dict[str, str]) -> Iterator[tuple[Any, Callable[[str], str]]]:
        # Encoded, for a key may hold characters that XML cannot.
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url", **more}
        while True:
            answer = self._ask("ListObjectsV2", "GET", "", query=query)
            try:
                page = ElementTree.fromstring(answer)  # noqa: S314 - expat refuses entities that grow; none are fetched
            except ElementTree.ParseError as error:
                raise failure("ListObjectsV2", ValueError(f"expected a listing, found {error}")) from None
            yield page, unquote_plus if page.findtext("{*}EncodingType") == "url" else str
            token = page.findtext("{*}NextContinuationToken")
            if page.findtext("{*}IsTruncated") != "true" or not token:
                return
            query = {**query, "continuation-token": token}

    def _ask(
        self,
        operation: str,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        for pause in _PAUSES:
            self._sleep(pause)
            try:
                return self._once(operation, method, key, query or {}, body, headers or {})
            except AwsTransient:
                if pause == _PAUSES[-1]:
                    raise
        raise AssertionError("the last try returns or raises")

    def _once(
        self, operation: str, method: str, key: str, query: Mapping[str, str], body: bytes, headers: Mapping[str, str]
    ) -> bytes:
        keys = self._session.keys_blocking()
        # Twice at most: an answer that names the bucket's region is asked again there, as the SDKs do.
        for _ in range(2):
            region = self._region
            url = f"{self._url(region)}/{self.name}" + (f"/{quote(key, safe='/~')}" if key else "")
            if query:
                url += "?" + urlencode(sorted(query.items()), quote_via=quote, safe="~")
            owner = {HEADERS["ExpectedBucketOwner"]: self._writing.owner} if self._writing.owner else {}
            request = AWSRequest(method, url, data=body or None, headers={**headers, **owner})
            credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)
            S3SigV4Auth(credentials, "s3", region).add_auth(request)
            try:
                answer = self._pool().send(request.prepare())
                content = bytes(answer.content)
            except (BotoCoreError, OSError) as error:
                raise failure(operation, error) from None
            if answer.status_code < 300:
                return content
            told = answer.headers.get("x-amz-bucket-region") or ""
            if answer.status_code not in (301, 307, 400) or told in ("", region):
                break
            self._region = told
        raise failure(operation, _client_error(operation, answer.status_code, content, self.name, told))

    def _url(self, region: str) -> str:
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return self._endpoint or f"https://s3.{region}.{suffix}"

    def _pool(self) -> Any:
        if self._http is None:
            proxies = get_environ_proxies(self._url(self._region))
            self._http = URLLib3Session(
                # AWS_CA_BUNDLE is the SDK's own setting, and this pool is made beside it: nobody else would heed it.
                verify=self._session.ca_bundle or True,
                proxies=proxies,
                timeout=(5, 20),
                max_pool_connections=READERS,
            )
        return self._http

    def _opened(self) -> Any:
        if self._store is None:
            bundle = self._session.ca_bundle
            options: ClientConfig = {"allow_http": True, "timeout": "20s", "connect_timeout": "5s"}
            if bundle:
                options["root_certificate"] = Path(bundle).read_bytes()
            self._store = S3Store(
                self.name,
                region=self._region,
                endpoint=self._url(self._region),
                virtual_hosted_style_request=False,
                client_options=options,
                retry_config={"max_retries": 2},
                credential_provider=self._credentials,
            )
        return self._store

    def _credentials(self) -> Any:
        keys = self._session.keys_blocking()
        return {
            "access_key_id": keys.access_key_id,
            "secret_access_key": keys.secret_access_key,
            "token": keys.session_token or None,
            # obstore takes no zone but this one; botocore has an object of its own for it.
            "expires_at": keys.expires_at.astimezone(UTC) if keys.expires_at else None,
        }


def _client_error(operation: str, status: int, body: bytes, bucket: str, region: str) -> ClientError:
    text = body[:4096].decode("utf-8", errors="replace")
    found = {name: unescape(m.group(1)) if (m := pattern.search(text)) else "" for name, pattern in _FIELD.items()}
    message = f"{found['Message'] or 'no message'} (bucket {bucket})"
    if region:
        message += f"; the bucket is in {region}"
    return ClientError(
        {
            "Error": {"Code": found["Code"] or f"HTTP {status}", "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": found["RequestId"]},
        },
        operation,
    )
