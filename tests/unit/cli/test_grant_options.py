"""What options of ``keyless identity`` may say: refused before anything is asked of AWS, which would in the middle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.cli.grant_options import require_options
from keyless.cli.identity import Options
from keyless.space.workload_identity.wishes import prefix_fault, secrets_wish
from unit.identity.grants.test_grants import CLUSTER

GOOD = Options("prod", "irsa", "exact", "keyless", "", "", "", 2048)
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"prefix": "team.a_b+c=d,e@f-g"},
        {"prefix": "x" * 46},
        {"key": KEY},
        {"key": "arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234"},
        {"boundary": "arn:aws:iam::111122223333:policy/team/limits"},
        {"boundary": "arn:aws-us-gov:iam::aws:policy/PowerUserAccess"},
        {"secrets": "team-a/"},
        {"secrets": "/team/a"},
    ],
)
def test_what_aws_takes_is_let_through(more: dict[str, Any]) -> None:
    require_options(replace(GOOD, **more))


@pytest.mark.parametrize(
    ("more", "option"),
    [
        ({"prefix": "a b!"}, "--role-prefix"),
        ({"prefix": ""}, "--role-prefix"),
        ({"prefix": "x" * 47}, "--role-prefix"),
        ({"prefix": "path/role"}, "--role-prefix"),
        ({"prefix": "réle"}, "--role-prefix"),
        ({"key": "foo"}, "--kms-key"),
        ({"key": "alias/usage"}, "--kms-key"),
        ({"key": "arn:aws:kms:eu-west-1:111122223333:alias/usage"}, "--kms-key"),
        ({"key": f"{KEY} "}, "--kms-key"),
        ({"key": "*"}, "--kms-key"),
        ({"boundary": "limits"}, "--permissions-boundary"),
        ({"boundary": "arn:aws:iam::111122223333:role/limits"}, "--permissions-boundary"),
        ({"secrets": "*"}, "--secret-prefix"),
        ({"secrets": "team?"}, "--secret-prefix"),
        ({"secrets": "${aws:username}"}, "--secret-prefix"),
        ({"secrets": "/"}, "--secret-prefix"),
        ({"secrets": "team a"}, "--secret-prefix"),
    ],
)
def test_what_aws_would_refuse_or_take_for_more_is_named_with_its_option(more: dict[str, Any], option: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"expected .*found") as refused:
        require_options(replace(GOOD, **more))
    assert refused.value.param_hint == option


@effort(60)
@given(st.text(max_size=12))
def test_a_prefix_that_is_let_through_grants_names_that_begin_with_it_and_no_others(prefix: str) -> None:
    if prefix_fault(prefix):
        return
    wish = secrets_wish(prefix, "role", "", CLUSTER, ())
    for arn in wish.statements[0]["Resource"]:
        name = arn.split(":", 5)[5]
        assert name.endswith("*")
        assert not set("*?$") & set(name[:-1])
        assert prefix.strip("/") in name
