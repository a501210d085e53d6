{{- /* The users' own first: those by which objects are found win. */ -}}
{{- define "spaces.labels" -}}
{{- with omit (.Values.commonLabels | default dict) "app.kubernetes.io/name" "app.kubernetes.io/part-of" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" -}}
{{- toYaml . }}
{{ end -}}
app.kubernetes.io/name: spaces-operator
app.kubernetes.io/part-of: spaces
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "spaces.podLabels" -}}
{{- $ours := dict "app.kubernetes.io/name" "spaces-operator" "app.kubernetes.io/part-of" "spaces" -}}
{{- toYaml (merge $ours ((.Values.operator).podLabels | default dict) (.Values.commonLabels | default dict)) -}}
{{- end }}

{{- /* Of one object: (list . its-own-annotations); nothing where there is none. */ -}}
{{- define "spaces.annotations" -}}
{{- $root := first . -}}
{{- with merge (dict) (last . | default dict) ($root.Values.commonAnnotations | default dict) -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}

{{- /* Not the operator's: its Deployment, Service and budget would take the pod for one of theirs. */ -}}
{{- define "spaces.testLabels" -}}
{{- toYaml (merge (dict "app.kubernetes.io/name" "spaces-test" "app.kubernetes.io/part-of" "spaces") (.Values.commonLabels | default dict)) -}}
{{- end }}
