"""Subjects into trust policies: the quota is kept, nothing moves, nobody is lost."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.policy import admitted, pack, parse, size, web_identity_trust
from unit.policy.asking import HOST, PROVIDER

EKS = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"


def subjects(count: int, account: str = "vector") -> list[str]:
    return [f"system:serviceaccount:mxp-{uuid.UUID(int=number)}-system:{account}" for number in range(count)]


def test_white_space_is_free() -> None:
    assert size(' {\n\t"a" : 1 }\r\n') == size('{"a":1}') == 7


def test_an_exact_trust_policy_admits_its_subjects_alone() -> None:
    (way,) = admitted(parse(web_identity_trust(PROVIDER, subjects=["a", "b"]), "trust"))
    assert (way.provider, way.subjects, way.subjects_are_patterns) == (PROVIDER, ("a", "b"), False)
    assert way.audiences == ("sts.amazonaws.com",)


def test_a_pattern_needs_string_like() -> None:
    (way,) = admitted(
        parse(web_identity_trust(PROVIDER, subjects=["system:serviceaccount:mxp-*-system:vector"]), "trust")
    )
    assert way.subjects_are_patterns
    assert f"{HOST}:aud" in web_identity_trust(PROVIDER, subjects=["a"])


@pytest.mark.parametrize(
    ("account", "quota", "about"),
    [
        ("vector", 2048, 20),
        ("external-secrets-controller", 2048, 16),
        ("vector", 8192, 98),
        ("external-secrets-controller", 8192, 77),
    ],
)
def test_a_role_holds_about_as_many_subjects_as_the_design_says(account: str, quota: int, about: int) -> None:
    first = pack(subjects(120, account), EKS, quota=quota)[0]
    assert abs(len(first.subjects) - about) <= 3
    assert first.size == size(first.document) <= quota


def test_a_placed_subject_never_moves() -> None:
    names = subjects(50)
    before = pack(names, EKS)
    placed = {name: index for index, shard in enumerate(before) for name in shard.subjects}
    after = pack([*names[10:], "system:serviceaccount:new:vector"], EKS, placed=placed)
    moved = {name: index for index, shard in enumerate(after) for name in shard.subjects if name in placed}
    assert all(placed[name] == index for name, index in moved.items())
    assert set(moved) == set(names[10:])
    assert any("system:serviceaccount:new:vector" in shard.subjects for shard in after[:1])


def test_an_emptied_shard_keeps_its_place_without_a_document() -> None:
    shards = pack(["b"], EKS, placed={"b": 1, "gone": 0})
    assert [(shard.subjects, shard.size > 0) for shard in shards] == [((), False), (("b",), True)]
    assert shards[0].document == ""


def test_what_cannot_fit_is_said() -> None:
    with pytest.raises(ValueError, match=r"1 subject starting with 'xxx.* do not fit 2048"):
        pack(["x" * 3000], EKS)
    with pytest.raises(ValueError, match="do not fit"):
        pack(subjects(60), EKS, placed=dict.fromkeys(subjects(60), 0))


@pytest.mark.timeout(10)
def test_thousands_of_subjects_are_packed_in_time() -> None:
    names = subjects(1500)
    shards = pack(names, EKS)
    assert sorted(name for shard in shards for name in shard.subjects) == sorted(names)
    assert len(shards) == -(-len(names) // len(shards[0].subjects))


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 200), max_size=40), st.sampled_from([1000, 2048]))
def test_every_subject_is_placed_once_within_the_quota(numbers: set[int], quota: int) -> None:
    names = [f"system:serviceaccount:ns-{number}:vector" for number in numbers]
    shards = pack(names, EKS, quota=quota)
    assert sorted(name for shard in shards for name in shard.subjects) == sorted(names)
    assert all(shard.size <= quota for shard in shards)
    assert pack(reversed(names), EKS, quota=quota) == shards
