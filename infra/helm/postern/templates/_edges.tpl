{{/*
(root, service): who calls its api listener, as a JSON list of workloads. From the policy document: whoever may ask for its scopes,
and for token-exchange whoever may ask for anything. From the architecture: who follows its revocations (R14), asks the log for
its watermark (R21), or makes a grant's provider exchange (R10).
*/}}
{{- define "postern.callers" -}}
{{- $service := .service -}}
{{- $callers := list -}}
{{- range $workload := .root.Values.policy.workloads -}}
{{- range $workload.asks -}}
{{- if or (eq .audience $service) (eq $service "token-exchange") -}}{{- $callers = append $callers $workload.name -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $all := splitList " " (include "postern.services" .root) -}}
{{- if has $service (list "token-exchange" "auth-manager" "audit-sink") -}}{{- $callers = concat $callers $all -}}{{- end -}}
{{- if eq $service "key-proxy" -}}{{- $callers = append $callers "token-exchange" -}}{{- end -}}
{{ without ($callers | uniq | sortAlpha) $service | toJson }}
{{- end -}}

{{/* (root, workload): its pods, as a NetworkPolicy peer. Where other workloads run is said in `workloads`. */}}
{{- define "postern.peer" -}}
{{- $where := get .root.Values.workloads .workload | default dict -}}
{{- if has .workload (splitList " " (include "postern.services" .root)) -}}
- podSelector: { matchLabels: { app.kubernetes.io/instance: {{ .root.Release.Name }}, postern.dev/workload: {{ .workload }} } }
{{- else -}}
- podSelector: { matchLabels: {{ $where.podLabels | default (dict "postern.dev/workload" .workload) | toJson }} }
  {{- with $where.namespace }}
  namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: {{ . }} } }
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "postern.egressToPostgres" -}}
- ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }]
  to: {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
- ports: [{ port: {{ .Values.postgres.port }}, protocol: TCP }]
  to: {{- toYaml .Values.networkPolicy.postgres | nindent 4 }}
{{- end -}}

{{/* Both Redis, or where sentinels name a master: each sentinel's port, and the one they name it by. */}}
{{- define "postern.redisPorts" -}}
{{- $ports := list -}}
{{- range $redis := list .Values.redis.bus .Values.redis.cache -}}
{{- $ports = append $ports (int $redis.port) -}}
{{- if $redis.master -}}
{{- $ports = append $ports (int $redis.masterPort) -}}
{{- range $redis.sentinels -}}{{- $ports = append $ports (splitList ":" . | last | int) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $ports | uniq }}
- { port: {{ . }}, protocol: TCP }
{{- end }}
{{- end -}}
