"""What the Secrets of a control plane are encrypted with in etcd: a key of its own, or a KMS key. Pure.

Both lie in one file, Kubernetes' EncryptionConfiguration, which kube-apiserver reads and which lies beside each
snapshot. Of a KMS key it holds the socket of a plugin alone; which key and whose control plane is behind it stands in
the query of that socket's URL, of which kube-apiserver takes the path (docs/reference/facts/encryption-at-rest.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from keyless.api.kms_names import names_key

SOCKETS = "/run/keyless/kms"
TIMEOUT_SECONDS = 10
"""What kube-apiserver grants one call of the plugin: three attempts at KMS, one of which may be slow."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,79}[a-z0-9])?", re.ASCII)
_KEY_ID = re.compile(r"[A-Za-z0-9:/_-]{1,320}", re.ASCII)
"""An id, ARN, alias or alias ARN, as KMS takes a ``KeyId``."""


@dataclass(frozen=True, slots=True)
class KmsKey:
    """``name``: of the provider, by which what lies in etcd finds it. ``key_id``: as KMS takes it.

    ``control_plane_id``: for whom it encrypts, which is the encryption context; another control plane's where what was
    restored is read.
    """

    name: str
    key_id: str
    control_plane_id: str

    @property
    def socket(self) -> str:
        """Where the plugin answers for it."""
        return f"{SOCKETS}/{self.name}.sock"


Sealer = tuple[str, str] | KmsKey
"""What encrypts: name and 32 bytes in base64 of a key of its own, or a KMS key."""


def name_of(sealer: Sealer) -> str:
    """What in etcd's values names it."""
    return sealer.name if isinstance(sealer, KmsKey) else sealer[0]


def is_key_id(text: str) -> bool:
    """Whether KMS could take it as a key's: no ARN of anything else."""
    return bool(_KEY_ID.fullmatch(text)) and names_key(text)


def providers(sealers: Iterable[Sealer]) -> list[dict[str, Any]]:
    """As an EncryptionConfiguration has them: the first writes, all read."""
    found: list[dict[str, Any]] = []
    for each in sealers:
        if isinstance(each, KmsKey):
            query = urlencode({"key": each.key_id, "of": each.control_plane_id}, safe=":/")
            endpoint = f"unix://{each.socket}?{query}"
            timeout = f"{TIMEOUT_SECONDS}s"
            found.append({"kms": {"apiVersion": "v2", "name": each.name, "endpoint": endpoint, "timeout": timeout}})
        elif found and "secretbox" in found[-1]:
            found[-1]["secretbox"]["keys"].append({"name": each[0], "secret": each[1]})
        else:
            found.append({"secretbox": {"keys": [{"name": each[0], "secret": each[1]}]}})
    return found


def sealers_of(body: bytes) -> tuple[Sealer, ...]:
    """What an EncryptionConfiguration names, in its order; empty: it is none of ours."""
    try:
        document = json.loads(body)
        found = [each for one in document["resources"][0]["providers"] for each in _sealers(one)]
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
        return ()
    return tuple(found)


def _sealers(provider: Mapping[str, Any]) -> list[Sealer]:
    if "kms" in provider:
        return [_kms(provider["kms"])]
    if "secretbox" not in provider:
        return []
    return [(_text(each["name"]), _text(each["secret"])) for each in provider["secretbox"]["keys"]]


def _kms(told: Mapping[str, Any]) -> KmsKey:
    asked = parse_qs(urlsplit(_text(told["endpoint"])).query)
    return kms_key({"name": told["name"], "key": asked["key"][0], "of": asked["of"][0]})


def kms_key(told: Mapping[str, Any]) -> KmsKey:
    """From ``name``, ``key`` and ``of``; raises ``ValueError``, ``KeyError`` or ``TypeError`` where it is none.

    A name becomes a file's name and an id a parameter of AWS: neither may be more than that.
    """
    name, key, whose = (_text(told[each]) for each in ("name", "key", "of"))
    if not _NAME.fullmatch(name) or not _NAME.fullmatch(whose) or not _KEY_ID.fullmatch(key):
        raise ValueError("no KMS key")
    return KmsKey(name, key, whose)


def plugin_file(sealers: Iterable[Sealer]) -> str:
    """What the plugin is told: the KMS keys, and no key of its own."""
    keys = [each for each in sealers if isinstance(each, KmsKey)]
    listed = [{"name": each.name, "key": each.key_id, "of": each.control_plane_id} for each in keys]
    return json.dumps({"keys": listed}, indent=1)


def plugin_keys(body: bytes) -> tuple[KmsKey, ...]:
    """Read it; raises ``ValueError`` where it is not what was written."""
    try:
        found = tuple(kms_key(each) for each in json.loads(body)["keys"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("expected keys, each with name, key and of") from None
    if len({each.name for each in found}) != len(found):
        raise ValueError("expected each name once")
    return found


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("expected a text")
    return value
