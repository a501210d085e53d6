"""docs/how-to/encrypt-secrets-with-kms.md: what is seen is what the plugin says; its policy is the planned one."""

from __future__ import annotations

import json
import re

import pytest

from guides.page import HOW_TO, Block, blocks
from keyless.encryption import plan
from keyless.encryption.access import SERVICE_ACCOUNT, VALUE, encryption_statements

PAGE = "encrypt-secrets-with-kms.md"
ARN = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CODE = re.compile(
    r"`(?:(AssumeRoleWithWebIdentity): )?"
    r"([A-Za-z]+Exception|AccessDenied|InvalidIdentityToken|NoCredentials|InvalidKeyUsage)`"
)


def told() -> list[tuple[str, str, str]]:
    """Of each row of the table the call, the code and what to do."""
    _, _, table = (HOW_TO / PAGE).read_text(encoding="utf-8").partition("| misstep |")
    rows = [line.split(" | ") for line in table.splitlines()[2:] if line.startswith("| ")]
    return [(call or "DescribeKey", code, fix) for _, seen, fix in rows for call, code in CODE.findall(seen)]


def document(file: str) -> dict[str, list[dict[str, object]]]:
    """A document as the first block that writes it does."""
    (found, *_) = (one.text for one in blocks(PAGE, HOW_TO) if f"cat > {file} " in one.text)
    body = found.partition("<<EOF\n")[2].partition("\nEOF")[0]
    return json.loads(body.replace("${YOUR_KMS_KEY_ARN}", ARN))


def test_the_policy_is_the_one_that_identity_plans() -> None:
    assert document("encryption-policy.json")["Statement"] == encryption_statements(ARN)


def test_the_key_policy_lets_the_role_do_what_its_own_does_and_its_administrators_no_more_than_administer() -> None:
    administers, uses = document("key-policy.json")["Statement"]
    wanted = {"kms:DescribeKey", "kms:Encrypt", "kms:Decrypt"}
    assert set(uses["Action"]) == wanted
    assert not {"kms:Encrypt", "kms:Decrypt", "kms:*", "*"} & set(administers["Action"])


def test_there_are_codes_in_the_table() -> None:
    assert len(told()) >= 8


@pytest.mark.parametrize(("call", "code", "fix"), told())
def test_what_the_table_says_is_seen_is_told_with_a_fix(call: str, code: str, fix: str) -> None:
    said = plan.told(code, call)
    assert said.startswith(f"{call}: {code}: ")
    assert "tried again" not in said, "no code that it knows what to do about"
    commands = re.findall(r"aws kms [a-z-]+", fix)
    assert all(command in said or command.split()[2] in said for command in commands)


def every(text: str) -> list[Block]:
    return [one for one in blocks(PAGE, HOW_TO) if text in one.text]


def test_its_names_are_the_products() -> None:
    assert len(every(f"{VALUE}=")) == 3
    assert every(f':{SERVICE_ACCOUNT}"')
    assert every(f"--service-account {SERVICE_ACCOUNT} ")
