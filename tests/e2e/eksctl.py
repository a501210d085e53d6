"""What eksctl 0.231 sends, command by command, replayed with signed requests and typed bodies.

eksctl itself is in no package registry; sequences and arguments are those of its source. Every command begins with
GetCallerIdentity, DescribeCluster and DescribeClusterVersions; roles are made by CloudFormation, and Kubernetes is
reached with a token of the caller's own.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from e2e import typed_bodies
from e2e.iam_caller import ClusterCaller
from e2e.local_space import Keys, LocalSpace
from guides.eksctl import thumbprint

AGENT = "eks-pod-identity-agent"
ANNOTATION = "eks.amazonaws.com/role-arn"
MANAGED = {"app.kubernetes.io/managed-by": "eksctl"}
_OF_CLUSTER = "alpha.eksctl.io/cluster-name"
_OF_ACCOUNT = "alpha.eksctl.io/iamserviceaccount-name"
_OF_ASSOCIATION = "alpha.eksctl.io/podidentityassociation-name"
_LIVE = [
    "CREATE_IN_PROGRESS",
    "CREATE_FAILED",
    "CREATE_COMPLETE",
    "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_FAILED",
    "ROLLBACK_COMPLETE",
    "DELETE_IN_PROGRESS",
    "DELETE_FAILED",
    "UPDATE_IN_PROGRESS",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_IN_PROGRESS",
    "UPDATE_ROLLBACK_FAILED",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE",
    "REVIEW_IN_PROGRESS",
]


class Failed(Exception):
    """The command's error, as eksctl words it."""


