"""What AWS's reference says of an action's name."""

from __future__ import annotations

import pytest

from keyless.local.cloud.iam.known_actions import takes_resources, unlisted


@pytest.mark.parametrize("action", ["s3:PutObject", "S3:putobject", "eks-auth:AssumeRoleForPodIdentity"])
def test_an_action_of_aws_needs_no_word(action: str) -> None:
    assert unlisted(action) == ""


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("s3:PutObjcet", "s3:PutObjcet: AWS lists no such action of s3; the nearest is s3:PutObject"),
        ("S3:ListObjectsV2x9", "S3:ListObjectsV2x9: AWS lists no such action of s3"),
        ("nothing:Get", "nothing:Get: AWS lists no service nothing"),
    ],
)
def test_a_name_that_aws_does_not_list_is_told(action: str, words: str) -> None:
    assert unlisted(action).startswith(words)


def test_which_actions_know_resources() -> None:
    assert takes_resources("s3:GetObject")
    assert not takes_resources("s3:ListAllMyBuckets")
    assert takes_resources("nothing:Get")
