"""Real clients of AWS on a local Space: each does what it does on AWS, told nothing but what ``keyless env`` exports.

The steps are the programs'; one process runs all of a client's, and each test judges one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from tests.tools import aws_cli

from conformance.clients.stage import AIOBOTOCORE, BOTO3, BUCKET, GO, JAVASCRIPT, OBSTORE, ROLE, S3FS, Program, Stage
from keyless.local.cloud.faults import Fault

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

#: those of all services, and those of S3 alone
SDKS = (BOTO3, AIOBOTOCORE, JAVASCRIPT, GO)
ALL = (*SDKS, S3FS, OBSTORE)
OF_S3 = ("objects", "large", "presigned", "denied")
OF_OTHERS = ("secrets", "parameters", "unserved")
STEPS = {
    BOTO3: (*OF_S3, "streamed", *OF_OTHERS),
    AIOBOTOCORE: (*OF_S3, *OF_OTHERS),
    JAVASCRIPT: (*OF_S3, "streamed", *OF_OTHERS),
    GO: (*OF_S3, "streamed", *OF_OTHERS),
    S3FS: OF_S3,
    OBSTORE: OF_S3,
}

Saw = Callable[[Program, str], Any]


def named(*programs: Program) -> Any:
    return pytest.mark.parametrize("program", programs, ids=lambda program: program.name)


@pytest.fixture(scope="session")
def saw(stage: Stage) -> Saw:
    """What a program saw in a step, run with a session of the role, as all clients can have it."""
    found: dict[Program, dict[str, Any]] = {}
    session = stage.as_session()

    def step(program: Program, name: str) -> Any:
        if program not in found:
            found[program] = stage.run(program, session, *STEPS[program])
        return found[program][name]

    return step


@named(*SDKS)
def test_a_service_accounts_token_makes_each_sdk_the_role(stage: Stage, program: Program) -> None:
    found = stage.run(program, stage.as_web_identity(), "who")
    arn = f"arn:aws:sts::{stage.space.name('AWS_ACCOUNT_ID')}:assumed-role/{ROLE}/web"
    assert found == {"who": {"arn": arn}}


@named(*SDKS)
def test_the_pod_identity_agent_makes_each_sdk_the_role(stage: Stage, program: Program) -> None:
    found = stage.run(program, stage.as_pod(), "who")
    assert f":assumed-role/{ROLE}/eks-keyless-client-" in found["who"].get("arn", found)


WRITTEN = {"read": "hello", "range": "el", "listed": [True]}
BY_SDK = {
    **WRITTEN,
    "metadata": {"team": "blue"},
    "missing": "NoSuchKey",
    "exists": "PreconditionFailed",
    "no_bucket": "NoSuchBucket",
    "after": "NoSuchKey",
}
OBJECTS: dict[Program, dict[str, Any]] = {
    **dict.fromkeys(SDKS, BY_SDK),
    S3FS: {**WRITTEN, "missing": "FileNotFoundError", "after": "FileNotFoundError"},
    OBSTORE: {
        **WRITTEN,
        "missing": "FileNotFoundError",
        "exists": "AlreadyExistsError",
        "after": "FileNotFoundError",
    },
}


@named(*ALL)
def test_each_writes_reads_lists_and_deletes_objects(saw: Saw, program: Program) -> None:
    assert saw(program, "objects") == OBJECTS[program]


@named(*ALL)
def test_each_uploads_in_parts_and_reads_the_same_back(saw: Saw, program: Program) -> None:
    assert saw(program, "large") == {"same": True, "parts": "3"}


@named(BOTO3, JAVASCRIPT, GO)
def test_a_stream_arrives_whole_with_the_checksum_behind_it(saw: Saw, program: Program) -> None:
    assert saw(program, "streamed") == {"size": 70_000}


@named(*ALL)
def test_presigned_urls_of_each_need_no_credentials(saw: Saw, program: Program) -> None:
    put = {} if program is S3FS else {"put": 200}
    assert saw(program, "presigned") == {"get": "by url", **put}


@named(*SDKS)
def test_each_sdk_reads_secrets_and_parameters(saw: Saw, program: Program) -> None:
    assert saw(program, "secrets") == {"value": "told", "missing": "ResourceNotFoundException"}
    assert saw(program, "parameters") == {
        "value": "told, too",
        "many": ["told, too"],
        "invalid": ["no-such"],
        "missing": "ParameterNotFound",
    }


REFUSED = {"s3": "AccessDenied", "secretsmanager": "AccessDeniedException", "ssm": "AccessDeniedException"}
REFUSALS = {
    **dict.fromkeys(SDKS, REFUSED),
    S3FS: {"s3": "PermissionError"},
    OBSTORE: {"s3": "PermissionDeniedError"},
}


@named(*ALL)
def test_each_knows_a_refusal_by_its_own_name(saw: Saw, program: Program) -> None:
    assert saw(program, "denied") == REFUSALS[program]


@named(*SDKS)
def test_an_operation_that_is_not_here_has_a_name_for_each_sdk(saw: Saw, program: Program) -> None:
    assert saw(program, "unserved") == {"s3": "NotImplemented", "ssm": "UnknownOperationException"}


BAD_DAY = {
    "PutObject": "lose-answer",
    "GetObject": "unavailable",
    "HeadObject": "error",
    "ListObjectsV2": "throttle",
    "DeleteObject": "lose-request",
}


@named(*ALL)
def test_each_tries_again_after_every_kind_of_fault_and_once_is_enough(stage: Stage, program: Program) -> None:
    session, before = stage.as_session(), len(stage.space.audit())
    with stage.faults(*(Fault(kind, "s3", action, times=1) for action, kind in BAD_DAY.items())):
        assert stage.run(program, session, "retried") == {"retried": {"read": "once", "size": 4, "listed": 1}}
    lines = [line for line in stage.space.audit()[before:] if line["service"] == "s3"]
    for action, kind in BAD_DAY.items():
        met = [line["notes"].get("faults", []) for line in lines if line["operation"] == action]
        if program is OBSTORE and action == "DeleteObject":
            assert met == []  # it deletes in bulk alone
        else:
            assert met[0] == [f"{kind}:s3:{action}"], action
            assert met[1:], action
            assert not any(met[1:]), action


def test_what_is_tried_again_with_the_same_token_is_made_once(stage: Stage) -> None:
    lost = (Fault("lose-answer", "secretsmanager", name, times=1) for name in ("CreateSecret", "PutSecretValue"))
    with stage.faults(*lost):
        assert stage.run(BOTO3, stage.as_session(), "made_once") == {"made_once": True}


#: botocore has no correction; it signs with the clock of its machine
CORRECTING = (JAVASCRIPT, GO)


@named(*SDKS)
@pytest.mark.parametrize("seconds", [-1200, 1200])
def test_a_clock_that_is_off_is_corrected_by_the_sdks_that_do_so(stage: Stage, program: Program, seconds: int) -> None:
    session = stage.as_session()
    with stage.faults(Fault("clock", "s3", seconds=seconds)):
        found = stage.run(program, session, "put")["put"]
    if program in CORRECTING:
        assert found == "Success"
    else:
        assert "RequestTimeTooSkewed" in found["failed"]


COMMANDS = """
aws sts get-caller-identity --query Arn --output text
head -c 12000000 /dev/zero > large
aws s3 cp --quiet large s3://$BUCKET/aws/large
aws s3 cp --quiet s3://$BUCKET/aws/large back && cmp large back && echo same
mkdir -p folder && echo one > "folder/a b" && echo two > folder/ü
aws s3 sync --quiet folder s3://$BUCKET/aws/folder
aws s3 ls s3://$BUCKET/aws/folder/ | awk '{print $3}' | paste -sd,
aws s3 rm --quiet --recursive s3://$BUCKET/aws/
aws s3 ls s3://$BUCKET/aws/ | wc -l
aws secretsmanager get-secret-value --secret-id $SECRET --query SecretString --output text
aws ssm get-parameter --name $PARAMETER --with-decryption --query Parameter.Value --output text
aws ssm get-parameter --name forbidden 2>&1 | grep -o AccessDeniedException
"""


def test_the_command_line_does_all_of_it_as_the_role(stage: Stage) -> None:
    aws = aws_cli()
    if aws is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("aws is missing: run `make tools`")
    web = stage.as_web_identity()
    script = f"export PATH={aws}:$PATH; cd {stage.folder}; set -e; {COMMANDS}"
    said = stage.start(["bash", "-c", script], web)
    account = stage.space.name("AWS_ACCOUNT_ID")
    assert said.stdout.splitlines() == [
        f"arn:aws:sts::{account}:assumed-role/{ROLE}/web",
        "same",
        "4,4",
        "0",
        "told",
        "told, too",
        "AccessDeniedException",
    ], said.stderr
    assert BUCKET not in said.stderr
