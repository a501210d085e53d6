"""IAM's operations on OpenID Connect providers.

The URL is kept whole, with its port, and a token's ``iss`` must equal it; the ARN and the condition keys are host and
path alone, as eksctl computes them. So two URLs that differ in the port have one ARN: the second is
EntityAlreadyExists.

A URL that AWS would take and no token of the cluster can fit (its port or path lacks) is taken, and told of in the
record of calls.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import checks, targets
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import OidcProvider, provider_resource
from keyless.local.cloud.iam.tagging import Tagging
from keyless.local.cloud.service import Operation, anything

_LONGEST = 255
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+", re.ASCII)
_THUMBPRINT = re.compile(r"[0-9a-fA-F]{40}")
_NO_THUMBPRINT = "0" * 40  # AWS fetches one when the caller names none; this one fits no certificate


class Providers:
    """Create, read, change and delete identity providers."""

    def __init__(self, directory: Directory, issuer: str = "") -> None:
        self._directory, self._issuer = directory, issuer

    def operations(self) -> tuple[Operation, ...]:
        """The table of this part."""
        save = self._directory.save_provider
        tagging = Tagging("OpenIDConnectProvider", find=self._find, save=save, target=self._target)
        return (
            Operation("CreateOpenIDConnectProvider", self._create, self._new_provider),
            Operation("GetOpenIDConnectProvider", self._get, self._target),
            Operation("ListOpenIDConnectProviders", self._list, anything),
            Operation("AddClientIDToOpenIDConnectProvider", self._add_client, self._target),
            Operation("RemoveClientIDFromOpenIDConnectProvider", self._remove_client, self._target),
            Operation("UpdateOpenIDConnectProviderThumbprint", self._update_thumbprints, self._target),
            Operation("DeleteOpenIDConnectProvider", self._delete, self._target),
            *tagging.operations(),
        )

    def _target(self, call: Call) -> Target:
        arn = call.params["OpenIDConnectProviderArn"]
        found = self._directory.provider(arn)
        return Target(arn, keys={**targets.resource_keys(found.tags if found else {}), **targets.requested(call)})

    def _new_provider(self, call: Call) -> Target:
        return Target(_arn(call, _url(call.params["Url"])), keys=targets.requested(call))

    def _find(self, call: Call) -> OidcProvider:
        arn = call.params["OpenIDConnectProviderArn"]
        found = self._directory.provider(arn)
        if found is None:
            raise checks.missing(f"OpenIDConnect Provider not found for arn {arn}")
        return found

    def _create(self, call: Call) -> dict[str, Any]:
        url = _url(call.params["Url"])
        arn = _arn(call, url)
        if self._directory.provider(arn):
            raise checks.taken(f"Provider with url {url} already exists.")
        if self._directory.database.count("iam-provider") >= checks.PROVIDERS:
            raise checks.beyond(f"Cannot exceed quota for OpenIdConnectProvidersPerAccount: {checks.PROVIDERS}")
        provider = OidcProvider(
            arn=arn,
            url=url,
            created_at=call.now,
            client_ids=_client_ids(call.params.get("ClientIDList", ())),
            thumbprints=_thumbprints(call.params.get("ThumbprintList") or (_NO_THUMBPRINT,)),
            tags=checks.tags(call.params.get("Tags", ())),
        )
        self._directory.save_provider(provider)
        if warning := unmatched(url, self._issuer):
            call.notes["warning"] = warning
        return {"OpenIDConnectProviderArn": arn, "Tags": checks.as_tags(provider.tags)}

    def _get(self, call: Call) -> dict[str, Any]:
        provider = self._find(call)
        return {
            "Url": provider.url.removeprefix("https://"),
            "ClientIDList": list(provider.client_ids),
            "ThumbprintList": list(provider.thumbprints),
            "CreateDate": provider.created_at,
            "Tags": checks.as_tags(provider.tags),
        }

    def _list(self, _: Call) -> dict[str, Any]:
        return {"OpenIDConnectProviderList": [{"Arn": provider.arn} for provider in self._directory.providers()]}

    def _add_client(self, call: Call) -> None:
        provider, added = self._find(call), call.params["ClientID"]
        if added not in provider.client_ids:
            self._directory.save_provider(replace(provider, client_ids=_client_ids((*provider.client_ids, added))))

    def _remove_client(self, call: Call) -> None:
        provider = self._find(call)
        kept = tuple(one for one in provider.client_ids if one != call.params["ClientID"])
        self._directory.save_provider(replace(provider, client_ids=kept))

    def _update_thumbprints(self, call: Call) -> None:
        found = _thumbprints(call.params["ThumbprintList"])
        self._directory.save_provider(replace(self._find(call), thumbprints=found))

    def _delete(self, call: Call) -> None:
        """Deleting one that is not there succeeds, as on AWS."""
        self._directory.remove("iam-provider", call.params["OpenIDConnectProviderArn"])


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidInput", message, status=400)


def _url(url: str) -> str:
    """The URL as kept: https, no query, no trailing slash lost or added."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme == "https" and parts.hostname and not parts.query and not parts.fragment
        _ = parts.port
    except ValueError:
        valid = False
    # A variable that a shell did not expand is no name of a host, and no token could ever have it.
    if not valid or not _HOST.fullmatch(parts.hostname or "") or "@" in url or len(url) > _LONGEST:
        raise _invalid("Invalid Open ID Connect Provider URL")
    return url


def unmatched(url: str, issuer: str) -> str:
    """Why no token of the cluster fits a provider that was meant for it; empty where one does, or it is another's."""
    own, given = urlsplit(issuer), urlsplit(url)
    if not issuer or url == issuer or given.hostname != own.hostname:
        return ""
    return (
        f"tokens of this cluster have the issuer {issuer}, which must equal the URL letter by letter: none fits {url}"
    )


def _arn(call: Call, url: str) -> str:
    return targets.arn(call, provider_resource(url))


def _client_ids(given: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(given))
    if len(found) > checks.CLIENT_IDS:
        raise checks.beyond(f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {checks.CLIENT_IDS}")
    return found


def _thumbprints(given: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    if len(given) > checks.THUMBPRINTS:
        raise _invalid("Thumbprint list must contain fewer than 5 entries.")
    if not all(_THUMBPRINT.fullmatch(one) for one in given):
        raise _invalid("Thumbprint must be 40 hexadecimal digits")
    return tuple(one.lower() for one in given)
