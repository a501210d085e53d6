"""Keeps credentials of test clusters out of what a failing test prints.

A report shows commands, their arguments and what they printed: tokens, access keys and values of secrets are in all
three. A folder of tests that handles such takes the hook into its ``conftest.py``::

    from tests.hiding import pytest_runtest_makereport as pytest_runtest_makereport
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

HIDDEN = "<hidden>"
# The names under which AWS, Kubernetes and their command lines give away what nobody may read.
_NAMES = (
    "(?:secret[_-]?access[_-]?key|session[_-]?token|secret[_-]?string|secret[_-]?binary|plaintext(?:[_-]?blob)?"
    "|client[_-]?key[_-]?data|token|password|authorization)"
)
_VALUE = r"""((?:bearer\s+|basic\s+)?(?:\\?"(?:[^"\\]|\\.)*"?|\\?'[^']*'?|[^\s"',}\])]+))"""
_FIELDS = (
    # "token": "…", as JSON or Python shows it, escaped where it is JSON within JSON; then shells and argument lists.
    re.compile(rf"""(?i)({_NAMES}\\?["']\s*:\s*){_VALUE}"""),
    re.compile(rf"""(?i)({_NAMES}=){_VALUE}"""),
    re.compile(rf"""(?i)(--[\w-]*{_NAMES}(?:\s+|["'],\s*)){_VALUE}"""),
    # A line of YAML or of a header; a sentence that speaks of a token is none.
    re.compile(rf"""(?im)^(\s*(?:-\s+)?[\w-]*{_NAMES}:\s+){_VALUE}\s*$"""),
)
_SHAPES = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    # A JSON Web Token, whole or cut; then it, and PEM, in base64 as a Secret or a kubeconfig holds them.
    re.compile(r"eyJ[\w-]{6,}(?:\.[\w-]*){0,2}"),
    re.compile(r"(?:ZXlK|LS0tLS1CRUdJTi)[A-Za-z0-9+/=]+"),
)


def hidden(text: str) -> str:
    """The text without tokens, private keys, and what stands behind a telling name."""
    for shape in _SHAPES:
        text = shape.sub(HIDDEN, text)
    for field in _FIELDS:
        text = field.sub(rf"\1{HIDDEN}", text)
    return text


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    """Hide in what a test's report shows; one that holds nothing of the kind keeps its form."""
    report: pytest.TestReport = yield
    for_people = report.longreprtext
    if (safe := hidden(for_people)) != for_people:
        report.longrepr = safe
    report.sections = [(title, hidden(content)) for title, content in report.sections]
    return report
