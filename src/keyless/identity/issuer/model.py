"""The two documents as the API server gives them, and what makes them unfit to be published. Pure.

https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

DISCOVERY_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/openid/v1/jwks"
DISCOVERY_TYPE = "application/json"
KEYS_TYPE = "application/jwk-set+json"
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of a JWK that are a private or symmetric key's (RFC 7518, section 6)."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Both, ready to be sent. ``issuer`` is what tokens must say."""

    issuer: str
    discovery: bytes
    keys: bytes


def documents_of_untrusted(discovery: object, keys: object) -> Documents | str:
    """Both as bytes, or why they are not published: an issuer that AWS could not fetch would be told by nobody else."""
    if not isinstance(discovery, Mapping):
        return f"{DISCOVERY_PATH}: expected a JSON object, found {type(discovery).__name__}"
    for name, ending in (("issuer", ""), ("jwks_uri", KEYS_PATH)):
        url = discovery.get(name)
        if not isinstance(url, str) or urlsplit(url).scheme != "https" or not url.endswith(ending):
            return (
                f"{DISCOVERY_PATH}: {name} is {url!r}: expected an https URL that AWS can reach"
                f"{f' and that ends with {ending}' if ending else ''}; set the API server's "
                "--service-account-issuer and --service-account-jwks-uri"
            )
    found = keys.get("keys") if isinstance(keys, Mapping) else None
    if not isinstance(found, list) or not found or not all(isinstance(key, Mapping) for key in found):
        return f"{KEYS_PATH}: expected keys, found none"
    if any(PRIVATE_MEMBERS & {*key} for key in found):
        return f"{KEYS_PATH}: there is a private key in it"
    return Documents(str(discovery["issuer"]), _bytes(discovery), _bytes(keys))


def _bytes(document: Any) -> bytes:
    return orjson.dumps(dict(document), option=orjson.OPT_SORT_KEYS)
