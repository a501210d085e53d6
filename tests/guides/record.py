"""The local cloud's record of calls, as the tests judge it: which pod's session signed which data call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from guides.reader import Reader

DATA = ("s3:PutObject", "secretsmanager:GetSecretValue", "ssm:GetParameter")


@dataclass(frozen=True, slots=True)
class DataCall:
    """A call on data by somebody other than the person with the guide. ``pod`` is the uid of the pod behind it."""

    action: str
    code: str
    arn: str
    session: str
    pod: str


def data_calls(reader: Reader) -> list[DataCall]:
    """Every call of a component on data, in order."""
    lines = [json.loads(text) for text in reader.said("keyless audit --output json").splitlines()]
    # The one thread through the record: the credentials that were minted for a pod, and the calls signed with them.
    pods = {line["notes"]["accessKeyId"]: line["notes"].get("podUid", "") for line in lines if _minted(line)}
    return [
        DataCall(
            line["action"],
            line["code"],
            line["caller"].get("arn", ""),
            line["caller"].get("session", ""),
            pods.get(line["caller"].get("accessKeyId"), ""),
        )
        for line in lines
        if line["action"] in DATA and line["caller"]["type"] != "User"
    ]


def pods_of(reader: Reader, deployment: str) -> set[str]:
    """The uids of all pods that the Deployment had, those that are gone included: the events remember them."""
    said = reader.said("kubectl get events -n ${YOUR_CONTROL_PLANE_NAMESPACE} -o json")
    objects = [event["involvedObject"] for event in json.loads(said)["items"]]
    return {o["uid"] for o in objects if o["kind"] == "Pod" and o["name"].startswith(f"{deployment}-")}


def _minted(line: dict[str, Any]) -> bool:
    return line["code"] == "Success" and "accessKeyId" in line["notes"]
