"""AssumeRoleWithWebIdentity beyond the token: parameters, tags, source identity, roles, session policies (S1–S12)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from conformance.tokens.stage import STATUSES, Answer, Stage, agrees, matrix, trust
from unit.local.cloud.support import allow, document

MATRIX = matrix("requests")
ANYTHING = "*"


def staged(stage: Stage, case: dict[str, Any]) -> Answer:
    actions = tuple(case.get("actions", ("sts:AssumeRoleWithWebIdentity",)))
    stage.trust(trust(actions=actions, **case.get("condition", {})))
    stage.longest(case.get("role", {}).get("MaxSessionDuration", 3600))
    return stage.assume(case)


def knows(answer: Answer, case: dict[str, Any]) -> bool:
    """Whether the text is known to the letter; where it is not, the code alone is compared."""
    then = case["then"]
    if isinstance(then, list) and then[1] == ANYTHING:
        assert (answer.code, answer.status) == (then[0], STATUSES.get(then[0], 400))
        assert answer.message
        return False
    return True


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in MATRIX.named])
def test_a_request_is_answered_as_aws_answers_it(stage: Stage, case: dict[str, Any]) -> None:
    answer = staged(stage, case)
    if "{packed}" in str(case["then"]):
        percent = int(answer.message.partition("consumes ")[2].partition("%")[0])
        assert percent > 100
        case = {**case, "then": [part.replace("{packed}", str(percent)) for part in case["then"]]}
    if knows(answer, case):
        agrees(stage, answer, case, MATRIX.texts)
    for name in case.get("absent", ()):
        assert name not in answer.fields
    if "packed" in case:
        least, most = case["packed"]
        assert least <= int(answer.fields["PackedPolicySize"]) <= most
    if "seconds" in case:
        ends = datetime.fromisoformat(answer.fields["Expiration"]).timestamp()
        assert ends == stage.now + case["seconds"]


def credentials(answer: Answer) -> dict[str, str]:
    return {name: answer.fields[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}


def test_the_session_is_named_by_role_id_and_session_without_the_role_s_path(stage: Stage) -> None:
    """S11."""
    made = stage.iam.create_role(RoleName="deep", Path="/a/b/", AssumeRolePolicyDocument=trust())["Role"]
    answer = stage.assume({}, RoleArn=made["Arn"])
    assert answer.fields["Arn"].endswith(":assumed-role/deep/vector")
    assert answer.fields["AssumedRoleId"] == f"{made['RoleId']}:vector"
    assert answer.fields["AccessKeyId"].startswith("ASIA")
    stage.iam.delete_role(RoleName="deep")


def test_tags_of_the_token_are_the_principal_s_tags(stage: Stage) -> None:
    """S10, S12: and they override the role's own of the same key, whatever the case of its letters."""
    stage.trust(trust(actions=("sts:AssumeRoleWithWebIdentity", "sts:TagSession")))
    stage.iam.tag_role(RoleName="billing", Tags=[{"Key": "Team", "Value": "red"}, {"Key": "tier", "Value": "one"}])
    condition = {"StringEquals": {"aws:PrincipalTag/team": "blue", "aws:PrincipalTag/tier": "one"}}
    own = document(allow("iam:ListRoles", Condition=condition))
    stage.iam.put_role_policy(RoleName="billing", PolicyName="p", PolicyDocument=own)
    tagged = {"https://aws.amazon.com/tags/principal_tags/team": "blue"}
    made = credentials(stage.assume({"claims": tagged}))
    assert stage.world.aws("iam", made).list_roles()["Roles"]
    stage.iam.untag_role(RoleName="billing", TagKeys=["Team", "tier"])
    stage.iam.delete_role_policy(RoleName="billing", PolicyName="p")


def test_the_source_identity_stays_for_the_life_of_the_session(stage: Stage) -> None:
    """S10: it is a key of every later call."""
    stage.trust(trust(actions=("sts:AssumeRoleWithWebIdentity", "sts:SetSourceIdentity")))
    own = document(allow("iam:ListRoles", Condition={"StringEquals": {"aws:SourceIdentity": "alice"}}))
    stage.iam.put_role_policy(RoleName="billing", PolicyName="p", PolicyDocument=own)
    made = credentials(stage.assume({"claims": {"https://aws.amazon.com/source_identity": "alice"}}))
    assert stage.world.aws("iam", made).list_roles()["Roles"]
    stage.iam.delete_role_policy(RoleName="billing", PolicyName="p")
