"""The CA bundle for clients that take one file: the system's roots and ours."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

FILE = "ca-bundle.pem"


def write_bundle(folder: Path, ca_pem: str, environ: Mapping[str, str]) -> Path:
    """Write the bundle; without roots on this system it holds ours alone."""
    roots = _system_roots(environ)
    path = folder / FILE
    path.write_text(f"{roots.rstrip()}\n{ca_pem}" if roots else ca_pem, encoding="utf-8")
    return path


def _system_roots(environ: Mapping[str, str]) -> str:
    paths = ssl.get_default_verify_paths()
    # A bundle that a running Space exported names our own file: not a source of roots.
    named = environ.get("SSL_CERT_FILE", "")
    candidates = [named if Path(named).name != FILE else "", paths.openssl_cafile, "/etc/ssl/certs/ca-certificates.crt"]
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return Path(candidate).read_text(encoding="utf-8", errors="replace")
    return ""
