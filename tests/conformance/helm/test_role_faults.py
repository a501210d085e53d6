"""Which annotations the chart refuses: near misses of the one that is read, and values that are no role's ARN.

All cases are rendered at once, as comments, by a chart that has the real template and nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
KEY = "eks.amazonaws.com/role-arn"
ROLE = "arn:aws:iam::111122223333:role/billing"
PROFILE = "arn:aws:iam::111122223333:instance-profile/billing"
TEMPLATE = """
{{- range $case := .Values.roles }}
# role {{ $case | toJson }} {{ include "spaces.roleFault" $case | toJson }}
{{- end }}
{{- range $case := .Values.annotations }}
# key {{ $case | toJson }} {{ include "spaces.misspeltRole" $case | trim | toJson }}
{{- end }}
"""

ROLES = [
    ROLE,
    "arn:aws-cn:iam::111122223333:role/billing",
    "arn:aws-us-gov:iam::111122223333:role/path/to/billing",
    "arn:aws:iam::999988887777:role/of-another-account",
    "arn:aws:iam::111122223333:role/a+b=c,d.e@f_g-h",
]
FAULTS = {
    "": "shell variable empty",
    "billing": "the whole ARN",
    "role/billing": "the whole ARN",
    f"{ROLE}\n": "white space",
    f" {ROLE}": "white space",
    "arn:aws:iam::111122223333:role/bil ling": "white space",
    "arn:aws:iam:::role/billing": "12 digits",
    "arn:aws:iam::1111:role/billing": "12 digits",
    "arn:aws:iam::111122223333:role/": "lacks",
    "arn:aws:iam::111122223333:role": "lacks",
    "arn:aws:iam::111122223333:role/path/": "role/NAME",
    "arn:aws:iam::111122223333:roles/billing": "role/NAME",
    "arn:aws:iam:us-east-1:111122223333:role/billing": "12 digits",
    "arn:aws:iam::${ACCOUNT}:role/billing": "placeholder",
    "arn:aws:iam::<ACCOUNT_ID>:role/billing": "placeholder",
    "arn:aws:iam::YOUR_ACCOUNT:role/billing": "placeholder",
    PROFILE: "another thing than a role",
    "arn:aws:iam::111122223333:user/billing": "another thing than a role",
    "arn:aws:iam::111122223333:root": "another thing than a role",
    "arn:aws:iam::111122223333:policy/billing": "another thing than a role",
    "arn:aws:sts::111122223333:assumed-role/billing/session": "session of a role",
    "arn:aws:s3:::billing": "something else",
    "ARN:aws:iam::111122223333:role/billing": "something else",
    "arn:amazon:iam::111122223333:role/billing": "something else",
}
MISSPELT = [
    "eks.amazon.aws/role-arn",
    "eks.amazonaws.com/rolearn",
    "eks.amazonaws.com/role_arn",
    "eks.amazonaws.com/roleArn",
    "eks.amazonaws.com/Role-ARN",
    "eks.amazonaws.com/role-arns",
    "eks.amazonaws.com/arn-role",
    "eks.amazonaws.com/role",
    "eks.amazonaws.com/iam-role",
    "eks.amazonaws.com/iamrole",
    "EKS.amazonaws.com/role-arn",
    "eks.amazonaws.com /role-arn",
    " eks.amazonaws.com/role-arn",
    "eks.amazonaws.com/role-arn\n",
    "eks.amazonaws.com.role-arn",
    "eks-amazonaws-com/role-arn",
    "eks.amazonws.com/role-arn",
    "esk.amazonaws.com/role-arn",
    "eks.aws.com/role-arn",
    "amazonaws.com/role-arn",
    "iam.amazonaws.com/role",
    "role-arn",
]
OTHERS = [
    {"irsa.example.org/role-arn": ROLE},
    {"eks.amazonaws.com/audience": "sts.amazonaws.com"},
    {"eks.amazonaws.com/token-expiration": "3600"},
    {"eks.amazonaws.com/sts-regional-endpoints": "true"},
    {"team": "billing"},
    {"vault.hashicorp.com/role": "billing"},
    {KEY: ROLE, "eks.amazonaws.com/role_arn": ROLE},
    {},
]


async def rendered(helm, folder: Path) -> dict[str, str]:
    (folder / "templates").mkdir()
    faults = ROOT / "spaces-helm-chart/templates/_faults.tpl"
    (folder / "templates/_faults.tpl").write_text(faults.read_text())
    (folder / "templates/cases.yaml").write_text(TEMPLATE)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: cases\nversion: 0.1.0\n")
    annotations = [*({key: "x"} for key in MISSPELT[:7]), *({key: ROLE} for key in MISSPELT), *OTHERS]
    values = {"roles": [*ROLES, *FAULTS], "annotations": annotations}
    (folder / "values.json").write_text(json.dumps(values))
    code, out, errors = await helm("template", "cases", str(folder), "--values", str(folder / "values.json"))
    assert code == 0, errors
    decoder, said = json.JSONDecoder(), {}
    for line in out.splitlines():
        kind, _, rest = line.removeprefix("# ").partition(" ")
        if kind in ("role", "key"):
            case, end = decoder.raw_decode(rest)
            said[json.dumps([kind, case])] = json.loads(rest[end:])
    return said


@pytest.fixture
async def said(helm, tmp_path: Path) -> dict[str, str]:
    return await rendered(helm, tmp_path)


async def test_each_near_miss_is_told_for_what_it_is_and_nothing_else_is_refused(said: dict[str, str]) -> None:
    def of_role(value: str) -> str:
        return said[json.dumps(["role", value])]

    def of_key(annotations: dict[str, str]) -> str:
        return said[json.dumps(["key", annotations])]

    assert {role: of_role(role) for role in ROLES} == dict.fromkeys(ROLES, "")
    assert {role: told for role, words in FAULTS.items() if words not in (told := of_role(role))} == {}
    assert [key for key in MISSPELT if not of_key({key: ROLE})] == []
    assert [key for key in MISSPELT[:7] if not of_key({key: "x"})] == []
    assert [one for one in OTHERS if of_key(one)] == []


async def test_what_is_refused_names_the_value_and_where_it_stands(helm) -> None:
    place = "controlPlanes.sharedSecrets.serviceAccount.customAnnotations"
    for key, value, words in (
        (
            r"eks\.amazonaws\.com/rolearn",
            ROLE,
            f'{place}: "eks.amazonaws.com/rolearn" is an annotation that nobody reads',
        ),
        (r"eks\.amazonaws\.com/role-arn", PROFILE, f'{place}: eks.amazonaws.com/role-arn is "{PROFILE}", which is no'),
    ):
        code, _, errors = await helm("template", "spaces", "spaces-helm-chart", "--set", f"{place}.{key}={value}")
        assert code != 0
        assert words in errors
