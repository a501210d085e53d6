"""What ``keyless kubeconfig`` gathers: the host, the control plane there, and a credential, kept until it ends."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from keyless.api import Permanent
from keyless.cli.naming import NAME, start_of
from keyless.kube import Forbidden, Kube, KubeObject, Name, NotFound, connect, connect_context, timestamp
from keyless.kube.kubeconfig import Chosen, chosen_of
from keyless.kube.merging import Entry, host_of, replace_file
from keyless.kube.resources import CONTROLPLANES
from keyless.space.entering.asking import Credential, NotLetIn, ask

EXEC_API = "client.authentication.k8s.io/v1"
MARGIN = timedelta(minutes=5)
"""What ends sooner is not handed out again: a client's clock may differ, and a call takes its time."""
_FILES = ("client-certificate", "client-key", "tokenFile")


@dataclass(frozen=True, slots=True)
class Question:
    """Which control plane, and how it shall be called."""

    control_plane: str
    namespace: str
    name: str
    server: str = ""
    embed: bool = False

    @property
    def plane(self) -> Name:
        return Name(self.namespace, self.control_plane)


@dataclass(frozen=True, slots=True)
class Host:
    """The host's API: by kubeconfig files and a context, or as a pod where ``paths`` is empty."""

    paths: str
    context: str
    default_file: Path
    home: Path
    chosen: Chosen | None = None

    @classmethod
    def of(cls, paths: str, context: str, environ: Mapping[str, str]) -> Host:
        """As kubectl finds it. A current context that leads into a control plane leads on to its host."""
        home = Path(environ.get("HOME") or Path.home())
        given = paths or environ.get("KUBECONFIG") or ""
        usual = home / ".kube" / "config"
        # Where none is given a pod is the pod itself, as for all commands.
        if not given and usual.exists() and not environ.get("KUBERNETES_SERVICE_HOST"):
            given = str(usual)
        whole = os.pathsep.join(str(Path(each).expanduser().absolute()) for each in given.split(os.pathsep) if each)
        default = Path(environ.get("KUBECONFIG", "").split(os.pathsep)[0] or usual).expanduser()
        if not whole:
            return cls("", context, default, home)
        chosen = chosen_of(whole, context)
        if not context and (known := host_of(chosen.context)):
            whole, chosen = known.get("kubeconfig", whole), chosen_of(known.get("kubeconfig", whole), known["context"])
        return cls(whole, chosen.name, default, home, chosen)

    def reads(self, path: Path) -> bool:
        """Whether the host is found by this very file."""
        return os.path.realpath(path) in {os.path.realpath(each) for each in self.paths.split(os.pathsep) if each}

    def connect(self) -> Kube:
        """Whoever runs the command, at the host."""
        return connect_context(self.paths, self.context) if self.paths else connect(os.environ)

    def words(self) -> list[str]:
        """The options that lead here again, from wherever kubectl is started."""
        return ["--kubeconfig", self.paths, "--context", self.context] if self.paths else []


async def entry_of(host: Host, question: Question, timeout_seconds: float) -> tuple[Entry, Credential | None]:
    """The context, and for an API server of the Space's own a credential that was tried; else None."""
    async with host.connect() as kube:
        plane = await _plane(kube, question.plane)
        api = (plane.get("status") or {}).get("api") or {}
        refuse_unless_entered(question.plane, plane)
        if api["mode"] == "logical":
            return Entry(question.name, _cluster(api, question), _own_user(host), _remembered(host, question)), None
        credential = await ask(kube, question.plane, timeout_seconds=timeout_seconds)
    user = _certificate(credential) if question.embed else {"exec": _plugin(host, question)}
    if not question.embed:
        _keep(host, question, credential)
    return Entry(question.name, _cluster(api, question), user, _remembered(host, question)), credential


async def credential_of(host: Host, question: Question, timeout_seconds: float) -> dict[str, Any]:
    """An ExecCredential: the kept one while it lasts, else a new one."""
    kept = _kept(host, question)
    if kept is not None:
        return kept
    async with host.connect() as kube:
        plane = await _plane(kube, question.plane)
        refuse_unless_entered(question.plane, plane)
        if plane["status"]["api"]["mode"] == "logical":
            raise Permanent(
                f"control plane {question.namespace}/{question.control_plane} takes the host's own credential, "
                "and signs none: leave --exec out"
            )
        credential = await ask(kube, question.plane, timeout_seconds=timeout_seconds)
    _keep(host, question, credential)
    return exec_credential(credential)


