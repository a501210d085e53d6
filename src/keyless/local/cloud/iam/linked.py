"""Service-linked roles: made for a service, with its trust and its path, and AWS's alone to change.

A role is called ``AWSServiceRoleFor…`` by its service. Deleting one is a task that one asks after; nothing here uses
such a role, so the task has always succeeded.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html
"""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import orjson

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import checks, targets
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import Role
from keyless.local.cloud.iam.roles import LINKED_PATH, Roles
from keyless.local.cloud.service import Operation
from keyless.local.cloud.sessions import new_id

_SERVICE = re.compile(r"(?P<name>[a-z0-9-]+(\.[a-z0-9-]+)*)\.amazonaws\.com")
#: where the role's name does not follow from the service's
_NAMES = {
    "autoscaling": "AutoScaling",
    "ecs": "ECS",
    "eks": "AmazonEKS",
    "eks-fargate": "AmazonEKSForFargate",
    "eks-nodegroup": "AmazonEKSNodegroup",
    "elasticache": "ElastiCache",
    "elasticloadbalancing": "ElasticLoadBalancing",
    "rds": "RDS",
    "spot": "EC2Spot",
    "spotfleet": "EC2SpotFleet",
    "support": "Support",
}


class LinkedRoles:
    """Create and delete them."""

    def __init__(self, directory: Directory, roles: Roles) -> None:
        self._directory = directory
        self._roles = roles

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        return (
            Operation("CreateServiceLinkedRole", self._create, self._new),
            Operation("DeleteServiceLinkedRole", self._delete, self._roles.target),
            Operation("GetServiceLinkedRoleDeletionStatus", self._status, self._of_task),
        )

    def _new(self, call: Call) -> Target:
        service = call.params["AWSServiceName"]
        arn = targets.arn(call, f"role{LINKED_PATH}{service}/{_role_name(call)}")
        return Target(arn, keys={"iam:AWSServiceName": service})

    def _create(self, call: Call) -> dict[str, Any]:
        service, name = call.params["AWSServiceName"], _role_name(call)
        if self._directory.taken("iam-role", name):
            text = f"Service role name {name} has been taken in this account, please try a different suffix."
            raise AwsError("InvalidInput", text, status=400)
        trust = {"Effect": "Allow", "Principal": {"Service": [service]}, "Action": ["sts:AssumeRole"]}
        path = f"{LINKED_PATH}{service}/"
        role = Role(
            name=name,
            id=new_id("AROA"),
            arn=targets.arn(call, f"role{path}{name}"),
            path=path,
            created_at=call.now,
            trust=orjson.dumps({"Version": "2012-10-17", "Statement": [trust]}).decode(),
            description=call.params.get("Description", ""),
        )
        self._directory.save(role)
        return {"Role": self._roles.shape(role)}

    def _delete(self, call: Call) -> dict[str, Any]:
        role = self._roles.find(call.params["RoleName"])
        if not role.path.startswith(LINKED_PATH):
            raise AwsError("InvalidInput", f"Role {role.name} is not a service-linked role", status=400)
        self._directory.remove("iam-role", role.name)
        return {"DeletionTaskId": f"task{role.path}{role.name}/{uuid4()}"}

    def _of_task(self, call: Call) -> Target:
        """The role whose deletion a task id is about."""
        task = str(call.params["DeletionTaskId"]).removeprefix("task/").rpartition("/")[0]
        return Target(targets.arn(call, f"role/{task}"))

    def _status(self, call: Call) -> dict[str, Any]:
        task = str(call.params["DeletionTaskId"])
        name = task.rpartition("/")[0].rpartition("/")[2]
        if not task.startswith(f"task{LINKED_PATH}") or self._directory.role(name):
            raise checks.missing(f"The deletion task with id {task} cannot be found.")
        return {"Status": "SUCCEEDED"}


def _role_name(call: Call) -> str:
    found = _SERVICE.fullmatch(call.params["AWSServiceName"])
    if found is None:
        text = f"The service principal {call.params['AWSServiceName']} does not support service-linked roles."
        raise AwsError("InvalidInput", text, status=400)
    known = _NAMES.get(found["name"])
    word = known or "".join(part.capitalize() for part in re.split(r"[.-]", found["name"]))
    suffix = call.params.get("CustomSuffix", "")
    return f"AWSServiceRoleFor{word}{'_' + suffix if suffix else ''}"
