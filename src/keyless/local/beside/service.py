"""Serve the local AWS over TLS until cancelled; all that it keeps lies in the state folder.

What a client needs is written there: ``ca.crt`` (the endpoint's authority) and ``access.json`` (the administrator's
access key, for the folder's owner alone). STS asks issuers without credentials, as AWS does: an API server that is its
own issuer must let it, by a ClusterRoleBinding of system:service-account-issuer-discovery to system:unauthenticated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from keyless.api import Permanent
from keyless.kube import Kube, connect
from keyless.local.beside.policy import objects
from keyless.local.beside.settings import Settings
from keyless.local.cloud import Cloud, CloudSettings, serve
from keyless.local.cloud.kms import root_key_in
from keyless.local.state import State
from keyless.local.state.lock import private

FIELD_MANAGER = "keyless-cloud"
LOOPBACK = ("127.0.0.1", "localhost")
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_DISCOVERY = "/.well-known/openid-configuration"
log = structlog.get_logger("keyless.cloud")


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Serve until cancelled. Raises ``KeylessError`` for settings, a folder or a port that cannot be used."""
    names = names_of(settings)
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(connect(environ))
        issuer = settings.issuer or await issuer_of(kube)
        state = State.open(Path(settings.state))
        stack.callback(state.close)
        cloud = Cloud(cloud_settings(settings, state, kube, issuer, names))
        stack.push_async_callback(cloud.aclose)
        write_access(state, cloud, settings)
        certificate = state.authority.server_certificate((*LOOPBACK, *names))
        serving = await stack.enter_async_context(serve(cloud.app, settings.port, settings.bind_host, certificate))
        if settings.pods_endpoint:
            for res, obj in objects(settings.pods_endpoint, state.authority.ca_pem, settings.region):
                await kube.apply(res, obj, field_manager=FIELD_MANAGER)
        log.info("cloud ready", address=serving.url, issuer=issuer, state=str(state.path))
        await cloud.run()


def names_of(settings: Settings) -> tuple[str, ...]:
    """What clients call the cloud; raises ``Permanent`` for settings that no start could use."""
    if not _ACCOUNT.fullmatch(settings.account):
        raise Permanent(f"--account {settings.account!r}: expected an AWS account, 12 digits")
    if settings.pods_endpoint and urlsplit(settings.pods_endpoint).scheme != "https":
        # SDKs ask for credentials over plain http from loopback and link-local addresses alone.
        raise Permanent(f"--pods-endpoint {settings.pods_endpoint!r}: expected a URL that begins with https://")
    if settings.issuer and urlsplit(settings.issuer).scheme != "https":
        raise Permanent(f"--issuer {settings.issuer!r}: expected a URL that begins with https://")
    return tuple(dict.fromkeys(name.strip().strip("[]").lower() for name in settings.names.split(",") if name.strip()))


async def issuer_of(kube: Kube) -> str:
    """The issuer that the cluster names in its discovery document; raises ``Permanent`` where it names none."""
    answer: Any = await kube.request("GET", _DISCOVERY)
    document = json.loads(answer) if isinstance(answer, str) else answer
    issuer = document.get("issuer") if isinstance(document, dict) else None
    if not isinstance(issuer, str) or urlsplit(issuer).scheme != "https":
        raise Permanent(f"the cluster's {_DISCOVERY}: expected an issuer that begins with https://; set --issuer")
    return issuer


def cloud_settings(settings: Settings, state: State, kube: Kube, issuer: str, names: tuple[str, ...]) -> CloudSettings:
    """What the cloud is told."""
    at = urlsplit(issuer)
    return CloudSettings(
        database=state.database,
        kubernetes=kube,
        server_url=settings.server_url or f"{at.scheme}://{at.netloc}",
        ca_pem=_text(settings.cluster_ca, "--cluster-ca"),
        issuer_ca_pem=_text(settings.issuer_ca, "--issuer-ca"),
        account=settings.account,
        region=settings.region,
        cluster_name=settings.cluster_name,
        issuer=issuer,
        hosts=names,
        # A cluster that somebody else runs has, or has not, an agent of its own: none is put there unasked.
        looks_after_agent=False,
        propagation_delay_seconds=settings.propagation_delay_seconds,
        root_key=root_key_in(state.folder("kms")),
        migrate=state.migrate,
    )


def write_access(state: State, cloud: Cloud, settings: Settings) -> None:
    """Write who may do all, for the folder's owner alone, and the endpoint's authority."""
    keys = cloud.admin_credentials()
    access = {
        "accessKeyId": keys.access_key_id,
        "secretAccessKey": keys.secret_access_key,
        "region": settings.region,
        "account": settings.account,
    }
    for name, text in (("access.json", json.dumps(access, indent=2)), ("ca.crt", state.authority.ca_pem)):
        with open(state.path / name, "w", encoding="utf-8", opener=private) as file:
            file.write(text)


def _text(path: str, flag: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"{flag} {path}: expected a file of certificates in PEM, found {error}") from error
