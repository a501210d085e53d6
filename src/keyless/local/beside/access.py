"""What a person needs to be the cloud's administrator: files in the state folder, and in the cluster a Secret."""

from __future__ import annotations

import base64
import json

from keyless.kube import Kube
from keyless.kube.resources import SECRETS
from keyless.local.beside.settings import Settings
from keyless.local.cloud import Cloud
from keyless.local.state import State
from keyless.local.state.lock import private


def write_access(state: State, cloud: Cloud, settings: Settings) -> None:
    """Write who may do all, for the folder's owner alone, and the endpoint's authority."""
    keys = cloud.admin_credentials()
    access = {
        "accessKeyId": keys.access_key_id,
        "secretAccessKey": keys.secret_access_key,
        "region": settings.region,
        "account": settings.account,
    }
    for name, text in (("access.json", json.dumps(access, indent=2)), ("ca.crt", state.authority.ca_pem)):
        with open(state.path / name, "w", encoding="utf-8", opener=private) as file:
            file.write(text)


async def publish_access(kube: Kube, state: State, cloud: Cloud, settings: Settings, *, field_manager: str) -> None:
    """Write Secret ``SERVICE-access`` beside the Service: the folder is out of a person's reach there."""
    keys = cloud.admin_credentials()
    facts = {
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_REGION": settings.region,
        "ca.crt": state.authority.ca_pem,
    }
    data = {name: base64.b64encode(text.encode()).decode() for name, text in facts.items()}
    secret = {"metadata": {"name": f"{settings.service}-access", "namespace": settings.namespace}, "data": data}
    await kube.apply(SECRETS, secret, settings.namespace, field_manager=field_manager)
