{{- define "spaces.image" -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end -}}
{{- end }}

{{- /*
What every pod is told of the way out, as the operator tells it to the components (space/surroundings.py). Values that
an earlier chart left, by --reuse-values, may lack a section.
*/ -}}
{{- define "spaces.environment" -}}
{{- $proxy := .Values.proxy | default dict -}}
{{- if or $proxy.httpProxy $proxy.httpsProxy }}
{{- with $proxy.httpProxy }}
- name: HTTP_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with $proxy.httpsProxy }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
- name: NO_PROXY
  value: {{ printf "localhost,127.0.0.1,169.254.170.23,fd00:ec2::23,kubernetes.default.svc,.svc,.cluster.local,$(KUBERNETES_SERVICE_HOST)%s" ($proxy.noProxy | default "" | empty | ternary "" (printf ",%s" $proxy.noProxy)) | quote }}
{{- end }}
{{- if (.Values.caBundle).name }}
- name: AWS_CA_BUNDLE
  value: /etc/keyless/ca/ca.crt
- name: SSL_CERT_FILE
  value: /etc/keyless/ca/ca.crt
{{- end }}
{{- if eq (toString (.Values.crds).enabled) "false" }}
- name: KEYLESS_APPLY_DEFINITIONS
  value: "false"
{{- end }}
- name: MALLOC_ARENA_MAX # what one thread frees the others may use
  value: "1"
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: POD_NAME # who holds the lease
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
{{- end }}

{{- /* A name twice is refused by server-side apply; in a container the last one holds, so the users' stands for ours. */ -}}
{{- define "spaces.operatorEnvironment" -}}
{{- $extra := (.Values.operator).extraEnv | default list -}}
{{- $replaced := dict -}}
{{- range $extra }}{{ $_ := set $replaced .name true }}{{ end -}}
{{- $kept := list -}}
{{- range include "spaces.environment" . | fromYamlArray -}}
{{- if not (hasKey $replaced .name) }}{{ $kept = append $kept . }}{{ end -}}
{{- end -}}
{{- toYaml (concat $kept $extra) -}}
{{- end }}

{{- define "spaces.refuseBudgetThatHoldsNodes" -}}
{{- $operator := .Values.operator | default dict -}}
{{- $budget := $operator.podDisruptionBudget | default dict -}}
{{- if and $budget.enabled (lt (int ($operator.replicas | default 1)) 2) -}}
{{- include "spaces.refuse" "operator.podDisruptionBudget.enabled is true with operator.replicas below 2: the operator's node could never be drained; set operator.replicas=2" -}}
{{- end -}}
{{- if and $budget.enabled (ne (toString ($budget.minAvailable | default "")) "") (ne (toString ($budget.maxUnavailable | default "")) "") -}}
{{- include "spaces.refuse" "operator.podDisruptionBudget: expected minAvailable or maxUnavailable, found both; leave one empty" -}}
{{- end -}}
{{- end }}
