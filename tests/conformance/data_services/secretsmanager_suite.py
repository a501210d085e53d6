"""Secrets Manager: what moto is asked, and where its answers are not AWS's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.data_services.recording import Difference, Scenario, Step, Suite, step

_API = "https://docs.aws.amazon.com/secretsmanager/latest/apireference"


def token(number: int) -> str:
    """A version id of our own, so that answers name the same one everywhere."""
    return f"{number:032d}"


def create(name: str = "s", number: int = 1, **more: Any) -> Step:
    asked = {"SecretString": f"value {number}", "ClientRequestToken": token(number)} | more
    return step(f"create {name} {number}", "CreateSecret", Name=name, **asked)


def put(number: int, name: str = "", **more: Any) -> Step:
    asked = {"SecretString": f"value {number}", "ClientRequestToken": token(number)} | more
    return step(name or f"put {number}", "PutSecretValue", SecretId="s", **asked)


def looks(when: str) -> Iterator[Step]:
    """Everything that shows where the stages are."""
    yield step(f"{when}: current", "GetSecretValue", SecretId="s")
    for stage in ("AWSPREVIOUS", "AWSPENDING", "MINE"):
        yield step(f"{when}: {stage}", "GetSecretValue", SecretId="s", VersionStage=stage)
    yield step(f"{when}: described", "DescribeSecret", SecretId="s")
    yield step(f"{when}: versions", "ListSecretVersionIds", SecretId="s")


def move(name: str, stage: str, **more: Any) -> Step:
    return step(name, "UpdateSecretVersionStage", SecretId="s", VersionStage=stage, **more)


VALUES = Scenario(
    "values",
    (
        create(),
        create(number=2),
        step("get", "GetSecretValue", SecretId="s"),
        step("absent", "GetSecretValue", SecretId="none"),
        step("binary", "CreateSecret", Name="b", SecretBinary=b"\x00\x01\xff", ClientRequestToken=token(3)),
        step("get binary", "GetSecretValue", SecretId="b"),
        step("empty", "CreateSecret", Name="e"),
        step("absent value", "GetSecretValue", SecretId="e"),
        step("fill", "PutSecretValue", SecretId="e", SecretString="now", ClientRequestToken=token(4)),
        step("get filled", "GetSecretValue", SecretId="e"),
        step("put into absent", "PutSecretValue", SecretId="none", SecretString="x"),
        step("put nothing", "PutSecretValue", SecretId="s", ClientRequestToken=token(5)),
        step("update absent", "UpdateSecret", SecretId="none", SecretString="x"),
        step("update", "UpdateSecret", SecretId="s", SecretString="updated", ClientRequestToken=token(6)),
        step("get updated", "GetSecretValue", SecretId="s"),
        step("by version", "GetSecretValue", SecretId="s", VersionId=token(1)),
        step("absent version", "GetSecretValue", SecretId="s", VersionId=token(9)),
        step("both agree", "GetSecretValue", SecretId="s", VersionId=token(6), VersionStage="AWSCURRENT"),
        step("both differ", "GetSecretValue", SecretId="s", VersionId=token(1), VersionStage="AWSCURRENT"),
        step("describe words", "UpdateSecret", SecretId="s", Description="words"),
        step("described", "DescribeSecret", SecretId="s"),
        step("describe absent", "DescribeSecret", SecretId="none"),
        step("short token", "PutSecretValue", SecretId="s", SecretString="x", ClientRequestToken="short"),
        *(
            step(f"name {name}", "CreateSecret", Name=name, SecretString="x", ClientRequestToken=token(8))
            for name in ("a/b", "a_b", "a+b", "a=b", "a.b", "a@b", "a-b", "a b", "a$b", "a:b")
        ),
    ),
)

STAGES = Scenario(
    "stages",
    (
        create(),
        *looks("one"),
        put(2),
        *looks("two"),
        put(3, VersionStages=["AWSPENDING"]),
        *looks("pending"),
        move("rotate", "AWSCURRENT", MoveToVersionId=token(3), RemoveFromVersionId=token(2)),
        *looks("rotated"),
        move("finish", "AWSPENDING", RemoveFromVersionId=token(3)),
        *looks("finished"),
        move("back", "AWSCURRENT", MoveToVersionId=token(2), RemoveFromVersionId=token(3)),
        *looks("back"),
        move("mine", "MINE", MoveToVersionId=token(2)),
        *looks("mine"),
        move("mine away", "MINE", RemoveFromVersionId=token(2)),
        move("without from", "AWSCURRENT", MoveToVersionId=token(3)),
        move("from nowhere", "AWSCURRENT", MoveToVersionId=token(3), RemoveFromVersionId=token(9)),
        move("from elsewhere", "AWSCURRENT", MoveToVersionId=token(2), RemoveFromVersionId=token(3)),
        move("to nowhere", "AWSCURRENT", MoveToVersionId=token(9), RemoveFromVersionId=token(2)),
        put(4, VersionStages=["AWSCURRENT", "MINE"]),
        *looks("several"),
    ),
)

AGAIN = Scenario(
    "again",
    (
        create(),
        put(1, "same token, same value"),
        put(1, "same token, other value", SecretString="other"),
        step("update, same", "UpdateSecret", SecretId="s", SecretString="value 1", ClientRequestToken=token(1)),
        step("update, other", "UpdateSecret", SecretId="s", SecretString="other", ClientRequestToken=token(1)),
        step("versions", "ListSecretVersionIds", SecretId="s"),
        step("get", "GetSecretValue", SecretId="s"),
    ),
)


def tags(**given: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in given.items()]


_FILTERS = {
    "name": ["prod", "prod/b", "PROD", "!prod", "dev", "none"],
    "description": ["billing", "the billing", "database", "other", "BILLING"],
    "tag-key": ["team", "te", "Team", "!team", "none"],
    "tag-value": ["red", "re", "!red", "gold"],
    "all": ["billing", "team", "gold", "prod", "none"],
}

LISTS = Scenario(
    "lists",
    (
        # By name and by age the same: a second is too long for clocks of tests.
        create("dev/cache", 3),
        create("prod/billing", 1, Description="the Billing database", Tags=tags(team="red")),
        create("prod/mail", 2, Description="outgoing post", Tags=tags(team="blue", tier="gold")),
        step("all", "ListSecrets"),
        *(
            step(f"{key} {value}", "ListSecrets", Filters=[{"Key": key, "Values": [value]}])
            for key, values in _FILTERS.items()
            for value in values
        ),
        step("either", "ListSecrets", Filters=[{"Key": "name", "Values": ["dev", "prod/m"]}]),
        step(
            "both",
            "ListSecrets",
            Filters=[{"Key": "tag-key", "Values": ["team"]}, {"Key": "tag-value", "Values": ["blue"]}],
        ),
        step("unknown key", "ListSecrets", Filters=[{"Key": "colour", "Values": ["red"]}]),
        step("page", "ListSecrets", MaxResults=2),
        step("batch", "BatchGetSecretValue", SecretIdList=["prod/billing", "dev/cache"]),
        step("batch with absent", "BatchGetSecretValue", SecretIdList=["prod/billing", "none"]),
        step("batch by filter", "BatchGetSecretValue", Filters=[{"Key": "name", "Values": ["prod"]}]),
        step("batch of nothing", "BatchGetSecretValue"),
        step(
            "batch of both",
            "BatchGetSecretValue",
            SecretIdList=["dev/cache"],
            Filters=[{"Key": "name", "Values": ["prod"]}],
        ),
        step("batch with limit", "BatchGetSecretValue", SecretIdList=["dev/cache"], MaxResults=3),
        step("delete", "DeleteSecret", SecretId="dev/cache"),
        step("all but deleted", "ListSecrets"),
        step("deleted, too", "ListSecrets", IncludePlannedDeletion=True),
        step("batch with deleted", "BatchGetSecretValue", SecretIdList=["prod/mail", "dev/cache"]),
    ),
)

DELETION = Scenario(
    "deletion",
    (
        create(),
        step("window and force", "DeleteSecret", SecretId="s", RecoveryWindowInDays=7, ForceDeleteWithoutRecovery=True),
        *(step(f"{days} days", "DeleteSecret", SecretId="s", RecoveryWindowInDays=days) for days in (0, 6, 31)),
        step("absent", "DeleteSecret", SecretId="none"),
        step("absent by force", "DeleteSecret", SecretId="none", ForceDeleteWithoutRecovery=True),
        step("delete", "DeleteSecret", SecretId="s", RecoveryWindowInDays=7),
        step("described", "DescribeSecret", SecretId="s"),
        step("get", "GetSecretValue", SecretId="s"),
        step("put", "PutSecretValue", SecretId="s", SecretString="x", ClientRequestToken=token(2)),
        step("update", "UpdateSecret", SecretId="s", SecretString="x"),
        step("rotate", "RotateSecret", SecretId="s"),
        create(number=3),
        step("delete again", "DeleteSecret", SecretId="s"),
        step("restore", "RestoreSecret", SecretId="s"),
        step("get restored", "GetSecretValue", SecretId="s"),
        step("restore absent", "RestoreSecret", SecretId="none"),
        step("delete once more", "DeleteSecret", SecretId="s"),
        step("force", "DeleteSecret", SecretId="s", ForceDeleteWithoutRecovery=True),
        step("described, now absent", "DescribeSecret", SecretId="s"),
        create(number=4),
        step("get new", "GetSecretValue", SecretId="s"),
    ),
)

_POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"secretsmanager:DeleteSecret",'
    '"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/x":"y"}}}]}'
)

AROUND = Scenario(
    "around",
    (
        create(Tags=tags(a="1")),
        step("tag", "TagResource", SecretId="s", Tags=tags(b="2", a="3")),
        step("tagged", "DescribeSecret", SecretId="s"),
        step("untag", "UntagResource", SecretId="s", TagKeys=["a", "none"]),
        step("untagged", "DescribeSecret", SecretId="s"),
        step("tag absent", "TagResource", SecretId="none", Tags=tags(a="1")),
        step("untag absent", "UntagResource", SecretId="none", TagKeys=["a"]),
        step("no policy", "GetResourcePolicy", SecretId="s"),
        step("put policy", "PutResourcePolicy", SecretId="s", ResourcePolicy=_POLICY),
        step("policy", "GetResourcePolicy", SecretId="s"),
        step("delete policy", "DeleteResourcePolicy", SecretId="s"),
        step("policy gone", "GetResourcePolicy", SecretId="s"),
        step("policy of absent", "GetResourcePolicy", SecretId="none"),
        step("short password", "GetRandomPassword", PasswordLength=3),
        step("password", "GetRandomPassword", PasswordLength=4),
        step("rotate", "RotateSecret", SecretId="s"),
        step("rotate absent", "RotateSecret", SecretId="none"),
        step("cancel rotation of absent", "CancelRotateSecret", SecretId="none"),
        step("with key", "UpdateSecret", SecretId="s", KmsKeyId="alias/aws/secretsmanager"),
        step("keyed", "DescribeSecret", SecretId="s"),
    ),
)

_DELETED = f"nothing but reading about it, restoring and forcing is possible ({_API}/API_DeleteSecret.html)"
_ROTATED = "there is no function to rotate with; AWS asks for one (InvalidRequestException)"
_NEGATED = "one with no such tag passes: '!' negates the whole match (user guide, 'Find secrets')"
_DIFFERENCES = (
    Difference("*absent*: status", "AWS's JSON protocols answer 400, but for failures of their own"),
    Difference("stages/*: AWSP*: status", "… also for a stage that no version has"),
    Difference("values/both differ: status", "… also for an InvalidRequestException"),
    Difference("stages/*: MINE: status", "… also for a stage that no version has"),
    Difference(
        "*: result*.LastAccessedDate", f"a read leaves the day behind ({_API}/API_DescribeSecret.html); moto: none"
    ),
    Difference("*versions: result.ARN", "moto answers the name there"),
    Difference("*versions: result.NextToken", "nothing follows, so there is no token"),
    Difference("stages/*: described: result.VersionIdsToStages.*", "versions without stages are left out"),
    Difference("stages/*: versions: result.Versions", f"… unless asked for ({_API}/API_ListSecretVersionIds.html)"),
    Difference("stages/rotated: current: result.*", "the stage has moved; moto still answers the version it was on"),
    Difference("stages/finished: current: result.*", "the stage has moved; moto still answers the version it was on"),
    Difference("values/name a[ $:]b: *", f"names have letters and /_+=.@- ({_API}/API_CreateSecret.html)"),
    Difference(
        "values/short token: error.Code", "the length is in the model: a ValidationException, before anything else"
    ),
    Difference("lists/tag-key !team: *", _NEGATED),
    Difference("lists/tag-value !red: *", _NEGATED),
    Difference("lists/batch of nothing: *", f"names or filters, one of them ({_API}/API_BatchGetSecretValue.html)"),
    Difference("deletion/put: *", _DELETED),
    Difference("deletion/get restored: result.*", "… so the value is the one of before"),
    Difference("deletion/create s 3: error.Code", "InvalidRequestException while the name waits for its deletion"),
    Difference("around/rotate: *", _ROTATED),
    Difference("around/keyed: result.*", _ROTATED),
)

SUITE = Suite(
    "secretsmanager",
    scenarios=(VALUES, STAGES, AGAIN, LISTS, DELETION, AROUND),
    differences=_DIFFERENCES,
    made_up=frozenset({"ARN", "NextToken", "RandomPassword"}),
)
