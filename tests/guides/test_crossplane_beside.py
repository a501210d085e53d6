"""The page on Crossplane on a local Space, word for word, with a program on client-go in Crossplane's place."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.tools import GUIDES, kubernetes_clients

from guides.page import HOW_TO, Block, blocks
from guides.reader import Reader
from production.parts import Parts, said
from production.shaped import IMAGE, Shop, controller

pytestmark = [pytest.mark.guide, pytest.mark.timeout(900)]
PAGE = "run-crossplane-beside-it.md"
SHOP = """
export CLUSTER="$YOUR_CLUSTER_NAME" AWS_PAGER=
aws s3 mb s3://shop-usage
cat > trust.json <<'END'
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"},
 "Action": ["sts:AssumeRole", "sts:TagSession"]}]}
END
cat > policy.json <<'END'
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:PutObject",
 "Resource": "arn:aws:s3:::shop-usage/*"}]}
END
ROLE="$(aws iam create-role --role-name shop --assume-role-policy-document file://trust.json \
  --query Role.Arn --output text)"
export ROLE
aws iam put-role-policy --role-name shop --policy-name usage --policy-document file://policy.json
kubectl apply -f - <<'END'
apiVersion: spaces.upbound.io/v1beta1
kind: ControlPlane
metadata: {name: shop, namespace: default}
spec: {hostNamespace: {name: shop-host}, writeConnectionSecretToRef: {name: shop}}
END
aws eks create-pod-identity-association --cluster-name "$CLUSTER" --namespace shop-host --service-account vector \
  --role-arn "$ROLE"
kubectl wait controlplane/shop -n default --for=condition=Ready --timeout=60s
kubectl wait secret/shop -n default --for=create --timeout=60s
helm upgrade spaces spaces-helm-chart --reset-values --set billing.enabled=true --set billing.storage.provider=aws \
  --set "billing.storage.aws.region=$AWS_REGION" --set billing.storage.aws.bucket=shop-usage \
  --set billing.storage.secretRef.name= --set billing.flushInterval=1m
"""
NAMED = "kubectl annotate controlplane shop -n default --overwrite keyless.dev/controllers="
KILLED = "kubectl delete pods -A -l app.kubernetes.io/name=spaces-operator --grace-period=0 --force"


class Inside:
    """kubectl as an administrator inside."""

    def __init__(self, folder: Path) -> None:
        clients = kubernetes_clients(GUIDES)
        assert clients is not None
        self._words = (clients / "kubectl", "--kubeconfig", folder / "inside.kubeconfig")

    def __call__(self, *words: str, given: str | None = None) -> str:
        return said(*self._words, *words, given=given)


def marked(*marks: str) -> list[Block]:
    return [one for one in blocks(PAGE, HOW_TO) if set(one.marks) & set(marks) or (not one.marks and not marks)]


def test_the_page_on_crossplane_holds(reader: Reader) -> None:
    if not shutil.which("go"):
        if os.environ.get("CI"):
            pytest.fail("Go is missing: https://go.dev/dl")
        pytest.skip("Go is missing: https://go.dev/dl")
    (reader.folder / "images.json").write_text(json.dumps({IMAGE: [str(controller())]}))
    reader.said(f'keyless up --detach --image-map images.json\neval "$(keyless env)"\nexport IMAGE={IMAGE}')
    reader.said(SHOP)
    inside, parts = Inside(reader.folder), Parts(reader.folder)
    shop = Shop(inside, parts)
    naming, allowing, running = marked()
    reader.follow([naming, allowing])
    shop.define()
    reader.follow([*marked("account"), *marked("aws"), running])
    shop.claim("one", 3)
    reader.follow(marked("see"))
    assert "default-one-2" in reader.transcript[-1]
    assert '"secret":"kubeconfig-crossplane"' in reader.transcript[-1]
    pod = reader.said('kubectl get pods -n "$NAMESPACE" -l app=crossplane -o yaml')
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in pod
    assert {line for line in _log(reader) if line.startswith("token")} == {"token 1"}

    # Half of the token's life is over, and the operator is killed.
    now = datetime.now(UTC)
    stamps = {"issued": now - timedelta(minutes=40), "expires": now + timedelta(minutes=20)}
    words = " ".join(f"keyless.dev/token-{name}-at={at:%Y-%m-%dT%H:%M:%SZ}" for name, at in stamps.items())
    reader.said(f'kubectl annotate secret kubeconfig-crossplane -n "$NAMESPACE" --overwrite {words}')
    reader.said(f"{NAMED}crossplane=crossplane,other\n{KILLED}")
    reader.said('kubectl wait secret/kubeconfig-other -n "$NAMESPACE" --for=create --timeout=90s')
    began = datetime.now(UTC)
    parts.wait("the next token", lambda: "token 2" in _log(reader), 180.0)
    print(f"the next token was shown after {(datetime.now(UTC) - began).total_seconds():.0f} s")
    shop.claim("two", 1)
    assert not [line for line in _log(reader) if "nauthorized" in line]
    reader.said(f"{NAMED}crossplane=crossplane")
    reader.said('kubectl wait secret/kubeconfig-other -n "$NAMESPACE" --for=delete --timeout=90s')

    # What it made is stored, with its claim, and each once.
    asked = f"keyless billing report --bucket shop-usage --all-accounts --billing-month {now:%Y-%m} --force-incomplete"

    def made() -> dict[str, int]:
        lines = json.loads(reader.said(f"{asked} --by claim --output json 2>/dev/null"))["lines"]
        return {str(line["values"][0]).rpartition("/")[2]: int(line["made"]) for line in lines}

    parts.wait("all to be stored", lambda: sum(made().values()) >= 4, 240.0)
    assert made() == {"one": 3, "two": 1}

    for name in ("one", "two"):
        shop.unclaim(name)
    assert shop.buckets() == []
    reader.follow(marked("remove"))
    assert "crossplane" not in inside("get", "serviceaccounts,clusterrolebindings", "-A", "-o", "name")


def _log(reader: Reader) -> list[str]:
    return reader.said('kubectl logs deployment/crossplane -n "$NAMESPACE"').splitlines()
