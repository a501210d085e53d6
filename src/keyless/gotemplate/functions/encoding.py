"""Texts of other forms: JSON, YAML, base64, base32 and digests.

Differences from sprig, all towards an error: ``fromJson``, ``b64dec`` and ``b32dec`` of something else fail, where
sprig goes on with nothing, or with the error's text as the value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from keyless.gotemplate.account import Account
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.json_text import from_json, json_text
from keyless.gotemplate.yaml_text import from_yaml, to_yaml

_B64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def _b64dec(text: bytes) -> bytes:
    # As Go's decoder: line breaks are allowed, missing or excess padding is not.
    packed = text.replace(b"\n", b"").replace(b"\r", b"")
    if not _B64.fullmatch(packed):
        raise Problem("the input is no standard base64")
    return base64.b64decode(packed)


def _b32dec(text: bytes) -> bytes:
    try:
        return base64.b32decode(text.replace(b"\n", b"").replace(b"\r", b""))
    except binascii.Error:
        raise Problem("the input is no standard base32") from None


def _swallowed(account: Account, value: Any, *, indent: str = "") -> bytes:
    try:
        return json_text(account, value, indent=indent)
    except Problem as problem:
        if type(problem) is not Problem:
            raise  # a limit is no matter of the value
        return b""


_PRETTY: Any = partial(json_text, indent="  ")
_RAW: Any = partial(json_text, escape_html=False)
_SWALLOWED_PRETTY: Any = partial(_swallowed, indent="  ")
ENCODING: Mapping[str, Function] = {
    "fromJson": Function("s", from_json, cost="look", asks=True),
    "mustFromJson": Function("s", from_json, cost="look", asks=True),
    "toJson": Function("a", _swallowed, cost="look", asks=True),
    "mustToJson": Function("a", json_text, cost="look", asks=True),
    "toPrettyJson": Function("a", _SWALLOWED_PRETTY, cost="look", asks=True),
    "mustToPrettyJson": Function("a", _PRETTY, cost="look", asks=True),
    "toRawJson": Function("a", _RAW, cost="look", asks=True),
    "mustToRawJson": Function("a", _RAW, cost="look", asks=True),
    "fromYaml": Function("s", from_yaml, cost="look", asks=True),
    "toYaml": Function("a", to_yaml, cost="look", asks=True),
    "b64enc": Function("s", base64.b64encode),
    "b64dec": Function("s", _b64dec),
    "b32enc": Function("s", base64.b32encode),
    "b32dec": Function("s", _b32dec),
    "sha1sum": Function("s", lambda text: hashlib.sha1(text).hexdigest().encode()),  # noqa: S324 - what was asked for
    "sha256sum": Function("s", lambda text: hashlib.sha256(text).hexdigest().encode()),
    "sha512sum": Function("s", lambda text: hashlib.sha512(text).hexdigest().encode()),
    "adler32sum": Function("s", lambda text: b"%d" % zlib.adler32(text)),
}
