"""A provider that is not the issuer's, letter by letter, fits no token: it is told what it lacks and what mends it."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzzing import effort

from keyless.api import Reason
from keyless.identity.verify.model import Provider
from unit.identity.verify.chains import ACCOUNT, HOST, ISSUER, irsa, named

CREATE = f"aws iam create-open-id-connect-provider --url {ISSUER} --client-id-list sts.amazonaws.com"
MEANT = [
    ("${YOUR_OIDC_PROVIDER}", "a placeholder still stands"),
    ("<OIDC_PROVIDER>", "a placeholder still stands"),
    ("$OIDC_PROVIDER/clusters/keyless", "a placeholder still stands"),
    ("YOUR_OIDC_PROVIDER", "a placeholder still stands"),
    ("127.0.0.1", "lacks the port and the path"),
    ("127.0.0.1:6443", "lacks the path"),
    ("127.0.0.1/clusters/other", "lacks the port"),
    ("127.0.0.1:6443/clusters/other", "has another port or path"),
    ("127.0.0.1:6443/clusters/keyless/", "has another port or path"),
]


def provider(url: str) -> Provider:
    host, slash, path = url.partition("/")
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host.partition(':')[0]}{slash}{path}"
    return Provider(arn, url, ("sts.amazonaws.com",))


@pytest.mark.parametrize(("url", "words"), MEANT)
def test_a_provider_that_was_meant_for_this_cluster_is_told_with_what_it_lacks(url: str, words: str) -> None:
    link = named(replace(irsa(), providers=(provider(url),)), "OIDC provider")
    assert (link.reason, link.fix) == (Reason.OIDC_PROVIDER_MISSING, CREATE)
    assert words in link.found


def test_a_provider_of_another_cluster_is_not_blamed() -> None:
    link = named(replace(irsa(), providers=(provider("oidc.eks.us-west-2.amazonaws.com/id/A"),)), "OIDC provider")
    assert not any(words in link.found for _, words in MEANT)


def test_one_that_stands_in_the_way_of_the_right_one_goes_first() -> None:
    link = named(replace(irsa(), providers=(provider(HOST),)), "OIDC provider")
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"
    delete = f"aws iam delete-open-id-connect-provider --open-id-connect-provider-arn {arn}"
    assert (link.reason, link.fix) == (Reason.OIDC_PROVIDER_DIFFERS, f"{delete} && {CREATE}")


@effort(100)
@given(st.text(st.sampled_from("127.0:6443/clusterskeyless${}"), max_size=40))
def test_no_other_url_holds_and_every_fix_makes_exactly_the_issuer(url: str) -> None:
    link = named(replace(irsa(), providers=(provider(url),)), "OIDC provider")
    if url != ISSUER.removeprefix("https://"):
        words = shlex.split(link.fix)
        assert words[words.index("--url") + 1] == ISSUER
