"""Our cloud as a process under test, and clients for it and for moto."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from tests.bench.load import request_bytes

REGION = "us-west-2"


@dataclass(frozen=True, slots=True)
class Place:
    """A server and an administrator's key for it."""

    url: str
    key: str = "AKIAIOSFODNN7EXAMPLE"
    secret: str = "example"
    token: str = ""

    def aws(self, service: str) -> Any:
        """A botocore client."""
        return botocore.session.Session().create_client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            aws_session_token=self.token if self.key.startswith("ASIA") else None,
            config=Config(s3={"addressing_style": "path"}),
        )

    def signed(self, method: str, path: str, body: bytes = b"") -> bytes:
        """An S3 request, signed once; it may be sent for fifteen minutes."""
        request = AWSRequest(method, f"{self.url}{path}", data=body)
        request.context["payload_signing_enabled"] = True
        request.headers["x-amz-content-sha256"] = _sha256(body)
        SigV4Auth(Credentials(self.key, self.secret), "s3", REGION).add_auth(request)
        return request_bytes(method, f"{self.url}{path}", dict(request.headers.items()), body)


def _sha256(body: bytes) -> str:
    import hashlib

    return hashlib.sha256(body).hexdigest()


@contextmanager
def our_cloud(fill: Callable[[Path], None] | None = None) -> Iterator[Place]:
    """Our cloud in a process of its own; ``fill`` writes into its state folder before it starts."""
    with tempfile.TemporaryDirectory(prefix="keyless-bench-") as folder:
        if fill:
            fill(Path(folder) / "state")
        command = [sys.executable, "-m", "tests.bench.cloud_server", str(Path(folder) / "state")]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin
        assert process.stdout
        try:
            yield Place(**json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()
            process.wait()
