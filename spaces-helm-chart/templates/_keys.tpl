{{- /*
A key that nobody reads is refused here and not by the schema, which cannot say what was meant. files/keys.json holds
every key there is, and the places of each name (`make reference`).
*/ -}}

{{- /* Refuse, also to `helm lint`, which lets fail pass: there is no template of such a name. */ -}}
{{- define "spaces.refuse" -}}
{{- fail . -}}
{{- include . dict -}}
{{- end }}

{{- define "spaces.refuseUnknownKeys" -}}
{{- $known := .Files.Get "files/keys.json" | fromJson -}}
{{- /* What a parent chart shares is its own affair. */ -}}
{{- $unknown := include "spaces.unknownKeys" (dict "tree" $known.tree "places" $known.places "elsewhere" $known.elsewhere "values" (omit .Values "global") "at" "") -}}
{{- /* Where there is no parent, global is another chart's way to say what nobody would read here. */ -}}
{{- if .Chart.IsRoot -}}
{{- range $key, $_ := .Values.global -}}
{{- if hasKey $known.tree $key }}
{{- $unknown = printf "%s\nglobal.%s: nothing reads it; did you mean %s?" $unknown $key $key }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $unknown | trim -}}
{{- include "spaces.refuse" (printf "%s\n`helm show readme` describes every value" .) -}}
{{- end -}}
{{- end }}

{{- /* A line for each key of "values" that "tree" does not know; "at" is the way to them, empty or with a dot at its end. */ -}}
{{- define "spaces.unknownKeys" -}}
{{- $all := . -}}
{{- range $key, $value := .values -}}
{{- if hasKey $all.tree $key -}}
{{- $inner := get $all.tree $key -}}
{{- if and (kindIs "map" $inner) (kindIs "map" $value) -}}
{{- include "spaces.unknownKeys" (merge (dict "tree" $inner "values" $value "at" (printf "%s%s." $all.at $key)) (omit $all "tree" "values" "at")) -}}
{{- else if and (kindIs "slice" $inner) (kindIs "slice" $value) -}}
{{- range $number, $one := $value -}}
{{- if kindIs "map" $one -}}
{{- include "spaces.unknownKeys" (merge (dict "tree" (first $inner) "values" $one "at" (printf "%s%s[%d]." $all.at $key $number)) (omit $all "tree" "values" "at")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- else if not (hasKey $all.tree "*") }}
{{ $all.at }}{{ $key }}: there is no such value{{ include "spaces.meant" (dict "key" $key "tree" $all.tree "places" $all.places "elsewhere" $all.elsewhere "at" $all.at) }}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* What to write instead: what another chart's name is here; one slip away; the name elsewhere; some slips away. */ -}}
{{- define "spaces.meant" -}}
{{- $near := include "spaces.nearest" (dict "key" .key "names" (keys .tree | sortAlpha)) | fromJson -}}
{{- $places := get .places (lower .key) | default list -}}
{{- if and (eq .at "") (hasKey .elsewhere (lower .key)) -}}
; did you mean {{ get .elsewhere (lower .key) }}?
{{- else if and $near.name (le (int $near.slips) 3) -}}
; did you mean {{ .at }}{{ $near.name }}?
{{- else if and $places (le (len $places) 4) -}}
; did you mean {{ join " or " $places }}?
{{- else if $near.name -}}
; did you mean {{ .at }}{{ $near.name }}?
{{- else -}}
: expected one of {{ keys .tree | sortAlpha | join ", " }}
{{- end -}}
{{- end }}

{{- /*
The name that takes the fewest slips (a letter more, less, other, or two changed about); a name that holds the other
whole counts as one slip and a half, as customAnnotations of annotations. "slips" counts halves.
*/ -}}
{{- define "spaces.nearest" -}}
{{- $wanted := include "spaces.letters" .key -}}
{{- $most := add1 (div (len $wanted) 4) -}}
{{- $best := dict "name" "" "slips" (mul 2 (add1 $most)) -}}
{{- range $name := .names -}}
{{- $letters := include "spaces.letters" $name -}}
{{- $apart := sub (max (len $wanted) (len $letters)) (min (len $wanted) (len $letters)) -}}
{{- $slips := add1 $most -}}
{{- if le $apart $most -}}
{{- $slips = include "spaces.slips" (list $wanted $letters) | int -}}
{{- end -}}
{{- if and (ge (len $wanted) 4) (ge (len $letters) 4) (or (contains $wanted $letters) (contains $letters $wanted)) -}}
{{- $slips = min 1 $slips -}}
{{- $apart = 1 -}}
{{- else -}}
{{- $apart = 0 -}}
{{- end -}}
{{- $slips = add (mul 2 $slips) $apart -}}
{{- if lt (int $slips) (int $best.slips) -}}
{{- $_ := set $best "name" $name -}}
{{- $_ := set $best "slips" $slips -}}
{{- end -}}
{{- end -}}
{{- toJson $best -}}
{{- end }}

{{- /* Case and joints aside: min-available is minAvailable. Cut, for the table below grows with the square. */ -}}
{{- define "spaces.letters" -}}
{{- regexReplaceAll "[^a-z0-9]" (lower .) "" | trunc 40 -}}
{{- end }}

{{- /* How many slips lead from the one word to the other: a table of all beginnings, by "i.j". */ -}}
{{- define "spaces.slips" -}}
{{- $from := first . -}}
{{- $to := last . -}}
{{- $table := dict -}}
{{- range $i := until (add1 (len $from) | int) -}}
{{- range $j := until (add1 (len $to) | int) -}}
{{- $least := max $i $j -}}
{{- /* Beginnings of such different lengths are on no short way. */ -}}
{{- if and (gt $i 0) (gt $j 0) (lt (sub (max $i $j) (min $i $j)) 4) -}}
{{- $same := eq (substr (sub $i 1 | int) $i $from) (substr (sub $j 1 | int) $j $to) -}}
{{- $other := add (get $table (printf "%d.%d" (sub $i 1) (sub $j 1))) (ternary 0 1 $same) -}}
{{- $more := add1 (get $table (printf "%d.%d" $i (sub $j 1))) -}}
{{- $less := add1 (get $table (printf "%d.%d" (sub $i 1) $j)) -}}
{{- $least = min $other $more $less -}}
{{- if and (gt $i 1) (gt $j 1) -}}
{{- $turned := and (eq (substr (sub $i 1 | int) $i $from) (substr (sub $j 2 | int) (sub $j 1 | int) $to)) (eq (substr (sub $i 2 | int) (sub $i 1 | int) $from) (substr (sub $j 1 | int) $j $to)) -}}
{{- if $turned -}}
{{- $least = min $least (add1 (get $table (printf "%d.%d" (sub $i 2) (sub $j 2)))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $_ := set $table (printf "%d.%d" $i $j) $least -}}
{{- end -}}
{{- end -}}
{{- get $table (printf "%d.%d" (len $from) (len $to)) -}}
{{- end }}
