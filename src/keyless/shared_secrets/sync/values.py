"""From payloads to the keys of a Secret: property, extract, conversion, decoding, rewriting. Pure.

Errors name keys and properties, never values.

Rules: https://external-secrets.io/latest/guides/ (decoding strategy, getting multiple secrets, key rewriting)
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping

import re2

from keyless.gotemplate import TemplateError, parse
from keyless.shared_secrets.stores.model import Payload
from keyless.shared_secrets.sync.jsonpath import Node, lookup, read_untrusted
from keyless.shared_secrets.sync.model import Rewrite, Source

MAX_KEY = 253
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_NOT_KEY = re.compile(r"[^-._a-zA-Z0-9]")


class ValueFault(ValueError):
    """A payload does not have the form that was asked for; the text holds no value."""


def value_of(source: Source, payload: Payload) -> bytes:
    """Return one value: the payload or a property of it, decoded."""
    return _checked(source, decode(_selected(source, payload), source.decoding, source.remote.key))


def extract(source: Source, payload: Payload, rewrites: tuple[Rewrite, ...] = ()) -> dict[str, bytes]:
    """Return the members of a JSON object, keys rewritten or converted, values decoded."""
    text = _text(_selected(source, payload), source.remote.key)
    root = read_untrusted(text)
    if root is None or root.members is None:
        raise ValueFault(f"unable to unmarshal secret {source.remote.key}: expected a JSON object")
    members = {name: _member_value(node) for name, node in root.members}
    if rewrites:
        for rewrite in rewrites:
            members = rewritten(members, rewrite)
    else:
        members = converted(members, source.conversion)
    found = {name: value for name, value in members.items() if name}
    for name in found:
        if len(name) > MAX_KEY or not _KEY.fullmatch(name):
            raise ValueFault(
                f"secret {source.remote.key} has a name that is no key of a Secret "
                "(letters, digits, '-', '_', '.', 253 at most); rewrite it or use conversionStrategy"
            )
    return {name: _checked(source, decode(value, source.decoding, source.remote.key)) for name, value in found.items()}


def _member_value(node: Node) -> bytes:
    # Only strings are unquoted: 1.50 stays 1.50.
    if node.text is not None:
        return node.text.encode("utf-8", "surrogatepass")
    return b"" if node.raw == "null" else node.raw.encode()


def _selected(source: Source, payload: Payload) -> bytes:
    if not source.property:
        return payload.plain()
    found = lookup(_text(payload.structured(), source.remote.key), source.property)
    if found is None:
        raise ValueFault(f"key {source.property} does not exist in secret {source.remote.key}")
    return found.encode("utf-8", "surrogatepass")


def _text(value: bytes, key: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueFault(f"secret {key} is no UTF-8 text, so it has no properties") from None


def _checked(source: Source, value: bytes) -> bytes:
    if source.fails_on_null_byte and b"\0" in value:
        raise ValueFault(f"secret {source.remote.key} holds a null byte (nullBytePolicy: Fail)")
    return value


def decode(value: bytes, strategy: str, name: str) -> bytes:
    """Apply a decoding strategy; ``name`` is for the error."""
    if strategy == "Base64":
        return _decoded(base64.b64decode, value, name, strategy)
    if strategy == "Base64URL":
        return _decoded(_b64url, value, name, strategy)
    if strategy == "Auto":
        for function in (base64.b64decode, _b64url):
            try:
                return _decoded(function, value, name, strategy)
            except ValueFault:
                continue
    return value


def _b64url(value: bytes, *, validate: bool) -> bytes:
    return base64.b64decode(value, altchars=b"-_", validate=validate)


def _decoded(function: Callable[..., bytes], value: bytes, name: str, strategy: str) -> bytes:
    try:
        # As Go's decoder: line breaks are allowed.
        return function(value.replace(b"\n", b"").replace(b"\r", b""), validate=True)
    except (binascii.Error, ValueError):
        raise ValueFault(f"unable to decode {name}: the value is no {strategy}") from None


def converted(members: Mapping[str, bytes], strategy: str) -> dict[str, bytes]:
    """Make keys fit a Secret: ``_`` for every other character, or its code."""

    def replace(match: re.Match[str]) -> str:
        return f"_U{ord(match.group()):04x}_" if strategy == "Unicode" else "_"

    found: dict[str, bytes] = {}
    for name, value in members.items():
        key = _NOT_KEY.sub(replace, name)
        if key in found:
            raise ValueFault("secret name collision during conversion: two names become one key")
        found[key] = value
    return found


def rewritten(members: Mapping[str, bytes], rewrite: Rewrite) -> dict[str, bytes]:
    """Rename keys; of keys that become one, the alphabetically last wins."""
    rename = _transform(rewrite.template) if rewrite.template else _regexp(rewrite)
    return {rename(name): members[name] for name in sorted(members)}


def _transform(text: str) -> Callable[[str], str]:
    try:
        template = parse(text, name="dataFrom.rewrite.transform")
    except TemplateError as error:
        raise ValueFault(str(error)) from None

    def rename(name: str) -> str:
        try:
            return template.render({"value": name})
        except TemplateError as error:
            raise ValueFault(str(error)) from None

    return rename


_GROUP = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


def _regexp(rewrite: Rewrite) -> Callable[[str], str]:
    options = re2.Options()
    options.log_errors = False
    try:
        pattern = re2.compile(rewrite.source, options=options)
    except re2.error:
        raise ValueFault(f"dataFrom.rewrite.regexp.source {rewrite.source!r} is no RE2 expression") from None

    def expand(match: re.Match[str]) -> str:
        return _GROUP.sub(lambda group: _group(match, group[1] or group[2]), rewrite.target)

    return lambda name: str(pattern.sub(expand, name))


def _group(match: re.Match[str], name: str) -> str:
    try:
        return match.group(int(name) if name.isdigit() else name) or ""
    except (IndexError, KeyError, re2.error):
        return ""
