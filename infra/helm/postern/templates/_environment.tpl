{{/* (root, service): what the ConfigMap of a service holds, as a map: settings that are no secret. One of `settings` stands in place of the chart's own. */}}
{{- define "postern.settings" -}}
{{- $all := include "postern.madeSettings" . | fromYaml -}}
{{- range $name, $value := (index .root.Values.services .service).settings }}{{ $_ := set $all $name (include "postern.asText" $value) }}{{ end -}}
{{ toYaml $all }}
{{- end -}}

{{/* A value as it was written: Helm has every number of a file as a float, and would write 1048576 as 1.048576e+06. */}}
{{- define "postern.asText" -}}
{{- if and (kindIs "float64" .) (eq (. | int64 | float64) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/* (root, service): the settings that follow from the values. */}}
{{- define "postern.madeSettings" -}}
{{- $values := .root.Values -}}
{{- $own := index $values.services .service -}}
{{- $role := include "postern.role" .service -}}
POSTERN_ENVIRONMENT: {{ $values.environment | quote }}
POSTERN_PROFILE: {{ $values.profile | quote }}
{{- if kindIs "bool" $values.fips }}
POSTERN_FIPS: {{ $values.fips | quote }}
{{- end }}
{{- if eq $values.environment "development" }}
POSTERN_INTERNAL_NETWORK: "true"
{{- end }}
POSTERN_LOG_LEVEL: {{ $values.logLevel | quote }}
POSTERN_LISTEN_HOST: "0.0.0.0"
POSTERN_MANAGEMENT_HOST: "0.0.0.0"
POSTERN_API_PORT: "8443"
POSTERN_PUBLIC_PORT: "9443"
POSTERN_MANAGEMENT_PORT: "8081"
POSTERN_PUBLIC_URL: {{ include "postern.publicUrl" . | quote }}
POSTERN_TLS_CERT_PATH: /run/postern/tls/tls.crt
POSTERN_TLS_KEY_PATH: /run/postern/tls/tls.key
POSTERN_TLS_CA_PATH: /run/postern/tls/ca.crt
POSTERN_BUS_TLS_CERT_PATH: /run/postern/bus-tls/tls.crt
POSTERN_BUS_TLS_KEY_PATH: /run/postern/bus-tls/tls.key
POSTERN_BUS_TLS_CA_PATH: /run/postern/bus-tls/ca.crt
POSTERN_TRUST_PATH: /run/postern/documents/trust.json
POSTERN_POSTGRES_URL: {{ printf "postgresql://%s@%s:%v/%s" $role $values.postgres.host $values.postgres.port $role | quote }}
POSTERN_POSTGRES_POOL_SIZE: {{ $values.postgres.poolSize | quote }}
POSTERN_BUS_URL: {{ include "postern.redisUrl" (dict "user" .service "redis" $values.redis.bus) | quote }}
POSTERN_BUS_PASSWORD_FILE: /run/postern/redis/{{ .service }}-bus
{{- if has .service (list "crypto-store" "key-proxy") }}
POSTERN_CACHE_URL: {{ include "postern.redisUrl" (dict "user" .service "redis" $values.redis.cache) | quote }}
POSTERN_CACHE_PASSWORD_FILE: /run/postern/redis/{{ .service }}-cache
{{- end }}
{{- if ne .service "audit-sink" }}
POSTERN_AUDIT_SINK_URL: {{ include "postern.apiUrl" (dict "root" .root "service" "audit-sink") | quote }}
{{- end }}
{{- if $values.audit.logKey }}
POSTERN_AUDIT_LOG_KEY: {{ $values.audit.logKey | quote }}
{{- end }}
{{- if has .service (list "token-exchange" "key-proxy") }}
POSTERN_TOKEN_EXCHANGE_URL: {{ include "postern.apiUrl" (dict "root" .root "service" "token-exchange") | quote }}
{{- end }}
{{- if eq .service "token-exchange" }}
POSTERN_POLICY_PATH: /run/postern/documents/policy.json
POSTERN_PROVIDER_ISSUER: {{ $values.identityProvider.issuer | quote }}
{{- if (index $values.services "auth-manager").enabled }}
POSTERN_AUTH_MANAGER_URL: {{ include "postern.apiUrl" (dict "root" .root "service" "auth-manager") | quote }}
{{- end }}
{{- if $values.policy.approvals }}
POSTERN_APPROVALS_CLIENT_ID: token-exchange
{{- end }}
{{- end }}
{{- if eq .service "key-proxy" }}
POSTERN_CRYPTO_STORE_URL: {{ include "postern.apiUrl" (dict "root" .root "service" "crypto-store") | quote }}
{{- end }}
{{- if eq .service "auth-manager" }}
POSTERN_OIDC_ISSUER: {{ $values.identityProvider.issuer | quote }}
{{- end }}
{{- if eq .service "audit-sink" }}
POSTERN_AUDIT_ORIGIN: {{ $values.audit.origin | default (printf "%s/audit" $values.trustDomain) | quote }}
POSTERN_AUDIT_PRODUCERS: {{ include "postern.producers" .root | quote }}
POSTERN_AUDIT_PUBLISH_TO: {{ $values.audit.publishTo | quote }}
{{- end }}
{{- if $own.data }}
# The volume is the service's own: it is not restored with the database (R33).
POSTERN_DESTROYED_KEYS_PATH: /data/destroyed-keys.jsonl
{{- end }}
POSTERN_ROOT_KEY: {{ $values.rootKey.kind | quote }}
{{- if eq $values.rootKey.kind "aws-kms" }}
POSTERN_ROOT_KEY_ARN: {{ required "rootKey.arn: the KMS key that wraps branch keys (or services.<name>.rootKeyArn, one a service)" ($own.rootKeyArn | default $values.rootKey.arn) | quote }}
POSTERN_AWS_ROLE_ARN: {{ required (printf "services.%s.awsRoleArn: the role that this service takes on to reach its root key" .service) $own.awsRoleArn | quote }}
POSTERN_AWS_TOKEN_PATH: /run/postern/aws/token
{{- else }}
POSTERN_ROOT_KEY_PATH: /run/postern/root-key/root-key.json
{{- with $values.rootKey.waiver }}
POSTERN_ROOT_KEY_WAIVER: {{ . | quote }}
{{- end }}
{{- end }}
{{- if $values.telemetry.otlpEndpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ $values.telemetry.otlpEndpoint | quote }}
OTEL_TRACES_SAMPLER: parentbased_traceidratio
OTEL_TRACES_SAMPLER_ARG: {{ $values.telemetry.sampling | quote }}
{{- end }}
{{- with include "postern.nodeOptions" .root }}
NODE_OPTIONS: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* What Node itself is told. A Node without an active FIPS provider says so and ends: a service under FIPS would refuse to start on it anyway. */}}
{{- define "postern.nodeOptions" -}}
{{- $options := list -}}
{{- if include "postern.fips" . -}}{{- $options = append $options "--force-fips" -}}{{- end -}}
{{- if .Values.telemetry.otlpEndpoint -}}{{- $options = append $options "--import=/service/otel.js" -}}{{- end -}}
{{ join " " $options }}
{{- end -}}

{{/* As the services see it: where nothing is said, on in fedramp-high. */}}
{{- define "postern.fips" -}}
{{- $said := .Values.fips -}}
{{- if kindIs "bool" $said -}}{{ if $said }}true{{ end }}{{- else if eq .Values.profile "fedramp-high" -}}true{{- end -}}
{{- end -}}

{{/* Every enabled service writes events, the log's own included. */}}
{{- define "postern.producers" -}}
{{- $producers := list -}}
{{- $root := . -}}
{{- range splitList " " (include "postern.services" .) -}}
{{- if (index $root.Values.services .).enabled -}}{{- $producers = append $producers . -}}{{- end -}}
{{- end -}}
{{ join "," $producers }}
{{- end -}}

{{/* (user, redis): its address; with a master's name, that of its sentinels. */}}
{{- define "postern.redisUrl" -}}
rediss://{{ .user }}@{{ .redis.host }}:{{ .redis.port }}
{{- if .redis.master }}/0?master={{ .redis.master }}{{ with .redis.sentinels }}&sentinels={{ join "," . }}{{ end }}{{ end }}
{{- end -}}
