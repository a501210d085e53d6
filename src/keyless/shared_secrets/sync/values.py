"""From payloads to the keys of a Secret: property, extract, conversion, decoding, rewriting. Pure.

Errors name keys and properties, never values.

Rules: https://external-secrets.io/latest/guides/ (decoding strategy, getting multiple secrets, key rewriting)
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from keyless.api import Reason
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.regexps import Pattern, replace_all
from keyless.shared_secrets.stores.model import Payload
from keyless.shared_secrets.sync.gjson import PathFault
from keyless.shared_secrets.sync.jsonpath import Malformed, lookup, object_members, raw_members
from keyless.shared_secrets.sync.model import Merge, Rewrite, Source

MAX_KEY = 253
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_NOT_KEY = re.compile(r"[^-._a-zA-Z0-9]")


class ValueFault(ValueError):
    """A payload does not have the form that was asked for; the text holds no value."""

    reason = Reason.SECRET_SYNCED_ERROR


class NamesWanted(Exception):
    """Names are to be made by a template, which a renderer does: ask again with them."""

    def __init__(self, template: str, names: tuple[str, ...]) -> None:
        super().__init__("names are to be rendered")
        self.template, self.names = template, names


Renames = Mapping[str, Mapping[str, str]]
"""Per template of ``rewrite.transform``, the names it makes of names."""


def value_of(source: Source, payload: Payload) -> bytes:
    """Return one value: the payload or a property of it, decoded."""
    return _checked(source, decode(_selected(source, payload), source.decoding, source.remote.key))


def extract(
    source: Source, payload: Payload, rewrites: tuple[Rewrite, ...] = (), renames: Renames = MappingProxyType({})
) -> dict[str, bytes]:
    """Return the members of a JSON object, keys rewritten or converted, values decoded; may raise ``NamesWanted``."""
    return shaped(source, _members(source, payload), rewrites, renames)


def shaped(
    source: Source, members: Mapping[str, bytes], rewrites: tuple[Rewrite, ...], renames: Renames
) -> dict[str, bytes]:
    """Return members as keys of a Secret: rewritten or converted, then decoded; may raise ``NamesWanted``."""
    if rewrites:
        for rewrite in rewrites:
            members = rewritten(members, rewrite, renames)
    else:
        members = converted(members, source.conversion)
    found: dict[str, bytes] = {}
    for number, (name, value) in enumerate(members.items(), 1):
        if not name:
            continue
        # A name comes from the provider, too: its place says which it is.
        of = f"secret {source.remote.key}" if source.remote.key else "what find found"
        where = f"{'rewritten key' if rewrites else 'member'} {number} of {of}"
        if len(name) > MAX_KEY or not _KEY.fullmatch(name):
            raise ValueFault(
                f"{where} has a name that is no key of a Secret "
                "(letters, digits, '-', '_', '.', 253 at most); rewrite it or use conversionStrategy"
            )
        found[name] = _checked(source, decode(value, source.decoding, where))
    return found


def _members(source: Source, payload: Payload) -> dict[str, bytes]:
    where = f"unable to unmarshal secret {source.remote.key}"
    try:
        members = object_members(_selected(source, payload))
    except Malformed as fault:
        raise ValueFault(f"{where}: {fault}") from None
    if members is None:
        raise ValueFault(f"{where}: expected a JSON object")
    return members


def _selected(source: Source, payload: Payload) -> bytes:
    if not source.property:
        return payload.plain()
    where = f"property {source.property!r} of secret {source.remote.key}"
    try:
        found = lookup(payload.structured(), source.property)
    except PathFault as fault:
        raise ValueFault(f"{where}: {fault}") from None
    except Malformed as fault:
        # It may well be there, past what cannot be read: "does not exist" would send people to look for it elsewhere.
        raise ValueFault(f"{where} is not found, and the payload cannot be read: {fault}") from None
    if found is None:
        raise ValueFault(f"key {source.property} does not exist in secret {source.remote.key}")
    return found


def _checked(source: Source, value: bytes) -> bytes:
    if source.fails_on_null_byte and b"\0" in value:
        raise ValueFault(f"secret {source.remote.key} holds a null byte (nullBytePolicy: Fail)")
    return value


def decode(value: bytes, strategy: str, name: str) -> bytes:
    """Apply a decoding strategy; ``name`` is for the error."""
    if strategy not in {"Base64", "Base64URL", "Auto"}:
        return value
    # As Go's decoder: line breaks are ignored, wherever they stand.
    text = value.replace(b"\n", b"").replace(b"\r", b"")
    if strategy != "Base64URL" and _STANDARD.fullmatch(text):
        return base64.b64decode(text)
    if strategy != "Base64" and _FOR_URLS.fullmatch(text):
        return base64.urlsafe_b64decode(text)
    if strategy == "Auto":
        return value
    raise ValueFault(f"unable to decode {name}: the value is no {strategy}")


# Python's own check takes padding where none belongs, and both alphabets at once. Spare bits in the last character are
# let be, as Go does.
_STANDARD = re.compile(rb"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_FOR_URLS = re.compile(rb"(?:[A-Za-z0-9_-]{4})*+(?:[A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?")


def converted(members: Mapping[str, bytes], strategy: str) -> dict[str, bytes]:
    """Make keys fit a Secret: ``_`` for every other character, or its code."""

    def replace(match: re.Match[str]) -> str:
        return f"_U{ord(match.group()):04x}_" if strategy == "Unicode" else "_"

    found: dict[str, bytes] = {}
    for number, (name, value) in enumerate(members.items(), 1):
        key = _NOT_KEY.sub(replace, name)
        if key in found:
            earlier = list(found).index(key) + 1
            raise ValueFault(f"secret name collision during conversion: members {earlier} and {number} become one key")
        found[key] = value
    return found


def rewritten(
    members: Mapping[str, bytes], rewrite: Rewrite, renames: Renames = MappingProxyType({})
) -> dict[str, bytes]:
    """Rename keys; of keys that become one, the alphabetically last wins."""
    if rewrite.merge is not None:
        return merged(members, rewrite.merge)
    rename = _transform(rewrite.template, members, renames) if rewrite.template else _regexp(rewrite)
    return {rename(name): members[name] for name in sorted(members)}


def merged(members: Mapping[str, bytes], merge: Merge) -> dict[str, bytes]:
    """Put the members of all values together: in the order of their names, those of ``priority`` last and so winning.

    Two that both have a member are a conflict, unless one of them is of ``priority``.
    """
    if merge.as_json and not merge.into:
        raise ValueFault("dataFrom.rewrite.merge.into is missing: strategy JSON writes one key")
    missing = [name for name in merge.priority if name not in members]
    if missing and not merge.lenient:
        raise ValueFault(
            f"dataFrom.rewrite.merge.priority: {len(missing)} of its keys are not among those that were read"
        )
    last = [name for name in merge.priority if name in members]
    found: dict[str, bytes] = {}
    for number, name in enumerate([*sorted(set(members) - set(last)), *last], 1):
        for member, value in _object(members[name], number, raw=merge.as_json).items():
            if member in found and name not in last and not merge.ignores_conflicts:
                raise ValueFault(
                    f"dataFrom.rewrite.merge: value {number} has a member that one before it has, too; give priority, "
                    "or conflictPolicy Ignore"
                )
            found[member] = value
    if not merge.as_json:
        return found
    written = (json.dumps(name, ensure_ascii=False).encode() + b":" + found[name] for name in sorted(found))
    return {merge.into: b"{" + b",".join(written) + b"}"}


def _object(value: bytes, number: int, *, raw: bool) -> Mapping[str, bytes]:
    try:
        members = raw_members(value) if raw else object_members(value)
    except Malformed as fault:
        raise ValueFault(f"dataFrom.rewrite.merge: value {number} cannot be read: {fault}") from None
    if members is None:
        raise ValueFault(f"dataFrom.rewrite.merge: value {number} is no JSON object")
    return members


def _transform(template: str, names: Iterable[str], renames: Renames) -> Callable[[str], str]:
    known = renames.get(template, {})
    unknown = tuple(name for name in names if name not in known)
    if unknown:
        raise NamesWanted(template, unknown)
    return known.__getitem__


def _regexp(rewrite: Rewrite) -> Callable[[str], str]:
    def rename(name: str) -> str:
        try:
            made = replace_all(rewrite.source, _bytes(name), _bytes(rewrite.target))
        except Problem:
            raise ValueFault(f"dataFrom.rewrite.regexp.source {rewrite.source!r} is no RE2 expression") from None
        return made.decode("utf-8", "replace")

    # A pattern is refused also where there is nothing to rename.
    rename("")
    return rename


def matching(regexp: str) -> Callable[[str], bool]:
    """Return whether a name matches ``find.name.regexp``, anywhere in it; empty matches every name."""
    try:
        pattern = Pattern(regexp)
    except Problem:
        raise ValueFault(f"dataFrom.find.name.regexp {regexp!r} is no RE2 expression") from None
    return lambda name: pattern.matches_in(_bytes(name))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
