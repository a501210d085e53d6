"""Whatever the payload and the path, a lookup ends soon: a controller has one event loop."""

import contextlib
import os
import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.shared_secrets.sync.gjson import PathFault
from keyless.shared_secrets.sync.jsonpath import Malformed, lookup, object_members

SIZE = 1 << 16
DEEPER = "KEYLESS_FUZZ" in os.environ
GENEROUS_SECONDS = 0.5
"""Ten times what a lookup takes at most on an idle core: tests share theirs."""
PAYLOADS = {
    "deep objects": '{"a":' * 9000 + "1" + "}" * 9000,
    "objects that never end": '{"a":' * 13000,
    "deep lists": "[" * 32768 + "]" * 32768,
    "lists that never end": "[" * SIZE,
    "many numbers": "[" + "1," * 32000 + "1]",
    "many texts": "[" + '"a",' * 16000 + "1]",
    "many objects": "[" + '{"a":1},' * 8000 + "1]",
    "many members": "{" + '"aaaaaaaab":1,' * 4300 + '"b":1}',
    "many escaped names": "{" + '"\\u0061b":1,' * 5000 + '"b":1}',
    "one escaped text": '{"a":"' + "\\u00e9" * 10900 + '"}',
    "one long name": '{"' + "a" * 65000 + '":1}',
    "one long number": '{"a":' + "1" * 65000 + ".5}",
    "quotes": '"' * SIZE,
    "backslashes": '{"' + "\\" * 65000,
    "commas": "[" + "," * 65000,
    "no JSON at all": "x" * SIZE,
    "nested lists": '{"a":[' + "[1]," * 16000 + "1]}",
}
PATHS = [
    "a",
    ".".join("a" * 2000),
    ".".join("*" * 2000),
    ".".join("#" * 2000),
    "*a" * 2000 + "b",
    "?" * 4000 + "*b",
    "*" + "a" * 4000 + "b*",
    "#.#.#.#.#",
    "#(#(#(#(a))))#",
    '#(%"' + "*a" * 1900 + 'b")#',
    "..#.a",
    "@dig:a",
    "@dig:@dig:@dig:a",
    '@flatten:{"deep":true}',
    "@this|" * 600 + "a",
    "@ugly|" * 50 + "a",
    "@tostr|" * 50 + "a",
    "@fromstr|" * 50 + "a",
    "@valid|" * 50 + "a",
    "@keys|" * 50 + "a",
    "{" + "a," * 1500 + "a}",
    "[" + "@this," * 600 + "a]",
    "[@this,@this]|" * 40 + "a",
    "#(" * 2000,
    "a.b" * 1300,
]


def _outcome(payload, path):
    try:
        lookup(payload, path)
    except (PathFault, Malformed) as refused:
        return str(refused)
    return ""


def test_no_hostile_pair_of_payload_and_path_holds_the_loop():
    slowest = (0.0, "", "")
    for (number, (name, payload)), (other, path) in product(enumerate(PAYLOADS.items()), enumerate(PATHS)):
        if (number + other) % 4 and not DEEPER:
            continue
        begun = time.thread_time()
        _outcome(payload[:SIZE].encode(), path[:4096])
        slowest = max(slowest, (time.thread_time() - begun, name, path[:30]))
    assert slowest[0] < GENEROUS_SECONDS, slowest


@pytest.mark.parametrize("name", PAYLOADS)
def test_no_hostile_payload_holds_the_loop_when_its_members_are_read(name):
    begun = time.thread_time()
    with contextlib.suppress(Malformed):
        object_members(PAYLOADS[name][:SIZE].encode())
    assert time.thread_time() - begun < GENEROUS_SECONDS


def test_ordinary_payloads_of_64_kb_are_read_to_their_end():
    members = ",\n".join(f'  "name-{number:04d}": "a value of some length {number}"' for number in range(1400))
    payload = ("{\n" + members + ', "last.one": {"k": [1, 2.50]}}').encode()
    assert len(payload) > 60_000
    assert lookup(payload, "last\\.one.k.1") == b"2.5"
    assert lookup(payload, "last.one") == b'{"k": [1, 2.50]}'
    assert lookup(payload, "name-1399") == b"a value of some length 1399"
    assert lookup(payload, "absent") is None


def test_what_a_path_costs_too_much_is_said():
    with pytest.raises(PathFault, match="nested more than 60 deep"):
        lookup(b"{}", "@this|" * 61 + "a")
    with pytest.raises(PathFault, match="too many steps"):
        lookup(b"[" + b"1," * 32000 + b"1]", "#(>0)#|#(>0)#|#")


MARKS = st.text(alphabet='{}[]()",:.|#@*?!~\\ \n01aetrufalsn-=%<>é', max_size=60)


@effort(150)
@given(MARKS, MARKS)
def test_no_payload_and_no_path_is_too_odd(text, path):
    assert "Traceback" not in _outcome(text.encode(), path)
    _outcome(b'{"a":' + text.encode() + b"}", path)
    _outcome(text.encode(), "@" + path)


@effort(80)
@given(st.binary(max_size=80), MARKS)
def test_a_payload_may_hold_any_bytes(raw, path):
    _outcome(b'{"a":"' + raw, path)
