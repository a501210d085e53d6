"""A proxy between a pod and the agent on its node: credentials would be asked of the proxy. Pure.

The agent's address is link-local and spoken to over plain http; AWS says that NO_PROXY must name it
(facts/identity.md#associations). CIDRs in NO_PROXY are read by Go's SDK and not by Python's or Java's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

PROXY_VARIABLES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
NO_PROXY = ("no_proxy", "NO_PROXY")
SET = "set"
"""Stands for a proxy's URL, which may carry a password."""
_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"


def agents_address(env: Mapping[str, str]) -> str:
    """The host at which a pod asks for its credentials."""
    return urlsplit(env.get(_URI, "")).hostname or ""


def proxied(env: Mapping[str, str]) -> str:
    """The variable that sends a pod's request for credentials to a proxy; empty where none does."""
    host = agents_address(env)
    through = next((name for name in PROXY_VARIABLES if env.get(name)), "")
    if not through or not host:
        return ""
    # Of the two, SDKs read the small one first.
    said = next((env[name] for name in NO_PROXY if env.get(name)), "")
    return "" if any(_covers(entry.strip(), host) for entry in said.split(",")) else through


def exempted(env: Mapping[str, str]) -> str:
    """What NO_PROXY must hold: what it holds, and the agent's address."""
    said = next((env[name] for name in NO_PROXY if env.get(name)), "")
    host = agents_address(env)
    return ",".join([*filter(None, (entry.strip() for entry in said.split(","))), f"[{host}]" if ":" in host else host])


def _covers(entry: str, host: str) -> bool:
    """An entry is ``*``, or a host with or without a port; an IPv6 one stands in brackets, or bare."""
    if entry == "*":
        return True
    bare = (
        entry.strip("[]") if entry.count(":") > 1 and "]:" not in entry else re.sub(r":[0-9]+\Z", "", entry).strip("[]")
    )
    return bare.lower() == host
