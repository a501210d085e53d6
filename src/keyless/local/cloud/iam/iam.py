"""IAM as a service: its parts put together."""

from __future__ import annotations

from keyless.local.cloud.iam.account import Account
from keyless.local.cloud.iam.checks import invalid
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.groups import Groups
from keyless.local.cloud.iam.holders import HolderPolicies
from keyless.local.cloud.iam.linked import LinkedRoles
from keyless.local.cloud.iam.policies import ManagedPolicies
from keyless.local.cloud.iam.profiles import InstanceProfiles
from keyless.local.cloud.iam.providers import Providers
from keyless.local.cloud.iam.roles import Roles
from keyless.local.cloud.iam.simulation import Simulator
from keyless.local.cloud.iam.users import Users
from keyless.local.cloud.service import Service

# A simulation is told whole policies, and many of them.
_BODY_LIMIT_BYTES = 8 << 20


class Iam:
    """IAM of one account."""

    def __init__(self, directory: Directory, issuer: str = "") -> None:
        """``issuer``: that of the cluster whose tokens come here; empty where nobody knows."""
        self._directory, self._issuer = directory, issuer

    def service(self) -> Service:
        """The table of IAM."""
        directory = self._directory
        roles, users = Roles(directory), Users(directory)
        groups = Groups(directory, users)
        of_roles = HolderPolicies(directory, "Role", find=roles.find, change=roles.changeable, target=roles.target)
        simulator = Simulator(directory, find_role=roles.find, find_user=users.find, find_group=groups.find)
        return Service(
            "iam",
            explains_refusals=True,
            invalid=invalid,
            body_limit_bytes=_BODY_LIMIT_BYTES,
            operations=(
                *roles.operations(),
                *of_roles.operations(),
                *users.operations(),
                *HolderPolicies(directory, "User", find=users.find, target=users.target).operations(),
                *groups.operations(),
                *HolderPolicies(directory, "Group", find=groups.find, target=groups.target).operations(),
                *InstanceProfiles(directory, roles).operations(),
                *ManagedPolicies(self._directory).operations(),
                *Providers(self._directory, self._issuer).operations(),
                *simulator.operations(),
                *LinkedRoles(directory, roles).operations(),
                *Account(directory, users).operations(),
            ),
        )
