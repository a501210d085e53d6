{{- define "spaces.labels" -}}
app.kubernetes.io/name: spaces-operator
app.kubernetes.io/part-of: spaces
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
