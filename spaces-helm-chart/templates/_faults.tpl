{{- /*
What a schema would refuse with a pattern is refused here with a sentence: subject, expected, found, next step.
*/ -}}
{{- /*
What is wrong with a value that is to be a role's ARN; nothing where it may be one.
*/ -}}
{{- define "spaces.roleFault" -}}
{{- $role := toString . -}}
{{- if regexMatch "^arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/([A-Za-z0-9+=,.@_-]+/)*[A-Za-z0-9+=,.@_-]+$" $role -}}
{{- else if eq $role "" -}}
it is empty: is a shell variable empty?
{{- else if regexMatch "[\\s]" $role -}}
there is white space in it
{{- else if regexMatch "[<>$]|YOUR_" $role -}}
a placeholder still stands in it: was a shell variable not expanded?
{{- else if regexMatch "^arn:aws[a-z0-9-]*:sts:.*:assumed-role/" $role -}}
it is the ARN of a session of a role: take that of the role itself
{{- else if regexMatch "^arn:aws[a-z0-9-]*:iam:.*:(instance-profile|user|group|policy|root|oidc-provider|saml-provider|mfa)" $role -}}
it is an ARN of IAM, but of another thing than a role
{{- else if regexMatch "^arn:aws[a-z0-9-]*:iam:[^:]*:[^:]*:[Rr]ole[s]?/?$" $role -}}
the name of the role lacks: is a shell variable empty?
{{- else if regexMatch "^arn:aws[a-z0-9-]*:iam:[^:]*:[^:]*:" $role -}}
its account is not 12 digits, or its end is not role/NAME: is a shell variable empty?
{{- else if hasPrefix "arn:" (lower $role) -}}
it is the ARN of something else, or misspelt
{{- else -}}
a name alone is not enough: it must be the whole ARN
{{- end -}}
{{- end }}

{{- /*
An annotation that was to be the role's: by its name, whatever its case, dots and dashes, or by its value. One of an
altogether other domain is somebody else's, and where the right one is there a near miss does no harm.
*/ -}}
{{- define "spaces.misspeltRole" -}}
{{- if not (hasKey . "eks.amazonaws.com/role-arn") -}}
{{- range $key, $value := . -}}
{{- $letters := regexReplaceAll "[^a-z]" (lower $key) "" -}}
{{- $ours := or (not (contains "/" $key)) (regexMatch "eks|aws|amaz|amzn" (lower $key)) -}}
{{- if and $ours (or (regexMatch "rolearn[s]?$|arnrole$|^eksamazonawscom.*role" $letters) (regexMatch "^\\s*arn:aws[a-z0-9-]*:iam::[0-9]*:role/" (toString $value))) -}}
{{- printf "%q " $key -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "spaces.refuseRoleThatIsNone" -}}
{{- $place := printf "%s.serviceAccount.customAnnotations" .section -}}
{{- with include "spaces.misspeltRole" .annotations | trim -}}
{{- include "spaces.refuse" (printf "%s: %s is an annotation that nobody reads; the webhook looks for eks.amazonaws.com/role-arn" $place .) -}}
{{- end -}}
{{- $role := index .annotations "eks.amazonaws.com/role-arn" -}}
{{- if not (kindIs "invalid" $role) -}}
{{- with include "spaces.roleFault" $role -}}
{{- include "spaces.refuse" (printf "%s: eks.amazonaws.com/role-arn is %q, which is no role's ARN: expected arn:aws:iam::<12 digits>:role/<name>; %s; `aws iam get-role --role-name NAME --query Role.Arn` prints it" $place (toString $role) .) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* What would be pulled by nobody: a node says "invalid reference format" and not why. */ -}}
{{- define "spaces.refuseImageThatIsNone" -}}
{{- $given := .Values.image | default dict -}}
{{- $image := dict "repository" ($given.repository | default "keyless/keyless") "tag" ($given.tag | default .Chart.AppVersion) -}}
{{- $at := printf "image.repository is %q" $image.repository -}}
{{- if regexMatch "^[a-z]+://" $image.repository -}}
{{- include "spaces.refuse" (printf "%s: expected a name without %s, as registry.example.com/keyless" $at (regexFind "^[a-z]+://" $image.repository)) -}}
{{- else if contains "@" $image.repository -}}
{{- include "spaces.refuse" (printf "%s, which has a digest: set image.digest=%s and leave the rest" $at (regexReplaceAll "^[^@]*@" $image.repository "")) -}}
{{- else if regexMatch ":[^/]*$" $image.repository -}}
{{- include "spaces.refuse" (printf "%s, which has a tag: set image.tag=%s and leave the rest" $at (regexReplaceAll "^.*:" $image.repository "")) -}}
{{- else if not (regexMatch "^[A-Za-z0-9]([A-Za-z0-9._/:\\-]*[A-Za-z0-9])?$" $image.repository) -}}
{{- include "spaces.refuse" (printf "%s: expected a name, as registry.example.com/keyless" $at) -}}
{{- end -}}
{{- if hasPrefix "sha256:" $image.tag -}}
{{- include "spaces.refuse" (printf "image.tag is %q, which is a digest: set image.digest" $image.tag) -}}
{{- else if not (regexMatch "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$" $image.tag) -}}
{{- include "spaces.refuse" (printf "image.tag is %q: expected letters, digits, _, . and -, as 0.1.0" $image.tag) -}}
{{- end -}}
{{- end }}

