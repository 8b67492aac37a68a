{{/* (root, service, name, issuerRef, annotations?): one leaf, as R4 wants it. */}}
{{- define "postern.certificate" -}}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: {{ .name }}
  labels: {{- include "postern.labels" . | nindent 4 }}
  {{- with .annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  secretName: {{ .name }}
  commonName: {{ .service }}
  uris: [{{ include "postern.spiffeId" . | quote }}]
  dnsNames:
    - {{ .service }}
    - {{ .service }}.{{ .root.Release.Namespace }}.svc
    - {{ .service }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
  {{- if has .service (splitList " " (include "postern.issuers" .root)) }}
    - {{ .service }}-peers.{{ .root.Release.Namespace }}.svc
  {{- end }}
  {{- if hasPrefix "https://" (index .root.Values.services .service).publicUrl }}
    - {{ (urlParse (index .root.Values.services .service).publicUrl).hostname }}
  {{- end }}
  # R12: the overlap of two leaves is longer than a connection lives and than a token bound to the old one is good.
  duration: {{ .root.Values.certificates.duration }}
  renewBefore: {{ .root.Values.certificates.renewBefore }}
  privateKey: { algorithm: ECDSA, size: 256, rotationPolicy: Always }
  usages: [digital signature, client auth, server auth]
  issuerRef: {{- toYaml .issuerRef | nindent 4 }}
{{- end -}}
