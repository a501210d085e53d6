"""Bodies from anybody: read, or refused with a 400."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.local.cluster import ApiError, User
from keyless.local.cluster.bodies import PROTOBUF, YAML, decode
from keyless.local.cluster.messages import JSON, Request


def read(media: str, body: bytes) -> object:
    return decode(Request("c", "POST", "/", User("u"), {}, {"content-type": media}, body))


def test_yaml_is_read_as_the_json_it_stands_for() -> None:
    assert read(YAML, b"metadata: {name: a}\nwhen: 2026-11-22\n1: x") == {
        "metadata": {"name": "a"},
        "when": "2026-11-22",
        "1": "x",
    }


def test_yaml_with_aliases_is_refused_as_it_may_grow_without_end() -> None:
    with pytest.raises(ApiError, match="aliases are not accepted"):
        read(YAML, b"a: &a [x]\nb: [*a, *a]")


def test_an_empty_body_is_none() -> None:
    assert read(JSON, b"") is None


@pytest.mark.parametrize("media", [JSON, YAML, PROTOBUF])
@settings(deadline=None, max_examples=50)
@given(body=st.binary(min_size=1, max_size=200))
def test_whatever_bytes_come_only_a_refusal_escapes(media: str, body: bytes) -> None:
    with suppress(ApiError):
        read(media, body)


@settings(deadline=None, max_examples=50)
@given(body=st.binary(max_size=200))
def test_whatever_is_inside_a_protobuf_envelope_only_a_refusal_escapes(body: bytes) -> None:
    with suppress(ApiError):
        read(PROTOBUF, b"k8s\x00" + body)
