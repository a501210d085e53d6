"""Which remote keys a namespace may ask for with the Space's credentials. Pure.

A scope gives prefixes to the namespaces, control planes and groups that it names; what no scope gives is refused. A
prefix is a whole name, or what stands before a ``/``: ``team-a`` admits ``team-a`` and ``team-a/db``, never
``team-abc``. Names are compared as AWS resolves them, not as they were written (docs/reference/facts/secret-names.md).

Namespaces are told by name alone: a namespace's labels are its tenant's to write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from keyless.api import Arn, Permanent
from keyless.shared_secrets.stores.model import PARAMETER_STORE, SECRETS_MANAGER

EVERYTHING = "*"
_ARN_SERVICES = {"secretsmanager": SECRETS_MANAGER, "ssm": PARAMETER_STORE}
# What AWS lets a name consist of; anything else names nothing, and is not worth a guess at how it would be read.
_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]+")
_PATTERN = re.compile(r"[a-z0-9.*-]+")
_SUFFIX = re.compile(r"(.+)-[A-Za-z0-9]{6}")
# Parameter Store reads Secrets Manager under this name.
_REFERENCE = "aws/reference/secretsmanager/"
_FIELDS = ("group", "controlPlane", "namespace", "prefixes")


class NotInScope(ValueError):
    """A key that may not be asked for; the text says why."""


@dataclass(frozen=True, slots=True)
class Scope:
    """``group``, ``control_plane`` and ``namespace`` are names in which ``*`` stands for any run of characters."""

    prefixes: tuple[str, ...]
    group: str = EVERYTHING
    control_plane: str = EVERYTHING
    namespace: str = EVERYTHING

    def document(self) -> dict[str, object]:
        """Return it as it is written in Helm values."""
        places = {"group": self.group, "controlPlane": self.control_plane, "namespace": self.namespace}
        return {**{name: place for name, place in places.items() if place != EVERYTHING}, "prefixes": [*self.prefixes]}


@dataclass(frozen=True, slots=True)
class Home:
    """Where a store reads: names without an ARN are of this service, region and account."""

    service: str
    region: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What a key means to AWS. ``names`` are all names that it may be read as; ``arn`` is empty for a plain name."""

    home: Home
    names: tuple[str, ...]
    arn: str = ""


def read_scopes(document: object) -> tuple[Scope, ...]:
    """Read the value ``scopes``; raises ``ValueError`` that names every fault."""
    if not isinstance(document, list):
        raise ValueError(f"expected a list, found {document!r}")
    if not document:
        raise ValueError("an empty list would admit no key at all: give a scope, or leave scopes out")
    found, faults = [], []
    for index, item in enumerate(document):
        try:
            found.append(_scope(item))
        except ValueError as error:
            faults.append(f"[{index}]: {error}")
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(found)


def _scope(item: object) -> Scope:
    if not isinstance(item, Mapping):
        raise ValueError(f"expected a mapping with {', '.join(_FIELDS)}, found {item!r}")
    unknown = sorted(str(name) for name in item if name not in _FIELDS)
    if unknown:
        raise ValueError(f"expected {', '.join(_FIELDS)}, found {', '.join(unknown)}")
    prefixes = item.get("prefixes")
    if not isinstance(prefixes, list) or not prefixes:
        raise ValueError(f"prefixes: expected a list of at least one, found {prefixes!r}")
    places = [_pattern(name, item.get(name)) for name in _FIELDS[:3]]
    return Scope(tuple(_prefix(prefix) for prefix in prefixes), *places)


def _pattern(name: str, value: object) -> str:
    if value is None:
        return EVERYTHING
    if not isinstance(value, str) or not _PATTERN.fullmatch(value):
        raise ValueError(f"{name}: expected a name, * for any run of characters, found {value!r}")
    return value


def _prefix(value: object) -> str:
    if value == EVERYTHING:
        return EVERYTHING
    if not isinstance(value, str) or not value.strip("/"):
        raise ValueError(f"prefixes: expected a name or what stands before a /, found {value!r}")
    if "*" in value:
        raise ValueError(
            f"prefixes: {value!r}: a prefix ends at / or is the whole name; * stands alone, for everything"
        )
    try:
        _require_prefix(value)
    except NotInScope as fault:
        raise ValueError(f"prefixes: {value!r}: {fault}") from None
    return value


def of_control_plane(scopes: Iterable[Scope], group: str, name: str) -> tuple[Scope, ...]:
    """Return the scopes that concern a control plane."""
    return tuple(s for s in scopes if fnmatchcase(group, s.group) and fnmatchcase(name, s.control_plane))


def prefixes_of(scopes: Iterable[Scope], namespace: str) -> tuple[str, ...]:
    """Return the prefixes that a namespace has: those of every scope that names it."""
    return tuple(sorted({p for s in scopes if fnmatchcase(namespace, s.namespace) for p in s.prefixes}))


def target_of(full: str, home: Home) -> Target:
    """Return what ``full`` (store prefix and key together) means at AWS; raises ``NotInScope`` where that is unsure."""
    if full.startswith("arn:"):
        return _of_arn(full)
    return _of_name(full, home)


