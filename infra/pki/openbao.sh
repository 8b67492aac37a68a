#!/bin/sh
# Two authorities in OpenBao (or Vault, with its own command as BAO=vault): `postern` for services and Postgres, `postern-bus` for the bus (R21).
# Each workload has a role that signs for its own name and SPIFFE id and for nothing else (R4), and a policy that lets its holder use that role.
#
#   BAO_ADDR=... BAO_TOKEN=... infra/pki/openbao.sh postern.example.com postern auth-manager=grants.example.com crypto-store ...
#
# trust domain, namespace of the services in the cluster, workloads, each with the further host names that it serves under (`=` and commas
# between them): an issuer's public name, or those of a Postgres. Run again it changes nothing that is as wanted; a workload that is left
# out later keeps its role: `bao delete postern/roles/<workload>` takes it away.
set -eu
[ $# -ge 3 ] || { echo "usage: $0 TRUST-DOMAIN NAMESPACE WORKLOAD[=HOST,HOST]..." >&2; exit 64; }
bao=${BAO:-bao}
domain=$1
namespace=$2
shift 2

for mount in postern postern-bus; do
  if ! "$bao" read -format=json "sys/mounts/$mount" >/dev/null 2>&1; then
    "$bao" secrets enable -path="$mount" -max-lease-ttl=87600h pki >/dev/null
  fi
  # Asked by itself: a run that ended between the two leaves a mount without an authority. What cannot be asked is no answer, and ends the script below.
  if [ "$("$bao" list -format=json "$mount/issuers" 2>/dev/null || true)" = '{}' ]; then
    # The authority's key never leaves the server; put it under an offline root with intermediate/generate where you have one.
    "$bao" write -field=issuer_id "$mount/root/generate/internal" common_name="$mount $domain" key_type=ec key_bits=384 \
      ttl=87600h permitted_dns_domains= max_path_length=0 >/dev/null
    echo "$mount: an authority was made"
  fi
  for named in "$@"; do
    workload=${named%%=*}
    hosts=${named#"$workload"}
    hosts=${hosts#=}
    # 72 h, as the chart asks: a leaf that leaks is worthless in days, and an authority that is away for two is not noticed.
    "$bao" write "$mount/roles/$workload" \
      allowed_domains="$workload,$workload.$namespace.svc,$workload.$namespace.svc.cluster.local,$workload-peers.$namespace.svc${hosts:+,$hosts}" \
      allow_bare_domains=true allow_subdomains=false allow_glob_domains=false allow_localhost=false allow_ip_sans=false \
      allowed_uri_sans="spiffe://$domain/$workload" require_cn=true cn_validations=hostname \
      key_type=ec key_bits=256 key_usage=DigitalSignature server_flag=true client_flag=true \
      max_ttl=72h ttl=72h no_store=true >/dev/null
    printf 'path "%s/sign/%s" { capabilities = ["update"] }\n' "$mount" "$workload" |
      "$bao" policy write "$mount-$workload" - >/dev/null
  done
done
echo "$# workloads may have certificates of $domain"
