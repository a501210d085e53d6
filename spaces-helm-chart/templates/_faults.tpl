{{- /*
What a schema would refuse with a pattern is refused here with a sentence: subject, expected, found, next step.
*/ -}}
{{- define "spaces.refuseRoleThatIsNone" -}}
{{- if hasKey .annotations "eks.amazon.aws/role-arn" -}}
{{- fail (printf "%s.serviceAccount.customAnnotations: eks.amazon.aws/role-arn is an annotation that nobody reads; the webhook looks for eks.amazonaws.com/role-arn" .section) -}}
{{- end -}}
{{- $role := index .annotations "eks.amazonaws.com/role-arn" -}}
{{- if and (not (kindIs "invalid" $role)) (not (regexMatch "^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$" (toString $role))) -}}
{{- fail (printf "%s.serviceAccount.customAnnotations: eks.amazonaws.com/role-arn is %q, which is no role's ARN: expected arn:aws:iam::<12 digits>:role/<name>; is a shell variable empty? `aws iam get-role --role-name NAME --query Role.Arn` prints it" .section (toString $role)) -}}
{{- end -}}
{{- end }}

{{- define "spaces.faults" -}}
{{- include "spaces.refuseRoleThatIsNone" (dict "section" "controlPlanes.vector" "annotations" (.Values.controlPlanes.vector.serviceAccount.customAnnotations | default dict)) -}}
{{- include "spaces.refuseRoleThatIsNone" (dict "section" "controlPlanes.sharedSecrets" "annotations" (.Values.controlPlanes.sharedSecrets.serviceAccount.customAnnotations | default dict)) -}}
{{- if has .Values.billing.storage.provider (list "gcp" "azure") -}}
{{- fail (printf "billing.storage.provider is %q, which is not implemented: expected aws; `--set billing.storage.provider=aws`" .Values.billing.storage.provider) -}}
{{- end -}}
{{- if eq .Values.controlPlanes.api.mode "kubernetes" -}}
{{- fail "controlPlanes.api.mode is \"kubernetes\", which is not implemented yet: expected auto, logical or attached" -}}
{{- end -}}
{{- end }}
