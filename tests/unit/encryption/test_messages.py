"""Messages are protobuf's own bytes, and whatever else comes is told and never raises anything else."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api.varint import varint
from keyless.encryption import messages as own
from keyless.encryption.messages import LIMIT, Malformed, read_untrusted, to_bytes

TEXT, BYTES = descriptor_pb2.FieldDescriptorProto.TYPE_STRING, descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
SHAPES = {
    "StatusRequest": [],
    "StatusResponse": [("version", TEXT), ("healthz", TEXT), ("key_id", TEXT)],
    "EncryptRequest": [("plaintext", BYTES), ("uid", TEXT)],
    "EncryptResponse": [("ciphertext", BYTES), ("key_id", TEXT)],
    "DecryptRequest": [("ciphertext", BYTES), ("uid", TEXT), ("key_id", TEXT)],
    "DecryptResponse": [("plaintext", BYTES)],
}
"""As Kubernetes publishes them."""


def protobuf():
    file = descriptor_pb2.FileDescriptorProto(name="kms.proto", package="v2", syntax="proto3")
    for name, fields in SHAPES.items():
        made = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, 1):
            made.field.add(name=field, number=number, type=kind, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"v2.{name}")) for name in SHAPES}


THEIRS = protobuf()


@st.composite
def filled(draw):
    name = draw(st.sampled_from(sorted(SHAPES)))
    values = {
        field: draw(st.text(st.characters(exclude_categories=["Cs"])) if kind == TEXT else st.binary())
        for field, kind in SHAPES[name]
    }
    return name, values


@given(filled())
@effort(200)
def test_protobuf_reads_and_writes_the_same_bytes(made):
    name, values = made
    ours, theirs = getattr(own, name)(**values), THEIRS[name](**values)
    assert to_bytes(ours) == theirs.SerializeToString(deterministic=True)
    assert read_untrusted(theirs.SerializeToString(), type(ours)) == ours


@given(filled(), st.integers(5, 2000), st.binary(max_size=40), st.sampled_from([0, 1, 2, 5]))
@effort(200)
def test_a_field_of_a_later_version_is_skipped(made, number, content, kind):
    name, values = made
    head = varint(number << 3 | kind)
    more = {0: b"\x96\x01", 1: b"8" * 8, 2: varint(len(content)) + content, 5: b"4" * 4}[kind]
    ours = getattr(own, name)(**values)
    assert read_untrusted(head + more + to_bytes(ours) + head + more, type(ours)) == ours


@given(st.binary(max_size=200), st.sampled_from(sorted(SHAPES)))
@effort(300)
def test_no_bytes_raise_anything_but_malformed(data, name):
    try:
        read = read_untrusted(data, getattr(own, name))
    except Malformed:
        return
    assert read_untrusted(to_bytes(read), type(read)) == read


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\x0a\x05ab", "expected a whole field"),
        (b"\x0a", "expected a whole number"),
        (b"\x0a\x01\xff", "expected version to be UTF-8"),
        (b"\x02\x00", "field's number"),
        (b"\x0b", "a kind that protobuf has, found 3"),
        (b"\xff" * 11, "at most ten bytes"),
        (b"\x0a" * (LIMIT + 1), f"at most {LIMIT} bytes"),
    ],
)
def test_what_does_not_hold_together_is_told(data, told):
    with pytest.raises(Malformed, match=told):
        read_untrusted(data, own.StatusResponse)


def test_what_is_sealed_is_in_no_repr():
    assert "secret" not in repr([own.EncryptRequest(b"secret"), own.DecryptResponse(b"secret")])
