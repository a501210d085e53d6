"""What a scope admits: a prefix ends at a slash or is the whole name, however the key is written."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Permanent
from keyless.shared_secrets.stores.scopes import (
    Home,
    NotInScope,
    Scope,
    admit,
    from_text,
    of_control_plane,
    prefixes_of,
    read_scopes,
    target_of,
    to_text,
    within,
)

ACCOUNT, REGION = "111122223333", "us-west-2"
SECRETS, PARAMETERS = Home("SecretsManager", REGION, ACCOUNT), Home("ParameterStore", REGION, ACCOUNT)
SECRET_ARN, PARAMETER_ARN = (
    f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:",
    f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/",
)
ABROAD = "arn:aws:secretsmanager:us-west-2:9:secret:"
PART = st.text("abcXYZ019_+=@-", min_size=1, max_size=6)
NAME = st.lists(PART, min_size=1, max_size=4).map("/".join)
HOME = st.sampled_from([SECRETS, PARAMETERS])


def admitted(full, home, *prefixes):
    try:
        admit(full, home, prefixes)
    except NotInScope:
        return False
    return True


@pytest.mark.parametrize(
    ("key", "home", "prefixes", "holds"),
    [
        ("team-a", SECRETS, ["team-a"], True),
        ("team-a/db", SECRETS, ["team-a"], True),
        ("team-abc", SECRETS, ["team-a"], False),
        ("team-abc/db", SECRETS, ["team-a"], False),
        ("team-a", SECRETS, ["team-a/"], False),
        ("team-a/db", SECRETS, ["/team-a/"], True),
        ("/team-a/db", SECRETS, ["team-a"], True),
        ("Team-a/db", SECRETS, ["team-a"], False),
        ("rds!cluster-1", SECRETS, ["rds!cluster-1"], True),
        ("anything/at/all", SECRETS, ["*"], True),
        ("team-a/db", SECRETS, [], False),
        # Names that only look as if they went on, or back.
        ("team-a/../team-b/db", SECRETS, ["team-a"], False),
        ("team-a/./db", SECRETS, ["team-a"], False),
        ("team-a//db", SECRETS, ["team-a"], False),
        ("//team-a/db", SECRETS, ["team-a"], False),
        ("team-a%2fdb", SECRETS, ["team-a%2fdb", "*"], False),
        ("team-a/%2e%2e/team-b", SECRETS, ["team-a"], False),
        ("team-a/db\n", SECRETS, ["team-a"], False),
        (" team-a/db", SECRETS, ["team-a"], False),
        ("team-a/\u0000", SECRETS, ["team-a"], False),
        ("team\u2010a/db", SECRETS, ["team-a"], False),
        ("team-a\u2215db", SECRETS, ["team-a", "*"], False),
        ("", SECRETS, ["*"], False),
        ("/", PARAMETERS, ["*"], False),
        # Secrets Manager's ARNs: whole, partial, and the trap of a name that ends like one.
        (f"{SECRET_ARN}team-a/db-AbCdEf", SECRETS, ["team-a"], True),
        (f"{SECRET_ARN}team-a/db", SECRETS, ["team-a"], True),
        (f"{SECRET_ARN}team-b/db-AbCdEf", SECRETS, ["team-a"], False),
        (f"{SECRET_ARN}team-a-AbCdEf", SECRETS, ["team-a"], False),
        (f"{SECRET_ARN}team-a-AbCdEf", SECRETS, ["team-a-AbCdEf"], False),
        (f"{SECRET_ARN}team-a-AbCdEf", SECRETS, ["team-a", "team-a-AbCdEf"], False),
        ("team-a-AbCdEf", SECRETS, ["team-a"], False),
        ("team-a-AbCdEf", SECRETS, ["team-a-AbCdEf"], True),
        (f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:SECRET:team-a/db", SECRETS, ["*"], False),
        (f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:", SECRETS, ["*"], False),
        ("arn:aws:secretsmanager:team-a/db", SECRETS, ["*"], False),
        ("ARN:aws:secretsmanager:us-west-2:111122223333:secret:team-a/db", SECRETS, ["*"], False),
        # Other accounts and regions, only where a scope names them.
        (SECRET_ARN.replace(ACCOUNT, "999988887777") + "team-a/db-AbCdEf", SECRETS, ["team-a", "*"], False),
        (SECRET_ARN.replace(ACCOUNT, "") + "team-a/db-AbCdEf", SECRETS, ["team-a", "*"], False),
        (SECRET_ARN.replace(REGION, "eu-west-1") + "team-a/db-AbCdEf", SECRETS, ["team-a", "*"], False),
        (f"{ABROAD}x/y", SECRETS, [f"{ABROAD}x"], True),
        (f"{ABROAD}xy", SECRETS, [f"{ABROAD}x"], False),
        (
            f"{ABROAD}x-AbCdEf",
            SECRETS,
            [f"{ABROAD}x-AbCdEf"],
            True,
        ),
        ("x/y", SECRETS, [f"{ABROAD}x"], False),
        ("team-a/db", SECRETS, [f"{SECRET_ARN}team-a/"], True),
        ("team-a", SECRETS, [f"{SECRET_ARN}team-a/"], False),
        # Parameter Store: the slash, the version, the ARN, and its door into Secrets Manager.
        ("/team-a/endpoint", PARAMETERS, ["team-a"], True),
        ("/team-a/endpoint:3", PARAMETERS, ["team-a"], True),
        ("team-a:label", PARAMETERS, ["team-a"], True),
        ("/team-b/x:/team-a/x", PARAMETERS, ["team-a"], False),
        (f"{PARAMETER_ARN}team-a/endpoint", PARAMETERS, ["team-a"], True),
        (f"{PARAMETER_ARN}team-a/endpoint:7", PARAMETERS, ["team-a"], True),
        (f"{PARAMETER_ARN}/team-a/endpoint", PARAMETERS, ["team-a"], False),
        (f"{PARAMETER_ARN}team-b/endpoint", PARAMETERS, ["team-a"], False),
        ("/aws/reference/secretsmanager/team-a/db", PARAMETERS, ["team-a"], True),
        ("/aws/reference/secretsmanager/team-b/db", PARAMETERS, ["team-a", "aws"], False),
        (f"/aws/reference/secretsmanager/{SECRET_ARN}team-b/db-AbCdEf", PARAMETERS, ["team-a", "aws"], False),
        ("/aws/reference/secretsmanager/team-a/db:AWSPREVIOUS", PARAMETERS, ["team-a"], True),
        (f"{PARAMETER_ARN}aws/reference/secretsmanager/team-b/db", PARAMETERS, ["team-a", "aws"], False),
        ("/aws/service/ami", PARAMETERS, ["aws/service"], True),
    ],
)  # fmt: skip
def test_a_key_is_judged_by_what_aws_reads(key, home, prefixes, holds):
    assert admitted(key, home, *prefixes) is holds
    assert within([key], home, prefixes) == ((key,) if holds else ())


@effort(40)
@given(PART, NAME, HOME)
def test_a_prefix_admits_itself_and_what_stands_below_it(prefix, rest, home):
    assume({".", ".."}.isdisjoint(f"{prefix}/{rest}".split("/")))
    assert admitted(prefix, home, prefix)
    assert admitted(f"{prefix}/{rest}", home, prefix)
    assert admitted(f"/{prefix}/{rest}", home, prefix)


@effort(40)
@given(NAME, st.text("abcXYZ019_+=@-.", min_size=1, max_size=8), HOME)
def test_a_longer_word_is_another_name(prefix, more, home):
    assert not admitted(f"{prefix}{more}", home, prefix)
    assert not admitted(f"{prefix}{more}/{prefix}", home, prefix)


@effort(40)
@given(NAME, NAME, HOME, st.sampled_from(["", "-AbCdEf", "-000000"]))
def test_an_arn_never_admits_more_than_the_name_in_it(prefix, name, home, suffix):
    arn = (SECRET_ARN if home is SECRETS else PARAMETER_ARN) + name + (suffix if home is SECRETS else "")
    if admitted(arn, home, prefix):
        assert admitted(name, home, prefix)
        assert not admitted(arn.replace(ACCOUNT, "999988887777"), home, prefix)


@effort(40)
@given(st.text(max_size=40), st.lists(NAME, max_size=3), HOME)
def test_whatever_is_asked_is_admitted_or_refused_and_admitted_only_below_a_prefix(key, prefixes, home):
    if admitted(key, home, *prefixes):
        name = key.removeprefix("/").partition(":")[0]
        assert any(name == prefix or name.startswith(f"{prefix}/") for prefix in prefixes)


@effort(40)
@given(st.lists(NAME, max_size=8), st.lists(NAME, max_size=3))
def test_each_result_of_a_search_is_judged_by_itself(found, prefixes):
    assert within(found, SECRETS, prefixes) == tuple(name for name in found if admitted(name, SECRETS, *prefixes))


@effort(40)
@given(st.lists(st.builds(Scope, prefixes=st.lists(NAME, min_size=1, max_size=3).map(tuple)), min_size=1, max_size=3))
def test_scopes_travel_as_text_and_come_back_whole(scopes):
    assert from_text(to_text(scopes)) == tuple(scopes)


def test_no_scopes_and_none_for_this_control_plane_are_two_things():
    assert from_text("") is None
    assert from_text(to_text(())) == ()
    assert prefixes_of((), "app") == ()
    with pytest.raises(Permanent, match="scopes: "):
        from_text("{")


def test_a_namespace_has_the_prefixes_of_every_scope_that_names_it():
    scopes = read_scopes(
        [
            {"prefixes": ["common"]},
            {"group": "default", "controlPlane": "ctp*", "namespace": "pay*", "prefixes": ["payments", "/shared/tls"]},
            {"group": "other", "prefixes": ["other"]},
            {"controlPlane": "ctp2", "prefixes": ["ctp2"]},
        ]
    )
    mine = of_control_plane(scopes, "default", "ctp1")
    assert prefixes_of(mine, "payments") == ("/shared/tls", "common", "payments")
    assert prefixes_of(mine, "search") == ("common",)
    assert prefixes_of(of_control_plane(scopes, "other", "ctp2"), "pay") == ("common", "ctp2", "other")


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({}, "expected a list"),
        ([], "an empty list would admit no key at all"),
        (["team-a"], r"\[0\]: expected a mapping"),
        ([{}], "prefixes: expected a list of at least one"),
        ([{"prefixes": "team-a"}], "prefixes: expected a list"),
        ([{"prefixes": [""]}], "expected a name"),
        ([{"prefixes": ["/"]}], "expected a name"),
        ([{"prefixes": ["team-*"]}], "a prefix ends at / or is the whole name"),
        ([{"prefixes": ["a b"]}], "characters that no name at AWS has"),
        ([{"prefixes": ["a/../b"]}], "empty or dotted parts"),
        ([{"prefixes": ["arn:aws:s3:::bucket"]}], "not that of a secret or parameter"),
        ([{"prefixes": ["a"], "labels": {}}], "found labels"),
        ([{"prefixes": ["a"], "namespace": "[ab]"}], "namespace: expected a name"),
        ([{"prefixes": ["a"]}, {"prefixes": []}], r"\[1\]: "),
    ],
)
def test_scopes_that_say_nothing_clear_are_refused(document, text):
    with pytest.raises(ValueError, match=text):
        read_scopes(document)


def test_a_document_is_what_was_written():
    written = [{"controlPlane": "ctp1", "namespace": "pay*", "prefixes": ["a", "b/"]}]
    assert json.loads(to_text(read_scopes(written))) == written


def test_a_whole_arn_says_that_it_may_mean_two_secrets():
    assert target_of(f"{SECRET_ARN}x-AbCdEf", SECRETS).names == ("x-AbCdEf", "x")
    with pytest.raises(NotInScope, match="ask for it by its name"):
        admit(f"{SECRET_ARN}x-AbCdEf", SECRETS, ["x"])
