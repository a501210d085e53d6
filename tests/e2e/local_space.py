"""One local Space as its user meets it: the command line, the Kubernetes API, the AWS APIs and the files it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config

from keyless.kube import Kube, connect
from keyless.local.boot.exports import Access, exports
from keyless.local.cloud.audit import read_audit
from keyless.local.state.database import open_for_reading

START_SECONDS = 120
COMMAND_SECONDS = 90
CA_NAMES = ("SSL_CERT_FILE", "AWS_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials of somebody in particular."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


@dataclass(frozen=True, slots=True)
class LocalSpace:
    """A running Space; ``environ`` is what ``keyless env`` exports."""

    folder: Path
    environ: Mapping[str, str]

    @property
    def running(self) -> dict[str, Any]:
        """What ``up`` writes down of itself."""
        found: dict[str, Any] = json.loads((self.folder / "running.json").read_text(encoding="utf-8"))
        return found

    def name(self, variable: str) -> str:
        """The value of a ``YOUR_…`` variable."""
        return self.environ[f"YOUR_{variable}"]

    @property
    def host(self) -> Kube:
        """A connection to the host's Kubernetes API, as administrator."""
        return connect(self.environ)

    def control_plane(self, name: str) -> Kube:
        """A connection to a control plane's own API, by the kubeconfig that ``keyless env`` writes."""
        said = self.keyless("env", "--control-plane", name)
        assert said.returncode == 0, said.stderr
        return connect({"KUBECONFIG": str(self.folder / "control-planes" / f"default-{name}.kubeconfig")})

    def aws(self, service: str, keys: Keys | None = None, *, signed: bool = True) -> Any:
        """A botocore client of one service: the administrator's, or somebody's, or nobody's."""
        keys = keys or Keys(self.environ["AWS_ACCESS_KEY_ID"], self.environ["AWS_SECRET_ACCESS_KEY"])
        options: dict[str, Any] = {"s3": {"addressing_style": "path"}, "retries": {"total_max_attempts": 1}}
        return botocore.session.Session().create_client(
            service,
            region_name=self.environ["AWS_REGION"],
            endpoint_url=self.environ["AWS_ENDPOINT_URL"],
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            aws_session_token=keys.session_token,
            config=Config(**options, **({} if signed else {"signature_version": UNSIGNED})),
        )

    def keyless(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on this Space."""
        return keyless(self.folder, *arguments)

    def verify(self, component: str, control_plane: str, wait_seconds: int = 0) -> dict[str, Any]:
        """What ``keyless verify`` says of one control plane, once it holds or that time is over."""
        which = ("--control-plane", control_plane, "--wait-seconds", str(wait_seconds), "--output", "json")
        said = self.keyless("verify", component, *which)
        # 3: nothing is broken, and something is not told yet, as by a component that has just begun.
        assert said.returncode in (0, 1, 3), said.stderr
        (chain,) = json.loads(said.stdout)["items"]
        assert (said.returncode == 0) == chain["held"]
        found: dict[str, Any] = chain
        return found

    def audit(self) -> list[dict[str, Any]]:
        """The whole record of calls, as another process reads it."""
        connection = open_for_reading(self.folder)
        assert connection is not None
        with closing(connection):
            return [json.loads(line.text) for line in read_audit(connection, limit=1_000_000)]

    def logs(self) -> dict[Path, str]:
        """Every log file below the state folder: of ``up`` itself and of all containers."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and _is_log(path)]
        return {path: path.read_text(encoding="utf-8", errors="replace") for path in files}


def _is_log(path: Path) -> bool:
    return path.suffix in (".log", ".out") or "logs" in path.parts


def keyless(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``keyless`` on a state folder, in the environment of somebody who has nothing set."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "keyless", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(folder.parent), "KEYLESS_STATE": str(folder), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_SECONDS if arguments[0] == "up" else COMMAND_SECONDS,
        check=False,
    )


def start(folder: Path, *options: str) -> LocalSpace:
    """``keyless up --detach``; it must become ready."""
    said = keyless(folder, "up", "--detach", *options)
    assert said.returncode == 0, said.stderr
    return found(folder)


def found(folder: Path) -> LocalSpace:
    """The Space that runs on a state folder."""
    access = Access(**json.loads((folder / "access.json").read_text(encoding="utf-8")))
    return LocalSpace(folder, exports(access))


def stop(folder: Path) -> None:
    """``keyless down``."""
    said = keyless(folder, "down")
    assert said.returncode == 0, said.stderr
