"""Where an API server is and who we are there: the facts a connection is made from, and where they come from.

Sources are asked before every request, so each answers from memory unless a file changed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import orjson

from keyless.api import Permanent
from keyless.kube.errors import Unauthorized, failure_status
from keyless.kube.files import RotatedFile

EXEC_SECONDS = 60.0
"""A credential plugin may talk to a cloud; one that hangs must not hang us for ever."""
EXPIRY_MARGIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """All that decides a TLS connection. Equal endpoints may share connections."""

    server: str
    ca_pem: str | None = None
    certificate_pem: str | None = None
    key_pem: str | None = field(default=None, repr=False)
    tls_server_name: str | None = None
    insecure: bool = False


class Source(Protocol):
    """Where to connect and which token to show."""

    def endpoint(self) -> Endpoint:
        """Where to connect now."""
        ...

    async def token(self, *, renew: bool = False) -> str | None:
        """The bearer token now; ``renew`` after the server refused the last one."""
        ...


class Fixed:
    """An endpoint with a token that never changes, or none (client certificates)."""

    def __init__(self, endpoint: Endpoint, token: str | None = None) -> None:
        self._endpoint = endpoint
        self._token = token

    def endpoint(self) -> Endpoint:
        """Always the same."""
        return self._endpoint

    async def token(self, *, renew: bool = False) -> str | None:  # noqa: ARG002 - there is nothing to renew
        """Always the same."""
        return self._token


class TokenFile:
    """An endpoint whose token lies in a file that is rotated."""

    def __init__(self, endpoint: Endpoint, path: Path) -> None:
        self._endpoint = endpoint
        self._file = RotatedFile(path)

    def endpoint(self) -> Endpoint:
        """Always the same."""
        return self._endpoint

    async def token(self, *, renew: bool = False) -> str | None:  # noqa: ARG002 - a changed file is seen anyway
        """What the file holds now."""
        return self._file.read()


class Elsewhere:
    """The tokens of another source, shown to one other server that accepts them too."""

    def __init__(self, identity: Source, endpoint: Endpoint) -> None:
        self._identity = identity
        self._endpoint = endpoint

    def endpoint(self) -> Endpoint:
        """Always the same."""
        return self._endpoint

    async def token(self, *, renew: bool = False) -> str | None:
        """The other source's token now."""
        return await self._identity.token(renew=renew)


class InCluster:
    """A pod's own service account: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
        self._server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        self._ca = RotatedFile(folder / "ca.crt")
        self._token = RotatedFile(folder / "token")

    def endpoint(self) -> Endpoint:
        """The cluster's service address with the CA that is mounted now."""
        return Endpoint(self._server, self._ca.read())

    async def token(self, *, renew: bool = False) -> str | None:  # noqa: ARG002 - a changed file is seen anyway
        """The projected token that is mounted now."""
        return self._token.read()


class Folder:
    """A mounted Secret with ``server``, ``ca.crt`` and ``token``, each of which may be rotated."""

    def __init__(self, folder: Path) -> None:
        self._server = RotatedFile(folder / "server")
        self._ca = RotatedFile(folder / "ca.crt")
        self._token = RotatedFile(folder / "token")

    def endpoint(self) -> Endpoint:
        """What ``server`` and ``ca.crt`` say now."""
        return Endpoint(self._server.read(), self._ca.read())

    async def token(self, *, renew: bool = False) -> str | None:  # noqa: ARG002 - a changed file is seen anyway
        """What ``token`` says now."""
        return self._token.read()


@dataclass(frozen=True, slots=True)
class Plugin:
    """A kubeconfig's ``exec`` section."""

    api_version: str
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


class ExecToken:
    """An endpoint whose token a program prints (``aws eks get-token``), kept until it expires or is refused.

    Protocol: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
    """

    def __init__(self, endpoint: Endpoint, plugin: Plugin) -> None:
        self._endpoint = endpoint
        self._plugin = plugin
        self._lock = asyncio.Lock()
        self._token: str | None = None
        self._expires_at: datetime | None = None

    def endpoint(self) -> Endpoint:
        """Always the same."""
        return self._endpoint

    async def token(self, *, renew: bool = False) -> str | None:
        """The kept token, or the program's next one."""
        refused = self._token if renew else None
        async with self._lock:
            if self._token is None or self._token == refused or self._is_stale():
                await self._run()
            return self._token

    def _is_stale(self) -> bool:
        return self._expires_at is not None and datetime.now(UTC) >= self._expires_at - EXPIRY_MARGIN

    async def _run(self) -> None:
        plugin = self._plugin
        info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        environ = {**os.environ, "KUBERNETES_EXEC_INFO": orjson.dumps(info).decode(), **plugin.env}
        try:
            process = await asyncio.create_subprocess_exec(
                plugin.command,
                *plugin.args,
                env=environ,
                cwd=plugin.folder if os.sep in plugin.command else None,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise Permanent(f"credential plugin {plugin.command}: cannot be started: {error.strerror}") from error
        try:
            async with asyncio.timeout(EXEC_SECONDS):
                out, err = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            text = err.decode("utf-8", "replace").strip()[-300:]
            raise _plugin_failed(plugin, f"exit code {process.returncode}: {text}")
        self._take_untrusted(out)

    def _take_untrusted(self, out: bytes) -> None:
        try:
            status = orjson.loads(out)["status"]
            token, expires = status["token"], status.get("expirationTimestamp")
            expires_at = datetime.fromisoformat(expires) if expires else None
            if not isinstance(token, str):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError):
            # The output may hold a token: say nothing of it.
            raise _plugin_failed(self._plugin, "expected an ExecCredential with status.token") from None
        self._token = token
        # A time without a zone is UTC: that is what the protocol's times are.
        self._expires_at = expires_at.replace(tzinfo=expires_at.tzinfo or UTC) if expires_at else None


def _plugin_failed(plugin: Plugin, what: str) -> Unauthorized:
    return Unauthorized(failure_status(401, "Unauthorized", f"credential plugin {plugin.command}: {what}"))
