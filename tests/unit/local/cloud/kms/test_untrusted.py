"""What peers send is read or refused, and nothing else: ciphertexts, grant tokens, names of parameters and secrets."""

from base64 import urlsafe_b64encode
from contextlib import suppress

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms import ciphertexts
from keyless.local.cloud.kms.grants import read_token_untrusted
from keyless.local.cloud.secretsmanager.secrets import name_in
from keyless.local.cloud.ssm.names import checked, checked_path, selected, spellings
from keyless.local.cloud.ssm.policies import checked as checked_policies

MANY = settings(max_examples=100, deadline=None)
KEY_ID = "11111111-2222-3333-4444-555555555555"
MATERIAL = bytes(32)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
)


def sealed(plaintext=b"x", context=None):
    return ciphertexts.seal(KEY_ID, 0, MATERIAL, plaintext=plaintext, context=context or {})


@MANY
@given(st.binary(max_size=120))
def test_any_bytes_are_a_ciphertext_or_none(blob):
    found = ciphertexts.read_untrusted(blob)
    assert found is None or ciphertexts.open_untrusted(found, MATERIAL, {}) is None


@MANY
@given(st.binary(max_size=64), st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=4))
def test_what_was_sealed_opens_in_its_context_alone(plaintext, context):
    read = ciphertexts.read_untrusted(sealed(plaintext, context))
    assert read is not None
    assert (read.key_id, ciphertexts.open_untrusted(read, MATERIAL, context)) == (KEY_ID, plaintext)
    assert ciphertexts.open_untrusted(read, MATERIAL, {**context, "one": "more"}) is None


@MANY
@given(st.data())
def test_one_changed_bit_opens_nothing(data):
    blob = bytearray(sealed())
    place = data.draw(st.integers(0, len(blob) * 8 - 1))
    blob[place // 8] ^= 1 << place % 8
    read = ciphertexts.read_untrusted(bytes(blob))
    names_another = read is None or (read.key_id, read.material) != (KEY_ID, 0)
    assert names_another or ciphertexts.open_untrusted(read, MATERIAL, {}) is None


@MANY
@given(st.text(max_size=60) | JSON.map(lambda value: urlsafe_b64encode(orjson.dumps(value)).decode()))
def test_a_token_is_one_of_ours_or_refused(token):
    with suppress(AwsError):
        key_id, grant_id = read_token_untrusted(token)
        assert isinstance(key_id, str)
        assert isinstance(grant_id, str)


NAMES = st.text(alphabet="aA/:.-_1 *ws\u00e9", max_size=40) | st.text(max_size=20).map("arn:aws:".__add__)


@MANY
@given(NAMES)
def test_a_name_is_taken_apart_or_refused(name):
    for read in (selected, checked, checked_path):
        with suppress(AwsError):
            read(name)
    assert spellings(name)
    with suppress(AwsError):
        name_in(name)


@MANY
@given(JSON)
def test_parameter_policies_are_well_formed_or_refused(policies):
    with suppress(AwsError):
        assert checked_policies(orjson.dumps(policies).decode()) in {"", orjson.dumps(policies).decode()}
