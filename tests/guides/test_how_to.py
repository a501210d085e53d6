"""The how-to pages that need nothing but a local Space, word for word, with the real clients."""

from __future__ import annotations

import json

import pytest

from guides.page import HOW_TO, blocks
from guides.reader import Reader

pytestmark = [pytest.mark.guide, pytest.mark.timeout(300)]


def test_the_page_on_trying_a_policy_holds(reader: Reader) -> None:
    reader.follow(blocks("try-a-policy.md", HOW_TO))
    told = "\n".join(reader.transcript)
    assert "s3:GetObject\tallowed" in told
    assert "s3:PutObject\timplicitDeny" in told
    assert "refused, as it should be" in told
    denied = reader.said("keyless audit --denied")
    assert 'StringLike s3:prefix: expected "team-a/*", found ""' in denied


def test_the_page_on_a_bad_day_holds(reader: Reader) -> None:
    reader.follow(blocks("rehearse-a-bad-day.md", HOW_TO))
    keys = reader.said("aws s3api list-objects-v2 --bucket bad-day --query 'Contents[].Key' --output text").split()
    assert keys == ["once", "throttled"]
    record = [json.loads(line) for line in reader.said("keyless audit --output json").splitlines()]
    puts = [call for call in record if call["operation"] == "PutObject"]
    assert [call["status"] for call in puts[:3]] == [503, 503, 200]
    # Refused before anybody looked at what was asked for.
    (refused,) = [call for call in record if call["code"] == "RequestTimeTooSkewed"]
    assert refused["notes"]["faults"] == ["clock:s3:*"]
    assert "no faults are set" in reader.said("keyless faults list")


def test_the_page_on_kubectl_with_iam_holds(reader: Reader) -> None:
    reader.follow(blocks("let-a-team-use-kubectl.md", HOW_TO))
    told = "\n".join(reader.transcript)
    assert "user/keyless-admin" in told
    assert "payments:" in told
    assert "no secrets, as it should be" in told
    assert "refused, as it should be" in told
    assert "spaces-operator" in told.partition("team.kubeconfig get pods")[2]
    assert reader.said("kubectl get rolebindings -A -o name | grep eks: || true").strip() == ""
