{{/*
(root, service): the operator's table of one service (R1, R4, R14), as JSON. Nobody is believed by a service that has no use
for its tokens. `services.<name>.trust` replaces the whole of it.
*/}}
{{- define "postern.trust" -}}
{{- $root := .root -}}
{{- $own := index $root.Values.services .service -}}
{{- if $own.trust -}}
{{ $own.trust | toPrettyJson }}
{{- else -}}
{{- $provider := $root.Values.identityProvider -}}
{{- $realm := dict "issuer" $provider.issuer "jwksUri" ($provider.jwksUri | default (printf "%s/protocol/openid-connect/certs" $provider.issuer)) "authority" $provider.authority "kinds" (list "provider-access") "algorithms" $provider.algorithms "scopeCeiling" "policy" "tenant" (dict "fixed" $provider.tenant) -}}
{{- $exchanged := include "postern.minted" (dict "root" $root "service" "token-exchange" "kind" "postern-access" "tenant" (dict "claim" "tenant")) | fromJson -}}
{{- $grants := include "postern.minted" (dict "root" $root "service" "auth-manager" "kind" "grant" "tenant" (dict "claim" "tenant")) | fromJson -}}
{{- $accounts := include "postern.minted" (dict "root" $root "service" "key-proxy" "kind" "postern-access" "tenant" (dict "claim" "tenant" "prefix" "kp_")) | fromJson -}}
{{- $revocations := list (include "postern.revoking" (dict "root" $root "service" "token-exchange" "kinds" (list "token" "client" "subject" "tenant" "key")) | fromJson) -}}
{{- $issuers := list $exchanged -}}
{{- if eq .service "token-exchange" -}}
{{- $issuers = list $realm $exchanged -}}
{{- if (index $root.Values.services "auth-manager").enabled -}}{{- $issuers = append $issuers $grants -}}{{- end -}}
{{- if (index $root.Values.services "key-proxy").enabled -}}{{- $issuers = append $issuers $accounts -}}{{- end -}}
{{- end -}}
{{- if eq .service "key-proxy" -}}{{- $issuers = list $exchanged $accounts -}}{{- end -}}
{{- if (index $root.Values.services "auth-manager").enabled -}}
{{- $revocations = append $revocations (include "postern.revoking" (dict "root" $root "service" "auth-manager" "kinds" (list "grant" "session" "token" "key")) | fromJson) -}}
{{- end -}}
{{- if and (has .service (list "token-exchange" "key-proxy")) (index $root.Values.services "key-proxy").enabled -}}
{{- $revocations = append $revocations (include "postern.revoking" (dict "root" $root "service" "key-proxy" "kinds" (list "token" "key")) | fromJson) -}}
{{- end -}}
{{ dict "trustDomain" $root.Values.trustDomain "workloads" (include "postern.workloads" $root | fromJsonArray) "issuers" $issuers "revocations" $revocations | toPrettyJson }}
{{- end -}}
{{- end -}}

{{- define "postern.minted" -}}
{{ dict "issuer" (include "postern.publicUrl" .) "jwksUri" (printf "%s/.well-known/jwks.json" (include "postern.publicUrlInside" .)) "kinds" (list .kind) "algorithms" (list "ES256") "scopeCeiling" "policy" "tenant" .tenant "introspectionUri" (printf "%s/introspect" (include "postern.apiUrl" .)) | toJson }}
{{- end -}}

{{- define "postern.revoking" -}}
{{ dict "issuer" (include "postern.publicUrl" .) "kinds" .kinds "uri" (printf "%s/v1/revocations" (include "postern.peersUrl" .)) "jwksUri" (printf "%s/.well-known/jwks.json" (include "postern.peersUrl" .)) "algorithms" (list "ES256") | toJson }}
{{- end -}}

{{/* The policy's workloads and the services themselves: name and SPIFFE id (R4). */}}
{{- define "postern.workloads" -}}
{{- $root := . -}}
{{- $known := dict -}}
{{- range .Values.policy.workloads -}}{{- $_ := set $known .name .spiffeId -}}{{- end -}}
{{- range splitList " " (include "postern.services" .) -}}
{{- if not (hasKey $known .) -}}{{- $_ := set $known . (include "postern.spiffeId" (dict "root" $root "service" .)) -}}{{- end -}}
{{- end -}}
{{- $list := list -}}
{{- range $name := keys $known | sortAlpha -}}{{- $list = append $list (dict "name" $name "spiffeId" (get $known $name)) -}}{{- end -}}
{{ $list | toJson }}
{{- end -}}