def exec_credential(credential: Credential) -> dict[str, Any]:
    """As kubectl takes it from a program."""
    status = {
        "expirationTimestamp": timestamp(credential.expires_at),
        "clientCertificateData": credential.certificate,
        "clientKeyData": credential.key,
    }
    return {"apiVersion": EXEC_API, "kind": "ExecCredential", "status": status}


def refuse_unless_entered(name: Name, plane: KubeObject) -> None:
    """Raise ``NotLetIn`` where nobody can be let in as himself."""
    api, where = (plane.get("status") or {}).get("api") or {}, f"control plane {name.namespace}/{name.name}"
    match api.get("mode"):
        case "attached":
            raise NotLetIn(
                f"{where}: its API was brought, and only who runs it can let you in as yourself: ask there for a "
                "kubeconfig; spec.writeConnectionSecretToRef gives an administrator's"
            )
        case "logical" | "kubernetes" if api.get("server"):
            return
        case _:
            message = (plane.get("status") or {}).get("message") or "it is being made"
            raise NotLetIn(f"{where} has no API yet: {message}")


async def _plane(kube: Kube, name: Name) -> KubeObject:
    try:
        return await kube.get(CONTROLPLANES, name.name, name.namespace)
    except NotFound as error:
        raise NotLetIn(f"{error}; `kubectl get controlplanes -A` lists those of this host") from error
    except Forbidden as error:
        raise NotLetIn(f"{error}: whoever enters a control plane needs the right to get it on the host") from error


def _cluster(api: KubeObject, question: Question) -> dict[str, Any]:
    bundle = str(api.get("caBundle") or "")
    return {"server": question.server or api["server"], **({"certificate-authority-data": bundle} if bundle else {})}


def _certificate(credential: Credential) -> dict[str, Any]:
    return {
        "client-certificate-data": base64.b64encode(credential.certificate.encode()).decode(),
        "client-key-data": base64.b64encode(credential.key.encode()).decode(),
    }


def _plugin(host: Host, question: Question) -> dict[str, Any]:
    command, *before = start_of(anywhere=True)
    words = ["kubeconfig", question.control_plane, "--namespace", question.namespace, "--exec", *host.words()]
    return {
        "apiVersion": EXEC_API,
        "command": command,
        "args": [*before, *words],
        "interactiveMode": "Never",
        "provideClusterInfo": False,
        "installHint": "keyless asks the host for a certificate of the control plane; --embed needs no program",
    }


def _own_user(host: Host) -> dict[str, Any]:
    """The host's own user as it stands, with its files found from anywhere."""
    if host.chosen is None:
        raise Permanent(
            "a pod enters a logical cluster with its own token: give --kubeconfig for a context of a person"
        )
    user = dict(host.chosen.user)
    for key in _FILES:
        if user.get(key):
            user[key] = str((host.chosen.user_folder / Path(user[key]).expanduser()).absolute())
    return user


def _remembered(host: Host, question: Question) -> dict[str, str]:
    told = {"controlPlane": f"{question.namespace}/{question.control_plane}"}
    return {**told, "kubeconfig": host.paths, "context": host.context} if host.paths else told


def _place(host: Host, question: Question) -> Path:
    words = "\0".join((host.paths, host.context, question.namespace, question.control_plane))
    return host.home / ".kube" / "cache" / NAME / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.json"


def _kept(host: Host, question: Question) -> dict[str, Any] | None:
    try:
        found = orjson.loads(_place(host, question).read_bytes())
        expires = datetime.fromisoformat(found["status"]["expirationTimestamp"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a new one is asked for
    return found if isinstance(found, dict) and datetime.now(UTC) + MARGIN < expires else None


def _keep(host: Host, question: Question, credential: Credential) -> None:
    """Kept for its owner alone; where it cannot be kept, each call asks anew."""
    path = _place(host, question)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, orjson.dumps(exec_credential(credential)).decode())
    except OSError:
        return
