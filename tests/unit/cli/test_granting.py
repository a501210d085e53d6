"""What ``keyless identity`` asks for and takes away, by the values of the Space."""

from __future__ import annotations

from keyless.cli.granting import every_wish, wishes_of
from keyless.cli.identity import Options
from keyless.identity.verify import Cluster

CLUSTER = Cluster("prod", "https://oidc.eks.eu-west-1.amazonaws.com/id/ABCDEF", "111122223333", "eu-west-1")
ON = {"billing.enabled": "true", "billing.storage.aws.bucket": "usage", "sharedSecrets.enabled": "true"}


def test_destroy_looks_for_the_role_of_every_feature_with_whatever_is_on_and_no_prefix() -> None:
    options = Options("", "irsa", "exact", "keyless", "team-", "", "", 2048)
    granted = wishes_of(options, ON, CLUSTER, ("mxp-1-system",))
    bare = Options("", "irsa", "exact", "keyless", "", "", "", 2048)

    assert len(granted) == 2
    assert {(one.role, one.service_account, one.policy) for one in every_wish(bare)} == {
        (one.role, one.service_account, one.policy) for one in granted
    }
