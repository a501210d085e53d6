{{- /* What webhook, agent and issuer have in common. Each is told (list . ITS-NAME) or (list . ITS-VALUES ITS-NAME). */ -}}

{{- define "spaces.besideLabels" -}}
{{- $root := first . -}}
{{- with omit ($root.Values.commonLabels | default dict) "app.kubernetes.io/name" "app.kubernetes.io/part-of" -}}
{{- toYaml . }}
{{ end -}}
app.kubernetes.io/name: {{ last . }}
app.kubernetes.io/part-of: spaces
{{- end }}

{{- define "spaces.besideMetadata" -}}
namespace: {{ (first .).Release.Namespace }}
labels:
  {{- include "spaces.besideLabels" . | nindent 2 }}
{{- with include "spaces.annotations" (list (first .) dict) }}
{{ . }}
{{- end }}
{{- end }}

{{- define "spaces.besidePod" -}}
{{- $root := first . -}}
{{- $values := index . 1 -}}
terminationGracePeriodSeconds: 30
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- uniq . | toYaml | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with include "spaces.scheduling" (list $values (last .)) | trim }}
{{ . }}
{{- end }}
{{- end }}

{{- /* Of whichever family the pod is. */ -}}
{{- define "spaces.bindHost" -}}
- name: KEYLESS_{{ . }}_BIND_HOST
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
{{- end }}

{{- define "spaces.agentEnvironment" -}}
{{ include "spaces.environment" . }}
- name: KEYLESS_AGENT_NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- with (.Values.agent).region }}
- name: AWS_REGION
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "spaces.besideAuthority" -}}
{{- if (.Values.caBundle).name -}}
volumeMounts:
  - name: ca-bundle
    mountPath: /etc/keyless/ca
    readOnly: true
{{- end -}}
{{- end }}

{{- define "spaces.besideVolumes" -}}
{{- with .Values.caBundle -}}
{{- if .name -}}
volumes:
  - name: ca-bundle
    {{- if eq (.kind | default "ConfigMap") "Secret" }}
    secret:
      secretName: {{ .name }}
    {{- else }}
    configMap:
      name: {{ .name }}
    {{- end }}
      items:
        - key: {{ .key | default "ca.crt" }}
          path: ca.crt
{{- end -}}
{{- end -}}
{{- end }}

{{- /* What would be installed and never work. */ -}}
{{- define "spaces.refuseHalfAnEks" -}}
{{- $webhook := .Values.webhook | default dict -}}
{{- $certificate := $webhook.certificate | default dict -}}
{{- if and $webhook.enabled $certificate.secretName (not $certificate.caBundle) (not $webhook.annotations) -}}
{{- include "spaces.refuse" (printf "webhook.certificate.secretName is %q and nothing says who signed it: the API server would trust nobody; set webhook.certificate.caBundle (PEM in base64), or webhook.annotations for what injects it, as cert-manager.io/inject-ca-from" $certificate.secretName) -}}
{{- end -}}
{{- if and (.Values.agent).enabled (not (.Values.agent).clusterName) -}}
{{- include "spaces.refuse" "agent.enabled is true and agent.clusterName is empty: expected the cluster's name in EKS; `aws eks list-clusters` lists them" -}}
{{- end -}}
{{- $ingress := (.Values.issuer).ingress | default dict -}}
{{- if and (.Values.issuer).enabled $ingress.enabled (not $ingress.host) -}}
{{- include "spaces.refuse" "issuer.ingress.enabled is true and issuer.ingress.host is empty: expected the host of the API server's --service-account-issuer" -}}
{{- end -}}
{{- end }}
