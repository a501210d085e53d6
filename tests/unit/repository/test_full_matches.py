"""Texts of others are matched whole, and in ASCII where ASCII is meant.

Python's ``$`` also matches before a last line break, ``match`` leaves what follows unread, ``\\d`` and ``isdigit`` take
the digits of every script, and ``int(" 1_0 ")`` is 10: each let through what AWS, Kubernetes and Go refuse.
"""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from keyless.api.numbers import is_digits, whole_number

from .test_sources import ROOT, modules, parsed

READERS = {"match", "search"}
UNICODE_CHECKS = {"isdigit", "isdecimal", "isnumeric", "isalnum", "isalpha"}
METHODS = READERS | UNICODE_CHECKS | {"compile", "fullmatch", "sub", "split", "findall", "finditer"}
# Where a match need not be whole, and why.
PARTIAL = {
    "aws/errors.py: _AGENT": "finds the agent's own words within a longer message of botocore's",
    "billing/export/plan.py: _HOUR_KEY": "tells the hour by how a key begins below its day",
    "billing/ledger/tolerant.py: _SPACE": "reads one token after another",
    "cli/demo/stage.py: _AWS_VERSION": "finds the version within what the client prints",
    "identity/verify/trust.py: _PLACEHOLDER": "finds what was not filled in anywhere in a policy's text",
    "identity/verify/saying.py: _NODE": "finds a session's ARN within what a component reports",
    "identity/grants/refusals.py: _SENTENCE": "finds who lacks what within AWS's sentence",
    "identity/grants/refusals.py: _DENY": "finds which policy denies within AWS's sentence",
    "identity/grants/refusals.py: _BOUNDARY": "finds which policy bounds within AWS's sentence",
    "identity/verify/speaking.py: _LAST": "finds a time within what a component reports",
    "gotemplate/lexer.py: _TOKEN": "reads one token after another",
    "gotemplate/formatting.py: _FLAGS": "reads one part of a verb after another",
    "gotemplate/functions/urls.py: _BAD_ESCAPE": "finds an escape that is none anywhere in a part of a URL",
    "gotemplate/functions/urls.py: _CONTROL": "finds a control character anywhere in a URL",
    "gotemplate/functions/urls.py: _HOST_ESCAPE": "finds an escape that a host may not have",
    "gotemplate/functions/urls.py: _SCHEME": "reads the part before the first colon",
    "gotemplate/timeparsing.py: *": "reads one part of a date after another; what is left at the end is refused",
    "gotemplate/formatting.py: _INDEX": "reads one part of a verb after another",
    "identity/verify/storage.py: _STORED_IN": "finds the bucket within the sentence of a condition",
    "identity/verify/aws_facts.py: _EXPLICIT": "finds the kind of policy in AWS's sentence",
    "identity/verify/untold.py: _OF_A_SERVICE": "tells a condition key by its prefix",
    "local/cloud/eks/access_entries.py: re": "looks for the template at the beginning of a name, as EKS does",
    "local/cloud/iam/positions.py: _SPACE": "goes past white space in a document that is read on",
    "local/cloud/iam/principals.py: _UNIQUE_ID": "finds ids within a stored document",
    "local/cloud/wire/read.py: _QUOTED": "reads one item of a list after another",
    "local/cloud/wire/structures.py: _ESCAPED": "asks whether a text holds anything to escape",
    "local/cluster/builtin/names.py: re": "asks for a letter anywhere, beside a check of the whole name",
    "local/cluster/builtin/object_rules.py: re": "tells reserved names by their prefix",
    "local/cluster/discovery.py: _ASKED": "finds one media type within an Accept header",
    "local/cluster/presenting.py: _AS": "finds one parameter within a clause of an Accept header",
    "local/cluster/schema/evaluation.py: MISSING_KEY": "finds the name within a message of the CEL library's",
    "local/cluster/schema/rules.py: OLD": "asks whether a rule speaks of the old object",
    "local/cluster/schema/rules.py: RARE": "asks whether a rule needs functions that are seldom needed",
    "local/cluster/selectors/labels.py: TOKEN": "reads one token after another",
    "local/cluster/tables/jsonpath.py: NAME": "reads one step of a path after another",
    "shared_secrets/sync/gjson/modifiers.py: *": "walks a path or a payload piece by piece; nothing is validated by it",
    "shared_secrets/sync/gjson/scanning.py: *": "walks a payload piece by piece; nothing is validated by it",
    "shared_secrets/sync/gjson/search.py: *": "walks a payload piece by piece; nothing is validated by it",
    "shared_secrets/sync/gjson/paths.py: *": "reads a path piece by piece",
    "shared_secrets/sync/gjson/strict.py: *": "reads one token after another and says where the first wrong one begins",
    "shared_secrets/sync/gjson/values.py: *": "looks for a misplaced underscore in a number that is matched whole",
}
# Where a class of every script's characters is meant, or does not matter.
EVERY_SCRIPT = {
    "gotemplate/lexer.py": "Go's identifiers may be of any script",
    "gotemplate/casting.py": "the text is known to be ASCII",
    "gotemplate/formatting.py": "looks at what Python's own formatting of a number wrote",
    "gotemplate/functions/cases.py": "a digit of any script is a number to the library",
    "gotemplate/timeparsing.py": "the text is known to be ASCII there",
    "gotemplate/functions/text.py": "the rune is known to be ASCII there",
    "gotemplate/regexps.py": "Go's names of groups may be of any script",
    "gotemplate/yamlorder.py": "go-yaml asks unicode.IsLetter and IsDigit",
    "aws/errors.py": "a message of AWS's client is cut up, nothing is decided by it",
    "cli/demo/stage.py": "what a known program prints",
    "kube/selectors.py": "white space between words is passed over, and no key or value may hold any",
    "local/cloud/secretsmanager/filters.py": "words of a description, in any script",
    "local/cloud/iam/context_keys.py": "white space around a variable's name is passed over",
    "local/cloud/wire/read.py": "white space between items of a header is passed over",
    "local/cloud/s3/ranges.py": "white space between the words of a header is passed over",
    "local/cluster/schema/evaluation.py": "white space between an amount and its unit is passed over",
    "local/cluster/schema/formats.py": "white space that a format forbids, of every script",
    "local/cluster/schema/rules.py": "CEL's identifiers; the CEL library refuses what is none",
    "local/cluster/discovery.py": "white space between parameters of a header is passed over",
    "local/cluster/presenting.py": "the end of a word in a header",
    "local/cluster/tables/jsonpath.py": "white space between the words of an expression is passed over",
    "local/cluster/selectors/labels.py": "white space between tokens is passed over, and every word is checked whole",
    "local/node/mounts.py": "a path's neighbours in a text may be letters of any script",
    "policy/parse.py": "white space that a principal's name may not hold, of every script",
}


