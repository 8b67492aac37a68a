# PostgreSQL on this machine: TLS and the server's own certificate only (IA-3, SC-8), tuned as section 13.3 says.
{ config, lib, ... }:
let
  cfg = config.postern.keycloak;
  inherit (cfg) database;
  local = cfg.enable && database.host == "localhost" && cfg.deploymentMode != "cluster";
  credential = name: "/run/credentials/postgresql.service/${name}";
  dynamic = database.usernameFile != null;
  # A dynamic role is a member of the fixed one, and its name is in no certificate.
  role = if dynamic then "+${database.username}" else database.username;
  certificate =
    if database.clientCertificateFile == null then "" else " clientcert=${if dynamic then "verify-ca" else "verify-full"}";
in
{
  config = lib.mkIf local {
    services.postgresql = {
      enable = true;
      settings = {
        ssl = database.requireSSL;
        ssl_min_protocol_version = "TLSv1.2";
        password_encryption = "scram-sha-256";
        log_connections = true;
        log_disconnections = true;
        max_connections = lib.mkDefault (2 * cfg.resources.maxConnections);
        shared_buffers = lib.mkDefault "2GB";
        effective_cache_size = lib.mkDefault "6GB";
        random_page_cost = lib.mkDefault 1.1;
      } // lib.optionalAttrs database.requireSSL {
        ssl_cert_file = credential "server.pem";
        ssl_key_file = credential "server-key.pem";
        ssl_ca_file = credential "ca.pem";
      };
      # Before nixpkgs' own lines, which let every role in over the loopback: the first that matches decides.
      authentication = ''
        ${if database.requireSSL then "hostssl" else "host"} ${database.name} ${role} 127.0.0.1/32 scram-sha-256${certificate}
        ${if database.requireSSL then "hostssl" else "host"} ${database.name} ${role} ::1/128 scram-sha-256${certificate}
        host ${database.name} all all reject
      '';
    };
    systemd.services.postgresql.serviceConfig.LoadCredential = lib.mkIf database.requireSSL [
      "server.pem:${cfg.tls.certificateFile}"
      "server-key.pem:${cfg.tls.keyFile}"
      "ca.pem:${if database.caFile == null then cfg.tls.caFile else database.caFile}"
    ];
  };
}
