"""What names, labels, keys and ports may look like, with the API server's sentences.

Spec: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from keyless.local.cluster.faults import FieldError, invalid

Check = Callable[[str], str]
"""Answers what is wrong with a text, or nothing."""

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


def _shaped(pattern: re.Pattern[str], text: str, longest: int) -> Check:
    def check(value: str) -> str:
        if len(value) > longest:
            return f"must be no more than {longest} characters"
        return "" if pattern.fullmatch(value) else text

    return check


label = _shaped(LABEL, LABEL_TEXT, 63)
subdomain = _shaped(SUBDOMAIN, SUBDOMAIN_TEXT, 253)
label_value = _shaped(VALUE, VALUE_TEXT, 63)


def qualified(value: str) -> str:
    """A label's or annotation's key: a name, perhaps with a domain before it."""
    prefix, slash, name = value.rpartition("/")
    if slash and not prefix:
        return "prefix part must be non-empty"
    if slash and (problem := subdomain(prefix)):
        return f"prefix part {problem}"
    if not name:
        return "name part must be non-empty"
    if len(name) > 63:
        return "name part must be no more than 63 characters"
    return "" if QUALIFIED.fullmatch(name) else QUALIFIED_TEXT


def config_key(value: str) -> str:
    """A key of a ConfigMap or Secret."""
    if len(value) > 253:
        return "must be no more than 253 characters"
    if not CONFIG_KEY.fullmatch(value):
        return CONFIG_KEY_TEXT
    if value in {".", ".."}:
        return f"must not be '{value}'"
    return "must not start with '..'" if value.startswith("..") else ""


def port_name(value: str) -> list[str]:
    """A port's name as probes and services use it."""
    problems = []
    if len(value) > 15:
        problems.append("must be no more than 15 characters")
    if not re.fullmatch(r"[-a-z0-9]+", value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def in_range(value: object, low: int, high: int) -> str:
    """A number between two others."""
    fits = isinstance(value, int) and low <= value <= high
    return "" if fits else f"must be between {low} and {high}, inclusive"


def labels(path: str, found: Mapping[str, Any] | None) -> list[FieldError]:
    """The faults of a map of labels."""
    errors = []
    for name, value in (found or {}).items():
        if problem := qualified(name):
            errors.append(invalid(path, name, problem))
        if problem := label_value(value):
            errors.append(invalid(path, value, problem))
    return errors


def checked(path: str, value: str, check: Check) -> list[FieldError]:
    """One check as a list of faults."""
    problem = check(value)
    return [invalid(path, value, problem)] if problem else []
