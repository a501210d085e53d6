"""Templates for the tests: the two that eksctl writes, and small ones."""

from __future__ import annotations

from typing import Any

import orjson

from unit.local.cloud.support import ACCOUNT, PROVIDER

READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
IRSA_ROLE: dict[str, Any] = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["sts:AssumeRoleWithWebIdentity"],
                    "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"},
                    "Condition": {
                        "StringEquals": {
                            f"{PROVIDER}:sub": "system:serviceaccount:default:reader",
                            f"{PROVIDER}:aud": "sts.amazonaws.com",
                        }
                    },
                }
            ],
        },
        "ManagedPolicyArns": [{"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AmazonS3ReadOnlyAccess"}],
    },
}
POLICY: dict[str, Any] = {
    "Type": "AWS::IAM::Policy",
    "Properties": {
        "PolicyName": {"Fn::Sub": "${AWS::StackName}-Policy1"},
        "Roles": [{"Ref": "Role1"}],
        "PolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": "*"}],
        },
    },
}
POD_ROLE: dict[str, Any] = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "pods.eks.amazonaws.com"},
                    "Action": ["sts:AssumeRole", "sts:TagSession"],
                }
            ],
        }
    },
}
ROLE_OUTPUT = {"Role1": {"Value": {"Fn::GetAtt": "Role1.Arn"}}}


def text(resources: dict[str, Any], outputs: dict[str, Any] | None = None, **sections: Any) -> str:
    """A template in JSON."""
    body = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources, **sections}
    return orjson.dumps(body | ({"Outputs": outputs} if outputs else {})).decode()


def irsa(**sections: Any) -> str:
    """What ``eksctl create iamserviceaccount`` asks CloudFormation for."""
    described = "IAM role for serviceaccount"
    return text({"Role1": IRSA_ROLE, "Policy1": POLICY}, ROLE_OUTPUT, Description=described, **sections)


def a_bucket(name: str = "the-bucket", **properties: Any) -> dict[str, Any]:
    """A bucket."""
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, **properties}}


def a_role(**properties: Any) -> dict[str, Any]:
    """A role that pods may get, with more properties."""
    return {"Type": "AWS::IAM::Role", "Properties": {**POD_ROLE["Properties"], **properties}}


def allowing(*actions: str) -> dict[str, Any]:
    """A policy document."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}
