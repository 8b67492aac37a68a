{{/* (root, service, half, settings): the Deployment of one half of a service. */}}
{{- define "postern.deployment" -}}
{{- $values := .root.Values -}}
{{- $own := index $values.services .service -}}
{{- $scaled := and .settings.autoscaling.enabled -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "postern.deploymentName" . }}
  labels:
    {{- include "postern.labels" . | nindent 4 }}
    postern.dev/role: {{ .half }}
spec:
  {{- if not $scaled }}
  replicas: {{ .settings.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    {{- if and $own.data (eq .half "all") (not $scaled) (eq (int .settings.replicas) 1) }}
    # Its claim may be one that a single node mounts (ReadWriteOnce): a pod on another node would wait for it until this one is gone.
    type: Recreate
    {{- else }}
    type: RollingUpdate
    # One more before one less: what a service can answer never falls while it is replaced.
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
    {{- end }}
  selector:
    matchLabels:
      {{- include "postern.halfSelector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "postern.labels" . | nindent 8 }}
        postern.dev/role: {{ .half }}
        postern.dev/workload: {{ .service }}
        postern.dev/serves: {{ include "postern.serves" . }}
        {{- with $own.podLabels }}{{ toYaml . | nindent 8 }}{{- end }}
      annotations:
        # A changed setting or document is a new rollout: services read both once, at their start.
        postern.dev/configuration: {{ printf "%s%s%s" (include "postern.settings" .) (include "postern.trust" .) (toJson (list $values.policy $own.documents)) | sha256sum }}
        prometheus.io/scrape: "true"
        prometheus.io/port: "8081"
        prometheus.io/path: /metrics
    spec:
      serviceAccountName: {{ .service }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      # 5 s until the endpoint is gone everywhere, then the service drains what is in flight.
      terminationGracePeriodSeconds: 45
      {{- include "postern.placement" .root | nindent 6 }}
      securityContext: {{- include "postern.podSecurity" . | nindent 8 }}
      topologySpreadConstraints:
        {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ $key }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "postern.halfSelector" $ | nindent 14 }}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      containers:
        - name: {{ .service }}
          image: {{ include "postern.image" . | quote }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          envFrom:
            - configMapRef: { name: {{ .service }}-settings }
          env:
            - { name: POSTERN_ROLE, value: {{ .half }} }
            {{- if $values.telemetry.otlpEndpoint }}
            - { name: OTEL_SERVICE_NAME, value: {{ .service }} }
            {{- end }}
            {{- range $name, $from := $own.settingsFromSecret }}
            - name: {{ $name }}
              valueFrom: { secretKeyRef: { name: {{ $from.secret }}, key: {{ $from.key }} } }
            {{- end }}
          ports:
            - { name: api, containerPort: 8443 }
            - { name: public, containerPort: 9443 }
            - { name: management, containerPort: 8081 }
          # Liveness touches no dependency. A start listens once it has its root key, and waits as long as KMS, STS or the identity provider
          # are away, which its log says: it is not killed for that, nor kept from its next attempt by ever longer pauses.
          livenessProbe: { httpGet: { path: /health/live, port: management }, periodSeconds: 10, timeoutSeconds: 3 }
          readinessProbe: { httpGet: { path: /health/ready, port: management }, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 }
          startupProbe: { httpGet: { path: /health/live, port: management }, periodSeconds: 2, failureThreshold: 1800 }
          lifecycle:
            # The image has no shell and needs none: `node` is its entry point.
            preStop: { exec: { command: [node, -e, 'setTimeout(() => {}, 5000)'] } }
          securityContext: {{- include "postern.containerSecurity" . | nindent 12 }}
          resources: {{- toYaml .settings.resources | nindent 12 }}
          volumeMounts: {{- include "postern.mounts" . | nindent 12 }}
      volumes: {{- include "postern.volumes" . | nindent 8 }}
{{- end -}}

{{/* Pod Security "restricted", and a root that cannot be written to. 65532 is the image's own user. */}}
{{- define "postern.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "postern.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- define "postern.mounts" -}}
- { name: tmp, mountPath: /tmp }
- { name: tls, mountPath: /run/postern/tls, readOnly: true }
- { name: bus-tls, mountPath: /run/postern/bus-tls, readOnly: true }
- { name: redis, mountPath: /run/postern/redis, readOnly: true }
- { name: documents, mountPath: /run/postern/documents, readOnly: true }
{{- if eq .root.Values.rootKey.kind "aws-kms" }}
- { name: aws-token, mountPath: /run/postern/aws, readOnly: true }
{{- else }}
- { name: root-key, mountPath: /run/postern/root-key, readOnly: true }
{{- end }}
{{- with (index .root.Values.services .service).data }}
- { name: data, mountPath: /data }
{{- end }}
{{- end -}}

{{/* Whole volumes, no subPath: the kubelet then swaps renewed certificates under the running service, which takes them up (R12). */}}
{{- define "postern.volumes" -}}
- { name: tmp, emptyDir: { medium: Memory, sizeLimit: 16Mi } }
- { name: tls, secret: { secretName: {{ include "postern.tlsSecret" . }}, defaultMode: 0440 } }
- { name: bus-tls, secret: { secretName: {{ include "postern.busTlsSecret" . }}, defaultMode: 0440 } }
- name: redis
  secret:
    secretName: {{ .root.Values.redis.passwordsSecret }}
    defaultMode: 0440
    items:
      - { key: {{ .service }}-bus, path: {{ .service }}-bus }
      {{- if has .service (list "crypto-store" "key-proxy") }}
      - { key: {{ .service }}-cache, path: {{ .service }}-cache }
      {{- end }}
- { name: documents, configMap: { name: {{ .service }}-documents } }
{{- if eq .root.Values.rootKey.kind "aws-kms" }}
# The service's own OIDC token, renewed by the kubelet: what STS trades for credentials (no key is stored anywhere).
- name: aws-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: { path: token, audience: {{ .root.Values.rootKey.tokenAudience }}, expirationSeconds: 3600 }
{{- else }}
- { name: root-key, secret: { secretName: {{ .root.Values.rootKey.secret }}, defaultMode: 0440 } }
{{- end }}
{{- with (index .root.Values.services .service).data }}
- { name: data, persistentVolumeClaim: { claimName: {{ .claimName }} } }
{{- end }}
{{- end -}}

{{/* Where a pod may stand and what it may pull: the same for a service and for its migrations. */}}
{{- define "postern.placement" -}}
{{- $values := .Values -}}
{{- $placement := dict -}}
{{- with $values.image.pullSecrets }}{{ $_ := set $placement "imagePullSecrets" . }}{{ end -}}
{{- with $values.priorityClassName }}{{ $_ := set $placement "priorityClassName" . }}{{ end -}}
{{- with $values.nodeSelector }}{{ $_ := set $placement "nodeSelector" . }}{{ end -}}
{{- with $values.tolerations }}{{ $_ := set $placement "tolerations" . }}{{ end -}}
{{ if $placement }}{{ toYaml $placement }}{{ end }}
{{- end -}}