class Eksctl:
    """One user's eksctl."""

    def __init__(self, space: LocalSpace, keys: Keys | None = None) -> None:
        self._space = space
        self._keys = keys
        self._cluster = space.name("CLUSTER_NAME")

    # Commands ----------------------------------------------------------------------------------------------------

    def associate_iam_oidc_provider(self) -> str:
        """``utils associate-iam-oidc-provider --approve``; what it says."""
        cluster = self._begin()
        issuer = urlsplit(cluster["identity"]["oidc"]["issuer"])
        if self._provider(cluster):
            return "IAM Open ID Connect provider is already associated with cluster"
        self._aws("iam").create_open_id_connect_provider(
            Url=issuer.geturl(),
            ClientIDList=["sts.amazonaws.com"],
            ThumbprintList=[
                thumbprint(issuer.hostname or "", issuer.port or 443, self._space.environ["SSL_CERT_FILE"])
            ],
            Tags=[{"Key": _OF_CLUSTER, "Value": self._cluster}],
        )
        self._aws("eks").tag_resource(resourceArn=cluster["arn"], tags={"alpha.eksctl.io/cluster-oidc-enabled": "true"})
        return "created IAM Open ID Connect provider for cluster"

    def create_iam_service_account(
        self, namespace: str, name: str, *policies: str, role_only: bool = False, override: bool = False
    ) -> str:
        """``create iamserviceaccount --approve --attach-policy-arn …``; the role's ARN, empty where it was left out."""
        cluster = self._begin()
        if not self._provider(cluster):
            raise Failed("unable to create iamserviceaccount(s) without IAM OIDC provider enabled")
        stack = f"eksctl-{self._cluster}-addon-iamserviceaccount-{namespace}-{name}"
        known = {one["StackName"] for one in self._stacks()}
        with ClusterCaller(self._space, cluster, self._keys) as kubernetes:
            found = self._account(kubernetes, namespace, name)
            foreign = found is not None and (found["metadata"].get("labels") or {}) != MANAGED
            if stack in known or (foreign and not override and not role_only):
                return ""
            tags = {_OF_ACCOUNT: f"{namespace}/{name}"}
            role = self._create_role(stack, self._irsa_template(cluster, namespace, name, policies), tags)
            if not role_only:
                self._write_account(kubernetes, namespace, name, {ANNOTATION: role})
        return role

    def get_iam_service_accounts(self) -> dict[str, str]:
        """``get iamserviceaccount``: namespace/name → role ARN."""
        self._begin()
        return {tags[_OF_ACCOUNT]: role for tags, role in self._roles_of_stacks() if _OF_ACCOUNT in tags}

    def delete_iam_service_account(self, namespace: str, name: str) -> None:
        """``delete iamserviceaccount``."""
        cluster = self._begin()
        self._delete_stack(f"eksctl-{self._cluster}-addon-iamserviceaccount-{namespace}-{name}")
        with ClusterCaller(self._space, cluster, self._keys) as kubernetes:
            found = self._account(kubernetes, namespace, name)
            if found and (found["metadata"].get("labels") or {}).items() >= MANAGED.items():
                path = _account_path(namespace, name)
                assert kubernetes.send("DELETE", path, typed_bodies.delete_options())[0] == 200

    def create_pod_identity_association(
        self, namespace: str, name: str, *policies: str, create_account: bool = False
    ) -> str:
        """``create podidentityassociation --permission-policy-arns … [--create-service-account]``; its id."""
        cluster = self._begin()
        eks = self._aws("eks")
        try:
            eks.describe_addon(clusterName=self._cluster, addonName=AGENT)
        except eks.exceptions.ResourceNotFoundException:
            text = f'the "{AGENT}" addon must be installed to create pod identity associations'
            raise Failed(f"{text}; please enable it using `eksctl create addon --name={AGENT}`") from None
        stack = f"eksctl-{self._cluster}-podidentityrole-{namespace}-{name}"
        role = self._create_role(stack, _pods_template(policies), {_OF_ASSOCIATION: f"{namespace}/{name}"})
        if create_account:
            with ClusterCaller(self._space, cluster, self._keys) as kubernetes:
                self._write_account(kubernetes, namespace, name, {})
        made = eks.create_pod_identity_association(
            clusterName=self._cluster,
            namespace=namespace,
            serviceAccount=name,
            roleArn=role,
            tags={_OF_CLUSTER: self._cluster},
        )
        association: str = made["association"]["associationId"]
        return association

    def get_pod_identity_associations(self, namespace: str = "") -> list[dict[str, Any]]:
        """``get podidentityassociation``."""
        self._begin()
        eks = self._aws("eks")
        scope = {"namespace": namespace} if namespace else {}
        pages = eks.get_paginator("list_pod_identity_associations").paginate(clusterName=self._cluster, **scope)
        listed = [one for page in pages for one in page["associations"]]
        return [
            eks.describe_pod_identity_association(clusterName=self._cluster, associationId=one["associationId"])[
                "association"
            ]
            for one in listed
        ]

    def delete_pod_identity_association(self, namespace: str, name: str) -> None:
        """``delete podidentityassociation``."""
        self._begin()
        eks = self._aws("eks")
        found = eks.list_pod_identity_associations(clusterName=self._cluster, namespace=namespace, serviceAccount=name)[
            "associations"
        ]
        stacks = {one["StackName"] for one in self._stacks()}
        for one in found:
            eks.delete_pod_identity_association(clusterName=self._cluster, associationId=one["associationId"])
        stack = f"eksctl-{self._cluster}-podidentityrole-{namespace}-{name}"
        if stack in stacks:
            self._delete_stack(stack)

    def create_addon(self, name: str) -> dict[str, Any]:
        """``create addon --name``; the addon once it is active."""
        cluster = self._begin()
        self._provider(cluster)
        eks = self._aws("eks")
        try:
            found = eks.describe_addon(clusterName=self._cluster, addonName=name)["addon"]
            raise Failed(f"addon {found['addonName']} already exists")
        except eks.exceptions.ResourceNotFoundException:
            pass
        offered = eks.describe_addon_versions(addonName=name, kubernetesVersion=cluster["version"])["addons"]
        defaults = [
            one["addonVersion"]
            for addon in offered
            for one in addon["addonVersions"]
            if one["compatibilities"][0]["defaultVersion"]
        ]
        if not defaults:
            raise Failed("no versions available")
        eks.create_addon(clusterName=self._cluster, addonName=name, addonVersion=defaults[0])
        made: dict[str, Any] = eks.describe_addon(clusterName=self._cluster, addonName=name)["addon"]
        return made

    # What the commands share -------------------------------------------------------------------------------------

    def _aws(self, service: str) -> Any:
        return self._space.aws(service, self._keys)

    def _begin(self) -> dict[str, Any]:
        assert self._aws("sts").get_caller_identity()["Account"]
        eks = self._aws("eks")
        cluster: dict[str, Any] = eks.describe_cluster(name=self._cluster)["cluster"]
        assert cluster["status"] == "ACTIVE"
        # eksctl takes the first without looking whether there is one.
        assert eks.describe_cluster_versions()["clusterVersions"][0]["clusterVersion"]
        return cluster

    def _provider(self, cluster: dict[str, Any]) -> bool:
        issuer = urlsplit(cluster["identity"]["oidc"]["issuer"])
        arn = f"arn:aws:iam::{cluster['arn'].split(':')[4]}:oidc-provider/{issuer.hostname}{issuer.path}"
        iam = self._aws("iam")
        try:
            iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
        except iam.exceptions.NoSuchEntityException:
            return False
        return True

    def _stacks(self) -> list[dict[str, Any]]:
        cfn = self._aws("cloudformation")
        listed = cfn.list_stacks(StackStatusFilter=_LIVE)["StackSummaries"]
        names = [one["StackName"] for one in listed if re.match(f"^(eksctl|EKS)-{self._cluster}-", one["StackName"])]
        return [cfn.describe_stacks(StackName=name)["Stacks"][0] for name in names]

    def _roles_of_stacks(self) -> list[tuple[dict[str, str], str]]:
        return [
            ({tag["Key"]: tag["Value"] for tag in one["Tags"]}, output["OutputValue"])
            for one in self._stacks()
            for output in one.get("Outputs", ())
        ]

    def _create_role(self, stack: str, template: dict[str, Any], tags: dict[str, str]) -> str:
        cfn = self._aws("cloudformation")
        every = {
            _OF_CLUSTER: self._cluster,
            "eksctl.cluster.k8s.io/v1alpha1/cluster-name": self._cluster,
            "alpha.eksctl.io/eksctl-version": "0.231.0",
            **tags,
        }
        cfn.create_stack(
            StackName=stack,
            TemplateBody=json.dumps(template),
            Capabilities=["CAPABILITY_IAM"],
            EnableTerminationProtection=False,
            DisableRollback=False,
            Tags=[{"Key": key, "Value": value} for key, value in every.items()],
        )
        # The waiter's first look comes at once, its second after 30 seconds.
        found = cfn.describe_stacks(StackName=stack)["Stacks"][0]
        if found["StackStatus"] != "CREATE_COMPLETE":
            events = cfn.describe_stack_events(StackName=stack)["StackEvents"]
            why = next(one["ResourceStatusReason"] for one in events if one["ResourceStatus"] == "CREATE_FAILED")
            raise Failed(f'unexpected status "{found["StackStatus"]}" while waiting for CloudFormation stack: {why}')
        role: str = next(one["OutputValue"] for one in found["Outputs"] if one["OutputKey"] == "Role1")
        return role

    def _delete_stack(self, stack: str) -> None:
        cfn = self._aws("cloudformation")
        stack_id = cfn.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
        cfn.delete_stack(StackName=stack_id)
        assert cfn.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"

    def _irsa_template(
        self, cluster: dict[str, Any], namespace: str, name: str, policies: tuple[str, ...]
    ) -> dict[str, Any]:
        issuer = urlsplit(cluster["identity"]["oidc"]["issuer"])
        provider = f"{issuer.hostname}{issuer.path}"
        statement = {
            "Action": ["sts:AssumeRoleWithWebIdentity"],
            "Condition": {
                "StringEquals": {
                    f"{provider}:aud": "sts.amazonaws.com",
                    f"{provider}:sub": f"system:serviceaccount:{namespace}:{name}",
                }
            },
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{cluster['arn'].split(':')[4]}:oidc-provider/{provider}"},
        }
        return _role_template(statement, policies, f'IAM role for serviceaccount "{namespace}/{name}"')

    def _account(self, kubernetes: ClusterCaller, namespace: str, name: str) -> dict[str, Any] | None:
        status, found = kubernetes.send("GET", _account_path(namespace, name))
        if status not in (200, 404):
            raise Failed(f"getting serviceaccount: {status} {found.get('message')}")
        return found if status == 200 else None

    def _write_account(self, kubernetes: ClusterCaller, namespace: str, name: str, annotations: dict[str, str]) -> None:
        if kubernetes.send("GET", f"/api/v1/namespaces/{namespace}")[0] == 404:
            assert kubernetes.send("POST", "/api/v1/namespaces", typed_bodies.namespace(namespace))[0] == 201
        found = self._account(kubernetes, namespace, name)
        if found is None:
            metadata = {"name": name, "namespace": namespace, "labels": MANAGED, "annotations": annotations}
            path, method, expected = f"/api/v1/namespaces/{namespace}/serviceaccounts", "POST", 201
        else:
            metadata = found["metadata"]
            metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
            metadata["labels"] = {**(metadata.get("labels") or {}), **MANAGED}
            path, method, expected = _account_path(namespace, name), "PUT", 200
        status, answer = kubernetes.send(method, path, typed_bodies.service_account(metadata))
        if status != expected:
            raise Failed(f"writing serviceaccount: {status} {answer.get('message')}")


def _account_path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"


def _pods_template(policies: tuple[str, ...]) -> dict[str, Any]:
    statement = {
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
    }
    return _role_template(statement, policies, "IAM role for pod identity association")


def _role_template(statement: dict[str, Any], policies: tuple[str, ...], description: str) -> dict[str, Any]:
    trust = {"Statement": [statement], "Version": "2012-10-17"}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"{description} [created and managed by eksctl]",
        "Resources": {
            "Role1": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": trust, "ManagedPolicyArns": list(policies)},
            }
        },
        "Outputs": {"Role1": {"Value": {"Fn::GetAtt": "Role1.Arn"}}},
    }