def admit(full: str, home: Home, prefixes: Sequence[str]) -> None:
    """Raise ``NotInScope`` unless one prefix admits ``full``, however AWS may read it."""
    target = target_of(full, home)
    if not any(_admits(prefix, target, home) for prefix in prefixes):
        text = ", ".join(prefixes) or "none"
        more = (
            "; an ARN that ends in a hyphen and six characters may mean two secrets: ask for it by its name"
            if len(target.names) > 1 and any(_admits_name(p, n) for p in prefixes for n in target.names)
            else ""
        )
        raise NotInScope(f"its prefixes are {text}{more}")


def within(found: Iterable[str], home: Home, prefixes: Sequence[str]) -> tuple[str, ...]:
    """Return those results of a search (names or ARNs) that are in scope: each is judged by itself."""
    return tuple(name for name in found if _is_admitted(name, home, prefixes))


def _is_admitted(full: str, home: Home, prefixes: Sequence[str]) -> bool:
    try:
        admit(full, home, prefixes)
    except NotInScope:
        return False
    return True


def _admits(prefix: str, target: Target, home: Home) -> bool:
    if prefix.startswith("arn:"):
        # Another account's secrets are in scope only where a scope names that account.
        place, named = _split(prefix)
        in_place = (place.service, place.region, place.account) == (
            target.home.service,
            target.home.region,
            target.home.account,
        )
        return target.arn == prefix or (in_place and all(_admits_name(named, name) for name in target.names))
    ours = (target.home.region, target.home.account) == (home.region, home.account)
    return ours and all(_admits_name(prefix, name) for name in target.names)


def _admits_name(prefix: str, name: str) -> bool:
    if prefix == EVERYTHING:
        return True
    bare = prefix.removeprefix("/")
    return name.startswith(bare) if bare.endswith("/") else name == bare or name.startswith(f"{bare}/")


def _of_arn(text: str) -> Target:
    home, name = _split(text)
    if home.service == PARAMETER_STORE:
        inner = _of_parameter(name, home)
        return Target(inner.home, inner.names, text.partition(f"parameter/{name}")[0] + f"parameter/{inner.names[0]}")
    bare = name.removeprefix("/")
    _require_plain(bare)
    whole = _SUFFIX.fullmatch(bare)
    # A partial ARN lacks the six characters and a whole one has them: which of the two this is, only AWS knows.
    return Target(home, (bare, whole[1]) if whole else (bare,), text)


def _split(text: str) -> tuple[Home, str]:
    """An ARN as a place and the name in it."""
    try:
        arn = Arn.parse(text)
    except ValueError:
        raise NotInScope("it is no whole ARN") from None
    service = _ARN_SERVICES.get(arn.service, "")
    if not service or not arn.region or not arn.account:
        raise NotInScope("its ARN is not that of a secret or parameter, with region and account")
    lead = "secret:" if service == SECRETS_MANAGER else "parameter/"
    if not arn.resource.startswith(lead):
        raise NotInScope(f"its ARN is not that of a {lead[:-1]}")
    return Home(service, arn.region, arn.account), arn.resource.removeprefix(lead)


def _of_name(full: str, home: Home) -> Target:
    # One leading slash means nothing: Parameter Store's ARNs leave it out, and two names that differ by it have one.
    name = full.removeprefix("/")
    if home.service == PARAMETER_STORE:
        return _of_parameter(name, home)
    _require_plain(name)
    return Target(home, (name,))


def _of_parameter(name: str, home: Home) -> Target:
    if name.lower().startswith(_REFERENCE):
        secret = name[len(_REFERENCE) :]
        inner = Home(SECRETS_MANAGER, home.region, home.account)
        return target_of(secret if secret.startswith("arn:") else secret.partition(":")[0], inner)
    bare = name.partition(":")[0]  # what follows is a version or a label
    _require_plain(bare)
    return Target(home, (bare,))


def _require_plain(name: str) -> None:
    # Nothing that a reader between us and the value could take for another name.
    if not _NAME.fullmatch(name):
        raise NotInScope("it has characters that no name at AWS has")
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise NotInScope("it has empty or dotted parts between slashes")


def _require_prefix(prefix: str) -> None:
    name = _split(prefix)[1] if prefix.startswith("arn:") else prefix
    _require_plain(name.removeprefix("/").removesuffix("/"))


def to_text(scopes: Iterable[Scope]) -> str:
    """Return scopes as JSON, for a component's settings."""
    return json.dumps([scope.document() for scope in scopes], separators=(",", ":"))


def from_text(text: str) -> tuple[Scope, ...] | None:
    """Read what :func:`to_text` wrote; empty text means that there are no scopes. Raises ``Permanent``."""
    if not text:
        return None
    try:
        document = json.loads(text)
        # Scopes exist, and none concerns this control plane: nothing is admitted.
        return () if document == [] else read_scopes(document)
    except ValueError as error:
        raise Permanent(f"scopes: {error}") from None
