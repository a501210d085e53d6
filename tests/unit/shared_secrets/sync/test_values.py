import pytest

from keyless.shared_secrets.stores.model import Payload, RemoteRef
from keyless.shared_secrets.stores.resolution import StoreRef
from keyless.shared_secrets.sync.model import Merge, Rewrite, Source
from keyless.shared_secrets.sync.values import NamesWanted, ValueFault, converted, decode, extract, rewritten, value_of


def a_source(**more):
    return Source(StoreRef("s"), RemoteRef("db"), **more)


def text(value):
    return Payload(text=value)


def test_without_a_property_the_string_wins_and_with_one_the_binary():
    both = Payload(text='{"a":"string"}', binary=b'{"a":"binary"}')
    assert value_of(a_source(), both) == b'{"a":"string"}'
    assert value_of(a_source(property="a"), both) == b"binary"
    assert value_of(a_source(), Payload(binary=b"\xff\x00")) == b"\xff\x00"


def test_a_missing_property_is_named_without_the_payload():
    with pytest.raises(ValueFault, match="key user does not exist in secret db") as caught:
        value_of(a_source(property="user"), text('{"pass": "pl4nted"}'))
    assert "pl4nted" not in str(caught.value)


def test_extract_keeps_what_is_no_string_as_it_was_written():
    payload = text('{"s": "a\\"b", "n": 1.50, "o": {"k": [1, 2]}, "x": null, "b": true}')
    assert extract(a_source(), payload) == {"s": b'a"b', "n": b"1.50", "o": b'{"k": [1, 2]}', "x": b"", "b": b"true"}


def test_extract_of_a_property_is_the_inner_object():
    assert extract(a_source(property="o"), text('{"o": {"k": "v"}}')) == {"k": b"v"}


@pytest.mark.parametrize("payload", ["plain pl4nted", "[1]", '{"a": pl4nted}'])
def test_extract_wants_an_object_and_quotes_nothing(payload):
    with pytest.raises(ValueFault, match="unable to unmarshal secret db") as caught:
        extract(a_source(), text(payload))
    assert "pl4nted" not in str(caught.value)


def test_keys_are_converted_and_a_collision_is_refused():
    assert converted({"a/b": b"1", "c d": b"2"}, "Default") == {"a_b": b"1", "c_d": b"2"}
    assert converted({"a/b": b"1"}, "Unicode") == {"a_U002f_b": b"1"}
    with pytest.raises(ValueFault, match="collision during conversion: members 1 and 2 become one key"):
        converted({"a/b": b"1", "a_b": b"2"}, "Default")


def test_rewritten_keys_are_not_converted():
    with pytest.raises(ValueFault, match="rewritten key 1 of secret db has a name that is no key"):
        extract(a_source(), text('{"a/b": "1"}'), (Rewrite(source="^a", target="x"),))


@pytest.mark.parametrize(
    ("rewrite", "expected"),
    [
        (Rewrite(source="^db-(.*)$", target="DB_$1"), {"DB_user", "other"}),
        (Rewrite(source="^(?P<p>db)-", target="${p}_"), {"db_user", "other"}),
        (Rewrite(source="db-", target="$1x"), {"user", "other"}),
    ],
)
def test_keys_are_rewritten(rewrite, expected):
    assert set(rewritten({"db-user": b"1", "other": b"2"}, rewrite)) == expected


@pytest.mark.parametrize(
    ("value", "strategy", "expected"),
    [
        (b"aGk=", "None", b"aGk="),
        (b"aGk=", "Base64", b"hi"),
        (b"aG\nk=", "Base64", b"hi"),
        (b"_-8=", "Base64URL", b"\xff\xef"),
        (b"aGk=", "Auto", b"hi"),
        (b"_-8=", "Auto", b"\xff\xef"),
        (b"not base64!", "Auto", b"not base64!"),
    ],
)
def test_values_are_decoded(value, strategy, expected):
    assert decode(value, strategy, "k") == expected


@pytest.mark.parametrize("strategy", ["Base64", "Base64URL"])
def test_what_cannot_be_decoded_is_not_quoted(strategy):
    with pytest.raises(ValueFault, match="unable to decode k") as caught:
        decode(b"pl4nted!", strategy, "k")
    assert "pl4nted" not in str(caught.value)


def test_a_null_byte_fails_where_asked():
    with pytest.raises(ValueFault, match="null byte"):
        value_of(a_source(fails_on_null_byte=True), Payload(binary=b"a\0"))


def test_keys_are_renamed_by_what_a_renderer_made_of_them():
    members, rewrite = {"db-user": b"1", "other": b"2"}, Rewrite(template="{{ .value | upper }}")
    with pytest.raises(NamesWanted) as wanted:
        rewritten(members, rewrite)
    assert set(wanted.value.names) == set(members)
    made = {rewrite.template: {name: name.upper() for name in members}}
    assert rewritten(members, rewrite, made) == {"DB-USER": b"1", "OTHER": b"2"}


TWO = {"a": b'{"k": "1", "n": 1.50}', "b": b'{"k": "2", "o": {"x": null}}'}


@pytest.mark.parametrize(
    ("merge", "made"),
    [
        (Merge(ignores_conflicts=True), {"k": b"2", "n": b"1.50", "o": b'{"x": null}'}),
        (Merge(priority=("a",)), {"k": b"1", "n": b"1.50", "o": b'{"x": null}'}),
        (Merge(priority=("b", "a")), {"k": b"1", "n": b"1.50", "o": b'{"x": null}'}),
        (Merge(as_json=True, into="all", priority=("b",)), {"all": b'{"k":"2","n":1.50,"o":{"x": null}}'}),
        (Merge(priority=("a", "c"), lenient=True), {"k": b"1", "n": b"1.50", "o": b'{"x": null}'}),
    ],
)
def test_a_merge_puts_members_together_and_priority_wins(merge, made):
    assert rewritten(TWO, Rewrite(merge=merge)) == made


@pytest.mark.parametrize(
    ("merge", "values", "words"),
    [
        (Merge(), TWO, "one before it has, too"),
        (Merge(priority=("c",)), TWO, "not among those that were read"),
        (Merge(as_json=True), TWO, "into is missing"),
        (Merge(), {"pl4nted": b"pl4nted"}, "cannot be read"),
        (Merge(), {"pl4nted": b"[1]"}, "is no JSON object"),
    ],
)
def test_a_merge_that_cannot_be_made_says_why_without_names_or_values(merge, values, words):
    with pytest.raises(ValueFault, match=words) as caught:
        rewritten(values, Rewrite(merge=merge))
    assert "pl4nted" not in str(caught.value)
