"""Secrets that ask for a service account's token get one, that works until the Secret or the account goes."""

from __future__ import annotations

from base64 import b64decode

import pytest

from keyless.kube.resources import SECRETS, SERVICEACCOUNTS
from keyless.local.cluster.controllers.account_tokens.plan import ACCOUNT, TYPE, UID, filled, plan
from keyless.local.cluster.messages import Request
from keyless.local.cluster.status import ApiError
from keyless.local.cluster.users import User


def asking(account="builder", **more):
    return {"metadata": {"name": "t", "annotations": {ACCOUNT: account}}, "type": TYPE, **more}


def who(space, secret):
    token = b64decode(secret["data"]["token"]).decode()
    return space.cluster.identify(Request("keyless", "GET", "/api", User("nobody")), f"Bearer {token}")


async def made(space):
    account = await space.kube.create(SERVICEACCOUNTS, {"metadata": {"name": "builder"}}, "default")
    await space.kube.create(SECRETS, asking(), "default")
    await space.until(lambda: (space.get(SECRETS, "t", "default").get("data") or {}).get("token"))
    return account, space.get(SECRETS, "t", "default")


async def test_the_secret_is_filled_and_its_token_is_the_account(space):
    account, secret = await made(space)
    assert secret["metadata"]["annotations"][UID] == account["metadata"]["uid"]
    assert b64decode(secret["data"]["namespace"]) == b"default"
    assert b64decode(secret["data"]["ca.crt"]).startswith(b"-----BEGIN")
    assert who(space, secret).name == "system:serviceaccount:default:builder"


async def test_a_token_that_was_taken_out_is_put_back(space):
    await made(space)
    await space.kube.patch(SECRETS, "t", {"data": {"token": None}}, "default")
    await space.until(lambda: (space.get(SECRETS, "t", "default").get("data") or {}).get("token"))


async def test_the_secret_goes_with_its_account_and_the_token_with_the_secret(space):
    _, secret = await made(space)
    await space.kube.delete(SERVICEACCOUNTS, "builder", "default")
    await space.until(lambda: space.get(SECRETS, "t", "default") is None)
    with pytest.raises(ApiError):
        who(space, secret)


async def test_a_secret_for_an_account_that_is_not_there_is_removed(space):
    await space.kube.create(SECRETS, asking("nobody"), "default")
    await space.until(lambda: space.get(SECRETS, "t", "default") is None)


HERE = {"metadata": {"name": "builder", "uid": "u1"}}
EMPTY = {"metadata": {"name": "t", "namespace": "n", "annotations": {ACCOUNT: "builder"}}, "type": TYPE}
FULL = filled(EMPTY, HERE, "CA", "token")


@pytest.mark.parametrize(
    ("secret", "account", "proves", "does"),
    [
        (EMPTY, HERE, False, "fill"),
        (FULL, HERE, True, "nothing"),
        (FULL, HERE, False, "fill"),
        ({**FULL, "data": {**FULL["data"], "ca.crt": "b2xk"}}, HERE, True, "fill"),
        (FULL, None, False, "remove"),
        (FULL, {"metadata": {"name": "builder", "uid": "u2"}}, False, "remove"),
        ({**EMPTY, "type": "Opaque"}, None, False, "nothing"),
        ({**FULL, "metadata": {**FULL["metadata"], "deletionTimestamp": "now"}}, None, False, "nothing"),
    ],
)
def test_what_a_pass_does(secret, account, proves, does):
    assert plan(secret, account, "CA", token_proves=proves).do == does
