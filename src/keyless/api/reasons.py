"""The catalogue of reasons.

One CamelCase word means the same in a status condition, an event, the command line's text and JSON, the audit line and
the tests. Where AWS speaks, its own codes are used as they are and are not listed here.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A reason, as it appears to users. Sorted by the part of the product that says it first."""

    # identity
    IDENTITY_NOT_INJECTED = "IdentityNotInjected"
    CLUSTER_MISSING = "ClusterMissing"
    CONTROL_PLANE_MISSING = "ControlPlaneMissing"
    CONTROL_PLANE_NOT_PLACED = "ControlPlaneNotPlaced"
    COMPONENT_NOT_ENABLED = "ComponentNotEnabled"
    HELM_VALUES_DROPPED = "HelmValuesDropped"
    STATIC_KEYS_SET = "StaticKeysSet"
    WORKLOAD_MISSING = "WorkloadMissing"
    WORKLOAD_NOT_READY = "WorkloadNotReady"
    SERVICE_ACCOUNT_MISSING = "ServiceAccountMissing"
    ROLE_NOT_NAMED = "RoleNotNamed"
    ROLE_ARN_MALFORMED = "RoleArnMalformed"
    ANNOTATION_MISSPELT = "AnnotationMisspelt"
    ASSOCIATION_ELSEWHERE = "AssociationElsewhere"
    POD_NOT_RESTARTED = "PodNotRestarted"
    OIDC_PROVIDER_MISSING = "OIDCProviderMissing"
    OIDC_PROVIDER_DIFFERS = "OIDCProviderDiffers"
    AUDIENCE_NOT_REGISTERED = "AudienceNotRegistered"
    AGENT_MISSING = "AgentMissing"
    ROLE_MISSING = "RoleMissing"
    TRUST_DENIES = "TrustDenies"
    TRUST_DENIES_EXPLICITLY = "TrustDeniesExplicitly"
    TRUST_HAS_PLACEHOLDER = "TrustHasPlaceholder"
    TRUST_NAMES_ANOTHER_PROVIDER = "TrustNamesAnotherProvider"
    TRUST_NAMES_ANOTHER_AUDIENCE = "TrustNamesAnotherAudience"
    TRUST_NAMES_ANOTHER_ACCOUNT = "TrustNamesAnotherServiceAccount"
    TRUST_NAMES_ANOTHER_NAMESPACE = "TrustNamesAnotherNamespace"
    TRUST_OPERATOR_LITERAL = "TrustOperatorLiteral"
    TAG_SESSION_NOT_TRUSTED = "TagSessionNotTrusted"
    CONTROL_PLANE_NOT_TRUSTED = "ControlPlaneNotTrusted"
    PERMISSION_MISSING = "PermissionMissing"
    PERMISSION_DENIED_EXPLICITLY = "PermissionDeniedExplicitly"
    PERMISSION_BOUNDED = "PermissionBounded"
    RESOURCE_MISSING = "ResourceMissing"
    TRUST_NAMES_ANOTHER_ACTION = "TrustNamesAnotherAction"
    BUCKET_MISSING = "BucketMissing"
    BUCKET_ELSEWHERE = "BucketElsewhere"
    STATIC_KEYS_IN_POD = "StaticKeysInPod"
    PROBE_REFUSED = "ProbeRefused"
    PROBE_BY_ANOTHER_ROLE = "ProbeByAnotherRole"
    NOT_HEALTHY = "NotHealthy"
    STORAGE_NOT_NAMED = "StorageNotNamed"
    STORAGE_DIFFERS = "StorageDiffers"
    ROLE_DIFFERS = "RoleDiffers"

    # control planes
    CROSSPLANE_NOT_MANAGED = "CrossplaneNotManaged"
    VALUES_INVALID = "ValuesInvalid"
    GROUP_NOT_LABELLED = "GroupNotLabelled"
    HOST_NAMESPACE_TAKEN = "HostNamespaceTaken"
    API_TAKEN = "ApiTaken"
    ATTACHED_SECRET_MISSING = "AttachedSecretMissing"
    CONNECTION_SECRET_REFUSED = "ConnectionSecretRefused"
    DEFINITION_OWNED_ELSEWHERE = "DefinitionOwnedElsewhere"
    BILLING_NOT_CONFIGURED = "BillingNotConfigured"
    USAGE_NOT_FLUSHED = "UsageNotFlushed"
    COMPONENTS_AVAILABLE = "ComponentsAvailable"
    COMPONENTS_UNAVAILABLE = "ComponentsUnavailable"
    IDENTITY_INJECTED = "IdentityInjected"
    DELETION_TIMED_OUT = "DeletionTimedOut"
    # Crossplane's own words for the conditions Ready and Synced.
    AVAILABLE = "Available"
    CREATING = "Creating"
    DELETING = "Deleting"
    RECONCILE_SUCCESS = "ReconcileSuccess"
    RECONCILE_ERROR = "ReconcileError"
    NOT_SETTLED = "NotSettled"
    API_UNREACHABLE = "ApiUnreachable"

    # billing
    BILLING_PERIOD_INCOMPLETE = "BillingPeriodIncomplete"
    USAGE_MISSING = "UsageMissing"
    USAGE_NOT_TRUSTED = "UsageNotTrusted"

    # shared secrets
    SECRETS_READ = "SecretsRead"
    READ_ALLOWED = "ReadAllowed"
    IDENTITY_PROVEN = "IdentityProven"
    IDENTITY_OF_ANOTHER_ROLE = "IdentityOfAnotherRole"
    IDENTITY_OF_NODE = "IdentityOfNode"
    KEY_NOT_IN_SCOPE = "KeyNotInScope"
    # External Secrets' own words, for its own kinds.
    SECRET_SYNCED = "SecretSynced"
    SECRET_SYNCED_ERROR = "SecretSyncedError"
    TEMPLATE_ERROR = "TemplateError"
    SECRET_DELETED = "SecretDeleted"
    SECRET_MISSING = "SecretMissing"
    # Ours, where External Secrets would delete at the first miss, or write again and again.
    DELETION_HELD = "DeletionHeld"
    SOURCE_MISSING = "SourceMissing"
    SOURCE_PRESENT = "SourcePresent"
    TARGET_REMOVED = "TargetRemoved"
    TARGET_CONTENDED = "TargetContended"
    STORE_VALID = "Valid"
    STORE_VALIDATION_UNKNOWN = "ValidationUnknown"
    INVALID_PROVIDER_CONFIG = "InvalidProviderConfig"
    INVALID_STORE_CONFIGURATION = "InvalidStoreConfiguration"
    NAMESPACES_FAILED = "NamespacesFailed"
    PROVISIONED = "Provisioned"
