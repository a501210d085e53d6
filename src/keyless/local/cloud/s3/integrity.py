"""The checksum of a request whose body is a document (a list of keys to delete, a lifecycle): no object's. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
"""

from __future__ import annotations

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.checksums import ALGORITHMS, checked
from keyless.local.cloud.wire.http import HttpRequest


def verify_document(request: HttpRequest, *, required: bool) -> None:
    """Hold the request's checksums against its body; raises where they do not fit, or one is ``required``."""
    sent = {f"Checksum{name}": request.header(f"x-amz-checksum-{name.lower()}") for name in ALGORITHMS}
    params = {name: value for name, value in sent.items() if value}
    if md5 := request.header("content-md5"):
        params["ContentMD5"] = md5
    if not params and required:
        text = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
        raise AwsError("InvalidRequest", text, status=400)
    if params:
        checked(params, request.body, default="")
