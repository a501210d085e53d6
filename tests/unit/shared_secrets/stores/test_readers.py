import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.shared_secrets.stores.model import PARAMETER_STORE, SECRETS_MANAGER, AwsProvider, RemoteRef
from keyless.shared_secrets.stores.readers import open_reader
from keyless.shared_secrets.stores.resolution import StoreRef
from keyless.shared_secrets.stores.sessions import Opened
from keyless.shared_secrets.sync.model import Source
from keyless.shared_secrets.sync.values import ValueFault, extract, value_of


class OneAnswer:
    """A session that gives the same answer to every call."""

    def __init__(self, **answer):
        self.answer = answer

    async def call(self, _service, _operation, /, **_params):
        return self.answer


async def read(service=SECRETS_MANAGER, *, metadata=False, **answer):
    provider = AwsProvider(service=service, region="us-west-2")
    reader = open_reader(Opened(OneAnswer(**answer), "own", by_controller=True), provider)
    return await reader.read(RemoteRef("db", metadata=metadata))


def a_source(**more):
    return Source(StoreRef("s"), RemoteRef("db"), **more)


@pytest.mark.parametrize(("service", "field"), [(SECRETS_MANAGER, "Tags"), (PARAMETER_STORE, "TagList")])
async def test_tags_are_compact_json_in_order_as_go_writes_it(service, field):
    tags = [{"Key": "team", "Value": "a & b"}, {"Key": "Env", "Value": "<é>"}]
    payload = await read(service, metadata=True, **{field: tags})
    assert value_of(a_source(), payload) == '{"Env":"\\u003cé\\u003e","team":"a \\u0026 b"}'.encode()
    assert value_of(a_source(property="team"), payload) == b"a & b"
    assert extract(a_source(), payload) == {"team": b"a & b", "Env": "<é>".encode()}


async def test_without_tags_the_metadata_are_an_empty_object():
    assert value_of(a_source(), await read(metadata=True)) == b"{}"


async def test_without_a_property_the_string_wins_and_with_one_the_binary():
    both = await read(SecretString='{"k": "text"}', SecretBinary=b'{"k": "binary"}')
    assert value_of(a_source(), both) == b'{"k": "text"}'
    assert value_of(a_source(property="k"), both) == b"binary"


@effort(60)
@given(st.binary(max_size=64))
async def test_any_bytes_arrive_as_they_are(raw):
    assert value_of(a_source(), await read(SecretBinary=raw)) == raw


@effort(60)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=64))
async def test_any_text_arrives_as_it_is_whole_or_as_a_property(text):
    assert value_of(a_source(), await read(SecretString=text)) == text.encode()
    quoted = json.dumps({"k": text}, ensure_ascii=False)
    assert value_of(a_source(property="k"), await read(PARAMETER_STORE, Parameter={"Value": quoted})) == text.encode()


async def test_half_a_surrogate_pair_becomes_the_replacement_character():
    assert value_of(a_source(), await read(SecretString="a\ud800b")) == "a\ufffdb".encode()
    assert value_of(a_source(), await read(SecretString="\ud83d\ude00")) == "😀".encode()


async def test_64_kb_arrive_whole():
    raw = bytes(range(256)) * 256
    assert value_of(a_source(), await read(SecretBinary=raw)) == raw
    text = "x" * 65_000
    assert value_of(a_source(property="k"), await read(SecretString=json.dumps({"k": text}))) == text.encode()
    assert extract(a_source(), await read(SecretString=json.dumps({"k": text}))) == {"k": text.encode()}


async def test_a_binary_payload_has_properties_although_it_is_no_utf_8():
    payload = await read(SecretBinary=b'\xff{"k": "\xfe"}')
    assert value_of(a_source(property="k"), payload) == b"\xfe"
    with pytest.raises(ValueFault, match="is not found, and the payload cannot be read: it is no JSON from line 1"):
        value_of(a_source(property="absent"), payload)
