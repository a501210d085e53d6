"""Whether a KMS key encrypts a control plane's Secrets, and what its plugin needs around it. Pure."""

from __future__ import annotations

from keyless.api.sealed_by import KmsKey, sealers_of
from keyless.kube import condition_of
from keyless.space import rights
from keyless.space.control_planes import encrypting
from keyless.space.control_planes.model import DropCondition, Facts, Plan, Remove, Step
from keyless.space.control_planes.writing import write
from keyless.space.items import Item
from keyless.space.kubernetes import workload
from keyless.space.kubernetes.names import kms_keys, workload_key
from keyless.space.place import Place
from keyless.space.values import Values

CONDITION = "EncryptionKeyUsable"
"""What the plugin itself says."""


def wanted(facts: Facts) -> str | None:
    """The KMS key that the values ask for; empty: none; None: they cannot be read, and nothing changes."""
    return facts.values.api_server.kms_key if isinstance(facts.values, Values) else None


def is_used(facts: Facts, place: Place) -> bool:
    """Whether the pod has a plugin: also as long as something may be left that only a KMS key opens.

    At the end of a change kube-apiserver has to be rid of the key before its pod is made without the plugin.
    """
    if wanted(facts) or any(isinstance(each, KmsKey) for each in _sealers(facts, place)):
        return True
    return encrypting.is_changing(facts.host, place) and workload.has_plugin(facts.host.get(workload_key(place)))


def bring(facts: Facts, place: Place) -> Plan:
    """The plugin's service account and rights: before the pod that bears them."""
    if not isinstance(facts.values, Values) or not is_used(facts, place):
        return Plan()
    return write(facts, items(facts.values, place))


def items(values: Values, place: Place) -> tuple[Item, ...]:
    """The service account first."""
    return (workload.account(values, place), *rights.of_kms(place))


def retire(facts: Facts, place: Place) -> tuple[Step, ...]:
    """What is left of it once the pod is without; what it said goes last."""
    if is_used(facts, place) or workload.has_plugin(facts.host.get(workload_key(place))):
        return ()
    left = tuple(Remove(key) for key in kms_keys(place) if key in facts.host)
    said = condition_of(facts.status.get("conditions"), CONDITION) is not None
    return left or ((DropCondition(CONDITION),) if said else ())


def trouble(facts: Facts) -> str:
    """What the plugin says where KMS does not encrypt for it; empty: it says nothing of the kind."""
    said = condition_of(facts.status.get("conditions"), CONDITION) or {}
    return str(said.get("message", "")) if said.get("status") == "False" else ""


def _sealers(facts: Facts, place: Place) -> tuple[object, ...]:
    return sealers_of(encrypting.config(facts.host, place).encode())
