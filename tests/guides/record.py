"""The local cloud's record of calls, as the tests judge it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from guides.reader import Reader

DATA = ("s3:PutObject", "secretsmanager:GetSecretValue", "ssm:GetParameter")


@dataclass(frozen=True, slots=True)
class DataCall:
    """A call on data by somebody other than the person with the guide."""

    action: str
    code: str
    arn: str
    session: str
    kind: str


def data_calls(reader: Reader) -> list[DataCall]:
    """Every call of a component on data, in order."""
    found = []
    for text in reader.said("keyless audit --output json").splitlines():
        line = json.loads(text)
        caller = line["caller"]
        if line["action"] in DATA and caller["type"] != "User":
            found.append(
                DataCall(line["action"], line["code"], caller.get("arn", ""), caller.get("session", ""), caller["type"])
            )
    return found
