{{/* The five, in the order in which they are rendered. */}}
{{- define "postern.services" -}}
token-exchange auth-manager crypto-store key-proxy audit-sink
{{- end -}}

{{/* Services whose tokens others verify, and whose revocations others follow (R14). */}}
{{- define "postern.issuers" -}}
token-exchange auth-manager key-proxy
{{- end -}}

{{/* `token-exchange` -> `token_exchange`: its database and its role there. */}}
{{- define "postern.role" -}}
{{- replace "-" "_" . -}}
{{- end -}}

{{/* (root, service): where others reach its api listener. The certificate holds this name. */}}
{{- define "postern.apiUrl" -}}
https://{{ .service }}.{{ .root.Release.Namespace }}.svc:8443
{{- end -}}

{{/* (root, service): the same listener of an issuer, of replicas that are not ready too. The certificate holds this name. */}}
{{- define "postern.peersUrl" -}}
https://{{ .service }}-peers.{{ .root.Release.Namespace }}.svc:8443
{{- end -}}

{{/* (root, service): its public listener, from inside. */}}
{{- define "postern.publicUrlInside" -}}
https://{{ .service }}.{{ .root.Release.Namespace }}.svc:9443
{{- end -}}

{{/* (root, service): the origin that browsers and others use; `iss` of what an issuer mints. */}}
{{- define "postern.publicUrl" -}}
{{- (index .root.Values.services .service).publicUrl | default (include "postern.publicUrlInside" .) -}}
{{- end -}}

{{- define "postern.spiffeId" -}}
spiffe://{{ .root.Values.trustDomain }}/{{ .service }}
{{- end -}}

{{/* (root, service): what selects all of its pods, whichever half they run. */}}
{{- define "postern.selector" -}}
app.kubernetes.io/name: {{ .service }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{/* (half): what the pods of a Deployment do for others. One that answers and works (`all`) is found where one that only answers was. */}}
{{- define "postern.serves" -}}
{{ if eq .half "worker" }}work{{ else }}api{{ end }}
{{- end -}}

{{/* (root, service, half): what selects the pods of one Deployment. Kubernetes never lets it change: the role is not in it, for a release may turn `together` on. */}}
{{- define "postern.halfSelector" -}}
{{ include "postern.selector" . }}
postern.dev/serves: {{ include "postern.serves" . }}
{{- end -}}

{{- define "postern.labels" -}}
{{ include "postern.selector" . }}
app.kubernetes.io/part-of: postern
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{- define "postern.image" -}}
{{- $digest := get .root.Values.image.digests .service -}}
{{ .root.Values.image.repository }}/{{ .service }}
{{- if $digest }}@{{ $digest }}{{ else }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end -}}

{{/* (root, service): the Secrets with its two certificates. */}}
{{- define "postern.tlsSecret" -}}
{{ .root.Release.Name }}-{{ .service }}-tls
{{- end -}}
{{- define "postern.busTlsSecret" -}}
{{ .root.Release.Name }}-{{ .service }}-bus-tls
{{- end -}}

{{/* (root, service): as JSON, the halves that run apart: the role of each and its settings. */}}
{{- define "postern.halves" -}}
{{- $own := index .root.Values.services .service -}}
{{- if $own.together -}}
{{ dict "all" $own.api | toJson }}
{{- else -}}
{{ dict "api" $own.api "worker" $own.worker | toJson }}
{{- end -}}
{{- end -}}

{{/* (service, half): the name of a Deployment. `worker` alone has a suffix: the api keeps the service's name. */}}
{{- define "postern.deploymentName" -}}
{{ .service }}{{ if eq .half "worker" }}-worker{{ end }}
{{- end -}}

{{/* (root, service, half, autoscaling): as JSON, the query that it is scaled by beside its CPU, and one replica's share of it. */}}
{{- define "postern.scaledBy" -}}
{{- $query := .autoscaling.query -}}
{{- $threshold := .autoscaling.threshold -}}
{{- if and (not $query) (ne .half "worker") -}}
{{- $query = printf "sum(rate(http_server_request_duration_seconds_count{service=%q}[2m]))" .service -}}
{{- $threshold = include "postern.asText" .root.Values.keda.requestsPerSecond -}}
{{- end -}}
{{ dict "query" $query "threshold" $threshold | toJson }}
{{- end -}}

{{/* The name of a Deployment -> that of the metric by which it is scaled, as prometheus-adapter offers it. */}}
{{- define "postern.metricOf" -}}
postern_{{ replace "-" "_" . }}_scaled_by
{{- end -}}

{{/* `72h` or `90m` -> minutes. */}}
{{- define "postern.minutes" -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{ if hasSuffix "h" . }}{{ mul 60 $number }}{{ else }}{{ $number }}{{ end }}
{{- end -}}
