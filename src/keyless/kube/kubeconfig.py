"""Read kubeconfig files: which server, which CA, which credentials.

Understands what kubectl, ``aws eks update-kubeconfig`` and Keyless itself write: tokens, token files, client
certificates and credential plugins. Passwords and auth providers left Kubernetes long ago and are refused by name.

Shape: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from keyless.api import Permanent
from keyless.kube.source import Endpoint, ExecToken, Fixed, Plugin, Source, TokenFile

_Section = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chosen:
    """One context of a kubeconfig, with what it names; ``user`` and ``cluster`` are sections as they stand."""

    name: str
    context: _Section
    cluster: _Section
    cluster_folder: Path
    user: _Section = field(repr=False)
    user_folder: Path


def source_of(paths: str, context: str = "") -> Source:
    """The source for a context, else the current one."""
    chosen = chosen_of(paths, context)
    endpoint = _endpoint(chosen.cluster, chosen.cluster_folder, chosen.user, chosen.user_folder)
    return _source(endpoint, chosen.user, chosen.user_folder, name=str(chosen.context.get("user")))


def chosen_of(paths: str, context: str = "") -> Chosen:
    """A context, else the current one; ``paths`` may be several files, of which the first to say a thing counts."""
    files = [Path(path).expanduser() for path in paths.split(os.pathsep) if path]
    documents = [(path, _load(path)) for path in files if path.exists()]
    if not documents:
        raise Permanent(f"KUBECONFIG {paths}: expected a kubeconfig file, found none")
    context_name = context or next((doc["current-context"] for _, doc in documents if doc.get("current-context")), "")
    if not context_name:
        raise Permanent(f"KUBECONFIG {paths}: no current-context is set; kubectl config use-context NAME sets it")
    found, _ = _named(documents, "contexts", "context", context_name)
    cluster, cluster_folder = _named(documents, "clusters", "cluster", str(found.get("cluster")))
    user, user_folder = (
        _named(documents, "users", "user", str(found["user"])) if found.get("user") else ({}, cluster_folder)
    )
    return Chosen(context_name, found, cluster, cluster_folder, user, user_folder)


def _load(path: Path) -> _Section:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        # A YAML error quotes the line, which may hold a token.
        raise Permanent(f"kubeconfig {path}: cannot be read ({type(error).__name__})") from None
    if not isinstance(document, dict):
        raise Permanent(f"kubeconfig {path}: expected a mapping, found {type(document).__name__}")
    return document


def _named(documents: list[tuple[Path, _Section]], plural: str, singular: str, name: str) -> tuple[_Section, Path]:
    for path, document in documents:
        for entry in document.get(plural) or ():
            if entry.get("name") == name:
                return entry.get(singular) or {}, path.parent
    raise Permanent(f"kubeconfig {documents[0][0]}: {singular} {name!r} is not defined")


def _endpoint(cluster: _Section, cluster_folder: Path, user: _Section, user_folder: Path) -> Endpoint:
    server = str(cluster.get("server") or "").rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise Permanent(f"kubeconfig: cluster.server: expected a URL, found {server!r}")
    return Endpoint(
        server,
        ca_pem=_pem(cluster, "certificate-authority", cluster_folder),
        certificate_pem=_pem(user, "client-certificate", user_folder),
        key_pem=_pem(user, "client-key", user_folder),
        tls_server_name=cluster.get("tls-server-name"),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
    )


def _pem(section: _Section, key: str, folder: Path) -> str | None:
    if data := section.get(f"{key}-data"):
        try:
            return base64.b64decode(data, validate=True).decode()
        except (binascii.Error, ValueError):
            raise Permanent(f"kubeconfig: {key}-data: expected base64 of a PEM text") from None
    if path := section.get(key):
        try:
            return (folder / Path(path).expanduser()).read_text()
        except OSError as error:
            raise Permanent(f"kubeconfig: {key} {path}: cannot be read: {error.strerror}") from error
    return None


def _source(endpoint: Endpoint, user: _Section, folder: Path, *, name: str) -> Source:
    if user.get("tokenFile"):
        return TokenFile(endpoint, folder / Path(user["tokenFile"]).expanduser())
    if user.get("token"):
        return Fixed(endpoint, str(user["token"]))
    if spec := user.get("exec"):
        return ExecToken(endpoint, _plugin(spec, folder, name=name))
    for unknown in ("username", "auth-provider"):
        if unknown in user:
            raise Permanent(f"kubeconfig: user {name!r} has {unknown}, which is not supported; use exec or a token")
    return Fixed(endpoint)


def _plugin(spec: _Section, folder: Path, *, name: str) -> Plugin:
    version = str(spec.get("apiVersion") or "")
    if version not in {"client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"}:
        raise Permanent(f"kubeconfig: user {name!r}: exec apiVersion {version!r} is not v1 or v1beta1")
    return Plugin(
        version,
        str(spec.get("command") or ""),
        tuple(str(arg) for arg in spec.get("args") or ()),
        {str(pair["name"]): str(pair["value"]) for pair in spec.get("env") or ()},
        folder,
    )
