"""A plan's end as documents for other tools: a CloudFormation template, and Terraform in its JSON form. Pure.

They say what is to be there, placed as the plan places it, so that nobody moves: render again, and give the tool that.
Spec: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html and
https://developer.hashicorp.com/terraform/language/syntax/json
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from keyless.identity.grants.documents import AUDIENCE, signed, trust_statement
from keyless.identity.grants.model import TAG, Asked, Plan, Way, Wish
from keyless.identity.grants.placing import number
from keyless.policy.amend import Written

Resources = dict[str, Any]
UNVERIFIED = "rendered from what AWS's provider documents, and not checked by Terraform itself"


def cloudformation(asked: Asked, made: Plan) -> dict[str, Any]:
    """The template; its stack needs CAPABILITY_NAMED_IAM, since the roles' names are what annotations name."""
    found: Resources = {}
    if asked.way is Way.IRSA:
        properties = {"Url": asked.cluster.issuer, "ClientIdList": [AUDIENCE], "Tags": _tags()}
        # Other roles may trust it: it stays when the stack goes, as it does with `keyless identity destroy`.
        found["Provider"] = {"Type": "AWS::IAM::OIDCProvider", "DeletionPolicy": "Retain", "Properties": properties}
    for wish, name, subjects in _roles(asked, made):
        written: Resources = {
            "RoleName": name,
            "AssumeRolePolicyDocument": _trust(asked, subjects),
            "Policies": [{"PolicyName": wish.policy, "PolicyDocument": _permissions(wish)}],
            "Tags": _tags(),
        }
        if asked.boundary:
            written["PermissionsBoundary"] = asked.boundary
        role: Resources = {"Type": "AWS::IAM::Role", "Properties": written}
        if asked.way is Way.IRSA:
            role["DependsOn"] = "Provider"
        found[_logical("Role", name)] = role
    for wish, namespace in _associations(asked):
        found[_logical("Association", f"{wish.title} {namespace}")] = {
            "Type": "AWS::EKS::PodIdentityAssociation",
            "Properties": {
                "ClusterName": asked.cluster.name,
                "Namespace": namespace,
                "ServiceAccount": wish.service_account,
                "RoleArn": {"Fn::GetAtt": [_logical("Role", wish.role), "Arn"]},
                "Tags": _tags(),
            },
        }
    return {"AWSTemplateFormatVersion": "2010-09-09", "Description": "What Keyless is granted", "Resources": found}


def terraform(asked: Asked, made: Plan) -> dict[str, Any]:
    """The configuration, as a file ``*.tf.json``. What it says has not been checked by Terraform itself."""
    tags, found = {TAG: "true"}, dict[str, Resources]()
    if asked.way is Way.IRSA:
        provider = {"url": asked.cluster.issuer, "client_id_list": [AUDIENCE], "tags": tags}
        found["aws_iam_openid_connect_provider"] = {"keyless": provider}
    for wish, name, subjects in _roles(asked, made):
        role: Resources = {"name": name, "assume_role_policy": _escaped(_trust(asked, subjects)), "tags": tags}
        if asked.boundary:
            role["permissions_boundary"] = asked.boundary
        if asked.way is Way.IRSA:
            role["depends_on"] = ["aws_iam_openid_connect_provider.keyless"]
        own = _identifier(name)
        found.setdefault("aws_iam_role", {})[own] = role
        policy = {"name": wish.policy, "role": f"${{aws_iam_role.{own}.name}}", "policy": _escaped(_permissions(wish))}
        found.setdefault("aws_iam_role_policy", {})[own] = policy
    for wish, namespace in _associations(asked):
        found.setdefault("aws_eks_pod_identity_association", {})[_identifier(f"{wish.title}-{namespace}")] = {
            "cluster_name": asked.cluster.name,
            "namespace": namespace,
            "service_account": wish.service_account,
            "role_arn": f"${{aws_iam_role.{_identifier(wish.role)}.arn}}",
            "tags": tags,
        }
    return {"//": UNVERIFIED, "resource": found}


def _roles(asked: Asked, made: Plan) -> Iterator[tuple[Wish, str, list[str]]]:
    """Each role with its wish and its subjects, in the order of their numbers."""
    for wish in asked.wishes:
        by_role: dict[str, list[str]] = {}
        for subject, name in made.places.items():
            if number(name, wish.role) and subject.endswith(f":{wish.service_account}"):
                by_role.setdefault(name, []).append(subject)
        names = by_role if asked.way is Way.IRSA else (wish.role,)
        for name in sorted(names, key=lambda one: number(one, wish.role)):
            yield wish, name, sorted(by_role.get(name, []))


def _associations(asked: Asked) -> Iterator[tuple[Wish, str]]:
    for wish in asked.wishes if asked.way is Way.PODS else ():
        for namespace in sorted(set(wish.namespaces)):
            yield wish, namespace


def _trust(asked: Asked, subjects: list[str]) -> Written:
    return {"Version": "2012-10-17", "Statement": [trust_statement(asked, subjects)]}


def _permissions(wish: Wish) -> Written:
    return {"Version": "2012-10-17", "Statement": [signed(one) for one in wish.statements]}


def _tags() -> list[dict[str, str]]:
    return [{"Key": TAG, "Value": "true"}]


def _logical(kind: str, name: str) -> str:
    """A logical id of letters and digits; what is left out is written as its code, so that two never meet."""
    return kind + re.sub(r"[^A-Za-z0-9]", lambda found: f"x{ord(found[0]):x}x", name)


def _identifier(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: f"_{ord(found[0]):x}_", name)


def _escaped(document: Written) -> str:
    """In Terraform's strings ``${`` and ``%{`` begin a template; IAM's variables do, too."""
    return json.dumps(document).replace("${", "$${").replace("%{", "%%{")
