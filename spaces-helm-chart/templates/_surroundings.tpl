{{- define "spaces.image" -}}
{{- $image := .Values.image | default dict -}}
{{- $image.repository | default "keyless/keyless" -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end }}

{{- /*
What every pod is told of the way out, as the operator tells it to the components (space/surroundings.py). Values that
an earlier chart left, by --reuse-values, may lack a section, and so do those that somebody set to null.
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

{{- define "spaces.operatorEnvironment" -}}
{{- include "spaces.joined" (list (include "spaces.environment" .) (.Values.operator).extraEnv) -}}
{{- end }}

{{- /*
(list ours-as-yaml theirs). A name twice is refused by server-side apply; in a container the last one holds, so the users'
stands for ours.
*/ -}}
{{- define "spaces.joined" -}}
{{- $extra := last . | default list -}}
{{- $replaced := dict -}}
{{- range $extra }}{{ $_ := set $replaced .name true }}{{ end -}}
{{- $kept := list -}}
{{- range first . | fromYamlArray -}}
{{- if not (hasKey $replaced .name) }}{{ $kept = append $kept . }}{{ end -}}
{{- end -}}
{{- toYaml (concat $kept $extra) -}}
{{- end }}

{{- /* (list values name): a constraint without a selector counts no pods, and spreads nothing. */ -}}
{{- define "spaces.scheduling" -}}
{{- $values := first . | default dict -}}
{{- $name := last . -}}
{{- range $key := list "affinity" "nodeSelector" "tolerations" }}
{{- with get $values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{- hasKey . "labelSelector" | ternary . (merge (dict "labelSelector" (dict "matchLabels" (dict "app.kubernetes.io/name" $name))) .) | toYaml | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* Of a pod that comes and goes, where the operator's may be: with their anti-affinity it would wait for a node of its own. */ -}}
{{- define "spaces.besideOperator" -}}
{{- $operator := .Values.operator | default dict -}}
{{- with $operator.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- $affinity := pick ($operator.affinity | default dict) "nodeAffinity" -}}
{{- include "spaces.scheduling" (list (dict "affinity" $affinity "nodeSelector" $operator.nodeSelector "tolerations" $operator.tolerations) "") -}}
{{- end }}

{{- /* (list section values): a budget by which no pod may ever go. */ -}}
{{- define "spaces.refuseBudgetThatHoldsNodes" -}}
{{- $section := first . -}}
{{- $values := last . | default dict -}}
{{- $budget := $values.podDisruptionBudget | default dict -}}
{{- if $budget.enabled -}}
{{- $replicas := kindIs "invalid" $values.replicas | ternary (eq $section "operator" | ternary 1 2) $values.replicas | int -}}
{{- $least := include "spaces.count" $budget.minAvailable -}}
{{- $most := include "spaces.count" $budget.maxUnavailable -}}
{{- if lt $replicas 2 -}}
{{- include "spaces.refuse" (printf "%s.podDisruptionBudget.enabled is true with %s.replicas below 2: the pod's node could never be drained; set %s.replicas=2" $section $section $section) -}}
{{- end -}}
{{- if and (ne $least "") (ne $most "") -}}
{{- include "spaces.refuse" (printf "%s.podDisruptionBudget: expected minAvailable or maxUnavailable, found both; leave one empty" $section) -}}
{{- end -}}
{{- if or (has $most (list "0" "0%")) (eq $least "100%") (and (regexMatch "^[0-9]+$" $least) (ge (int $least) $replicas)) -}}
{{- include "spaces.refuse" (printf "%s.podDisruptionBudget: with %s no pod of %d may ever go, and no node with one of them could be drained; expected minAvailable below %s.replicas, or maxUnavailable above 0" $section ($most | empty | ternary (printf "minAvailable %s" $least) (printf "maxUnavailable %s" $most)) $replicas $section) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* A number of pods or per cent of them as text; nothing where none is said (0 is said). */ -}}
{{- define "spaces.count" -}}
{{- if not (kindIs "invalid" .) -}}{{- toString . -}}{{- end -}}
{{- end }}
