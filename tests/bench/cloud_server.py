"""The local cloud alone in a process, on a state folder of its own, as ``keyless up`` opens it.

Prints one JSON line: where it is, the administrator's key, and a token with the role that trusts it. Ends with its
standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from keyless.local.cloud import Cloud, CloudSettings, serve
from keyless.local.state import State
from keyless.tokens import (
    Bound,
    ServiceAccountSubject,
    SigningKey,
    Validity,
    discovery,
    issue,
    jwks,
    service_account_claims,
)

ISSUER = "https://oidc.example/bench"


class NoCluster:
    """Nothing here asks Kubernetes."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


async def main(folder: Path) -> None:
    """Serve until standard input ends."""
    key = SigningKey.from_pem(_pem())
    documents = {
        f"{ISSUER}/.well-known/openid-configuration": orjson.dumps(discovery(ISSUER)),
        f"{ISSUER}/keys": orjson.dumps(jwks([key])),
    }

    async def fetch(url: str, _: tuple[str, ...]) -> bytes:
        return documents[url]

    with closing(State.open(folder)) as state:
        settings = CloudSettings(
            database=state.database,
            kubernetes=NoCluster(),  # type: ignore[arg-type]  # no operation of the bench reaches it
            server_url="https://127.0.0.1:1",
            ca_pem="",
            propagation_delay_seconds=0.0,
            migrate=state.migrate,
        )
        cloud = Cloud(settings, fetch=fetch)
        async with serve(cloud.app) as serving:
            admin = cloud.admin_credentials()
            said = {
                "url": serving.url,
                "key": admin.access_key_id,
                "secret": admin.secret_access_key,
                "token": _token(key),
            }
            print(json.dumps(said), flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await cloud.aclose()


def _pem() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _token(key: SigningKey) -> str:
    now = int(time.time())
    subject = ServiceAccountSubject("mxp-1-system", Bound("vector", "8f6f"), pod=Bound("vector-0", "1d2c"))
    claims = service_account_claims(
        subject, Validity(now, now + 3600), issuer=ISSUER, audiences=["sts.amazonaws.com"], token_id="bench"
    )
    return issue(key, claims)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