def _literal(node: ast.expr) -> str:
    """The text of a pattern, as far as it stands in the source."""
    parts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
    return "".join(
        part if isinstance(part, str) else part.decode("latin-1") for part in parts if isinstance(part, str | bytes)
    )


@cache
def _calls(name: str) -> tuple[tuple[ast.Call, str, str], ...]:
    """Calls that matter here: (call, what it is called on, method); most modules have none and are not even parsed."""
    if not re.search(rf"\.(?:{'|'.join(METHODS)})\(", _text(name)):
        return ()
    return tuple(
        (node, ast.unparse(node.func.value), node.func.attr)
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS
    )


@cache
def _patterns(name: str) -> tuple[tuple[ast.Call, str, set[str]], ...]:
    """Expressions that stand in the source: (call, pattern, flags)."""
    return tuple(
        (call, _literal(call.args[0]), {node.attr for node in ast.walk(call) if isinstance(node, ast.Attribute)})
        for call, receiver, _ in _calls(name)
        if receiver == "re" and call.args and not isinstance(call.args[0], ast.Name)
    )


def _short(name: str) -> str:
    return name.removeprefix("src/keyless/")


def _outside_classes(pattern: str) -> str:
    return re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "", pattern, flags=re.DOTALL)


def test_no_expression_ends_in_a_dollar() -> None:
    found = [
        f"{_short(name)}:{call.lineno}: {pattern}"
        for name in modules("src/")
        for call, pattern, flags in _patterns(name)
        if re.search(r"\$(?=$|[|)])", _outside_classes(pattern))
        and not flags & {"MULTILINE", "M"}
        # The end of an item in a list; the list is read to its end.
        and _short(name) != "local/cloud/wire/read.py"
    ]
    assert not found, "match the whole with fullmatch, or write \\Z"


def test_what_is_matched_in_part_is_listed_with_its_reason() -> None:
    used = {
        f"{_short(name)}: {receiver}"
        for name in modules("src/")
        for _, receiver, method in _calls(name)
        if method in READERS and (receiver == "re" or receiver.strip("_").isupper())
    }
    unlisted = {one for one in used if one not in PARTIAL and f"{one.partition(':')[0]}: *" not in PARTIAL}
    assert not unlisted, "use fullmatch; where a part is meant, say why in PARTIAL"
    files = {one.partition(":")[0] for one in used}
    assert not {one for one in PARTIAL if one not in used and not (one.endswith("*") and one[:-3] in files)}


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _unicode_classes() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in modules("src/"):
        for call, pattern, flags in _patterns(name):
            is_bytes = any(
                isinstance(part, ast.Constant) and isinstance(part.value, bytes) for part in ast.walk(call.args[0])
            )
            if re.search(r"(?<!\\)(?:\\\\)*\\[dwsDWSbB]", pattern) and not is_bytes and not flags & {"ASCII", "A"}:
                found[_short(name)] = f"{_short(name)}:{call.lineno}: {pattern}"
        for call, receiver, method in _calls(name):
            if method in UNICODE_CHECKS and f"{receiver}.isascii()" not in _text(name):
                found[_short(name)] = f"{_short(name)}:{call.lineno}: {receiver}.{method}()"
    return found


def test_classes_of_characters_are_ascii_or_listed_with_their_reason() -> None:
    found = _unicode_classes()
    unlisted = [where for name, where in found.items() if name not in EVERY_SCRIPT]
    assert not unlisted, "write [0-9], is_digits or re.ASCII"
    assert not set(EVERY_SCRIPT) - set(found)


@pytest.mark.parametrize("text", ["", "1\n", " 1", "1_0", "٣", "１", "+1", "1.0", "1" * 20, "²"])
def test_only_ascii_digits_are_digits(text: str) -> None:
    assert not is_digits(text)


@pytest.mark.parametrize("text", ["", "1\n", " 1", "1_0", "٣", "１", "+-1", "1.0", "1" * 20, "0x1", "nan"])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole number"):
        whole_number(text)


def test_whole_numbers_may_have_a_sign() -> None:
    assert [whole_number(text) for text in ("10", "+7", "-007", "9" * 19)] == [10, 7, -7, int("9" * 19)]