{{- /* Prometheus' operator leaves such a monitor out, and says so nowhere but in its log. */ -}}
{{- define "spaces.refuseScrapeThatIsLate" -}}
{{- $monitor := .Values.serviceMonitor | default dict -}}
{{- $every := $monitor.interval | default "30s" -}}
{{- $within := $monitor.scrapeTimeout | default "10s" -}}
{{- if gt (include "spaces.milliseconds" $within | int64) (include "spaces.milliseconds" $every | int64) -}}
{{- include "spaces.refuse" (printf "serviceMonitor.scrapeTimeout is %s and serviceMonitor.interval %s: expected a timeout no longer than the interval" $within $every) -}}
{{- end -}}
{{- end }}

{{- define "spaces.milliseconds" -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+(ms|[smhd])" . -1 -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- $sum = add $sum (mul $number (get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000) (regexReplaceAll "^[0-9]+" . ""))) -}}
{{- end -}}
{{- $sum -}}
{{- end }}

{{- define "spaces.faults" -}}
{{- include "spaces.refuseImageThatIsNone" . -}}
{{- include "spaces.refuseScrapeThatIsLate" . -}}
{{- include "spaces.refuseRoleThatIsNone" (dict "section" "controlPlanes.vector" "annotations" ((((.Values.controlPlanes).vector).serviceAccount).customAnnotations | default dict)) -}}
{{- include "spaces.refuseRoleThatIsNone" (dict "section" "controlPlanes.sharedSecrets" "annotations" ((((.Values.controlPlanes).sharedSecrets).serviceAccount).customAnnotations | default dict)) -}}
{{- include "spaces.refuseRoleThatIsNone" (dict "section" "controlPlanes.backup" "annotations" ((((.Values.controlPlanes).backup).serviceAccount).customAnnotations | default dict)) -}}
{{- include "spaces.refuseRoleThatIsNone" (dict "section" "billing.export" "annotations" ((((.Values.billing).export).serviceAccount).customAnnotations | default dict)) -}}
{{- with ((.Values.billing).storage).provider -}}
{{- if has . (list "gcp" "azure") -}}
{{- include "spaces.refuse" (printf "billing.storage.provider is %q, which is not implemented: expected aws; `--set billing.storage.provider=aws`" .) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* What would run and never find anything. */ -}}
{{- define "spaces.refuseHalfAnExport" -}}
{{- $billing := .Values.billing | default dict -}}
{{- if and ($billing.export).schedule (not (($billing.storage).aws).bucket) -}}
{{- include "spaces.refuse" (printf "billing.export.schedule is %q and no bucket is named: expected billing.storage.aws.bucket; `--set billing.storage.aws.bucket=BUCKET`" $billing.export.schedule) -}}
{{- end -}}
{{- end }}
