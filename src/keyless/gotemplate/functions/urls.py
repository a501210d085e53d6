"""sprig's ``urlParse`` and ``urlJoin``, as Go's ``net/url`` reads and writes.

List: https://masterminds.github.io/sprig/url.html; rules: https://pkg.go.dev/net/url (Parse, URL.String)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote_from_bytes, unquote_to_bytes

from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.values import Map

_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*):")
_USERINFO = re.compile(rb"[A-Za-z0-9._:~!$&'()*+,;=%@-]*")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_HOST_ESCAPE = re.compile(rb"%(?!25)[0-7][0-9A-Fa-f]")
_HOST_PLAIN = b"!$&'()*+,;=:[]<>\""
_PORT = re.compile(rb"(?::[0-9]*)?")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class _Url:
    scheme: bytes = b""
    opaque: bytes = b""
    user: bytes = b""
    host: bytes = b""
    path: bytes = b""
    query: bytes = b""
    asks: bool = False
    fragment: bytes = b""


def _bad() -> Problem:
    return Problem("the text is no URL")


def _unescaped(text: bytes) -> bytes:
    if _BAD_ESCAPE.search(text):
        raise _bad()
    return unquote_to_bytes(text)


def _escaped(text: bytes, plain: bytes) -> bytes:
    return quote_from_bytes(text, plain.decode()).encode()


def _parsed(text: bytes) -> _Url:
    if _CONTROL.search(text):
        raise _bad()
    rest, _, fragment = text.partition(b"#")
    fragment = _unescaped(fragment)
    if rest == b"*":
        return _Url(path=rest, fragment=fragment)
    if rest.startswith(b":"):
        raise _bad()
    match = _SCHEME.match(rest)
    scheme, rest = (match[1].lower(), rest[match.end() :]) if match else (b"", rest)
    rest, mark, query = rest.partition(b"?")
    if not rest.startswith(b"/"):
        if scheme:
            return _Url(scheme, opaque=rest, query=query, asks=bool(mark), fragment=fragment)
        if b":" in rest.partition(b"/")[0]:
            raise _bad()
    user = host = b""
    if rest.startswith(b"//") and (scheme or not rest.startswith(b"///")):
        authority, slash, rest = rest[2:].partition(b"/")
        rest = slash + rest
        before, _, host = authority.rpartition(b"@")
        user = _user(before) if b"@" in authority else b""
        host = _host(host)
    return _Url(scheme, b"", user, host, _unescaped(rest), query, bool(mark), fragment)


def _user(text: bytes) -> bytes:
    """Return the user information as it is written in a URL."""
    if not _USERINFO.fullmatch(text):
        raise _bad()
    name, colon, password = text.partition(b":")
    return _escaped(_unescaped(name), b"$&+,;=") + colon + _escaped(_unescaped(password), b"$&+,;=")


def _host(host: bytes) -> bytes:
    if host.startswith(b"["):
        end = host.rfind(b"]")
        if end < 0 or not _PORT.fullmatch(host[end + 1 :]):
            raise _bad()
    elif b":" in host and (not _PORT.fullmatch(host[host.rfind(b":") :]) or host.count(b":") > 1):
        raise _bad()
    if _HOST_ESCAPE.search(host) or _escaped(host.replace(b"%", b""), _HOST_PLAIN).count(b"%") != sum(
        byte >= 0x80 for byte in host
    ):
        raise _bad()
    return _unescaped(host)


def _hostname(host: bytes) -> bytes:
    colon = host.rfind(b":")
    if colon >= 0 and _PORT.fullmatch(host[colon:]):
        host = host[:colon]
    return host[1:-1] if host.startswith(b"[") and host.endswith(b"]") else host


def _url_parse(text: bytes) -> Map:
    url = _parsed(text)
    return Map(
        {
            b"scheme": url.scheme,
            b"host": url.host,
            b"hostname": _hostname(url.host),
            b"path": url.path,
            b"query": url.query,
            b"opaque": url.opaque,
            b"fragment": url.fragment,
            b"userinfo": url.user,
        }
    )


def _url_join(parts: Map) -> bytes:
    def part(name: bytes) -> bytes:
        value = parts.get(name, b"")
        if not isinstance(value, bytes):
            raise Problem(f"the value of {name.decode()} is no text")
        return value

    user = _parsed(b"proto://" + part(b"userinfo") + b"@host").user if part(b"userinfo") else b""
    path = part(b"path")
    return _written(
        _Url(part(b"scheme"), part(b"opaque"), user, part(b"host"), path, part(b"query"), False, part(b"fragment"))
    )


def _written(url: _Url) -> bytes:
    out = url.scheme + b":" if url.scheme else b""
    if url.opaque:
        out += url.opaque
    else:
        if (url.scheme or url.host or url.user) and (url.host or url.path or url.user):
            out += b"//" + (url.user + b"@" if url.user else b"") + _escaped(url.host, _HOST_PLAIN)
        path = url.path if url.path == b"*" else _escaped(url.path, b"$&+,/:;=@")
        if path and not path.startswith(b"/") and url.host:
            out += b"/"
        if not out and b":" in path.partition(b"/")[0]:
            out = b"./"
        out += path
    out += b"?" + url.query if url.query else b""
    return out + (b"#" + _escaped(url.fragment, b"$&+,/:;=?@!()*") if url.fragment else b"")


URLS: Mapping[str, Function] = {
    "urlParse": Function("s", _url_parse, cost="spell"),
    "urlJoin": Function("m", _url_join, cost="spell"),
}
