# In: 443, through nginx. Out: the database and what `firewall.egress` names, for the server's own user (SC-7).
{ config, lib, ... }:
let
  cfg = config.postern.keycloak;
  cluster = cfg.deploymentMode == "cluster";
  remote = !(builtins.elem cfg.database.host [ "localhost" "127.0.0.1" "::1" ]);
  literal = builtins.match "[0-9.]+|[0-9a-f:]+:[0-9a-f:]*" cfg.database.host != null;
  family = address: if builtins.match ".*:.*" address == null then "ip" else "ip6";
  allow = { address, port }: "${family address} daddr ${address} tcp dport ${toString port} accept";
  upstream = "https://127.0.0.1:${toString cfg.port}";
  certificateHeader = "proxy_set_header ssl-client-cert ${if cfg.tls.enableMTLS then "$ssl_client_escaped_cert" else "\"\""};";
  location = more: {
    proxyPass = upstream;
    recommendedProxySettings = true;
    # Whatever a client sends under this name is replaced: the header is what the handshake showed, or empty.
    extraConfig = ''
      ${certificateHeader}
      proxy_ssl_verify on;
      proxy_ssl_name ${cfg.hostname};
      proxy_ssl_server_name on;
      proxy_ssl_trusted_certificate ${cfg.tls.caFile};
      ${more}
    '';
  };
  administrators = builtins.concatStringsSep "\n" (
    map (network: "allow ${network};") ([ "127.0.0.1/32" "::1/128" ] ++ cfg.adminUser.allowedNetworks) ++ [ "deny all;" ]
  );
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = !remote || literal || cfg.firewall.egress != [ ];
        message = "postern.keycloak.firewall.egress: a filter knows no names; give the addresses of ${cfg.database.host}";
      }
    ];

    services.keycloak.settings = {
      https-client-auth = "none";
    } // lib.optionalAttrs cfg.tls.enableMTLS {
      spi-x509cert-lookup--provider = "nginx";
      spi-x509cert-lookup--nginx--ssl-client-cert = "ssl-client-cert";
      spi-x509cert-lookup--nginx--trust-proxy-verification = true;
    };

    services.nginx = {
      enable = true;
      recommendedTlsSettings = true;
      serverTokens = false;
      sslProtocols = if cfg.fipsMode then "TLSv1.3 TLSv1.2" else "TLSv1.3";
      appendHttpConfig = ''
        limit_req_zone $binary_remote_addr zone=postern_login:10m rate=10r/s;
        limit_req_status 429;
      '';
      virtualHosts.${cfg.hostname} = {
        onlySSL = true;
        listen = [ { addr = cfg.listenAddress; port = 443; ssl = true; } ];
        sslCertificate = cfg.tls.certificateFile;
        sslCertificateKey = cfg.tls.keyFile;
        extraConfig = lib.optionalString cfg.tls.enableMTLS ''
          ssl_client_certificate ${cfg.tls.caFile};
          ssl_verify_client optional;
        '';
        # What a browser and a client need, and nothing else of the server.
        locations."/realms/" = location "limit_req zone=postern_login burst=50 nodelay;";
        locations."/resources/" = location "";
        locations."/.well-known/" = location "";
        locations."/admin/" = location administrators;
        locations."/realms/master/" = location administrators;
        locations."/".return = "404";
      };
    };

    networking.firewall = {
      enable = true;
      allowedTCPPorts = [ 443 ];
    };
    networking.nftables = {
      enable = true;
      # The rules are checked where they are built, and there is no such user there.
      preCheckRuleset = "sed 's/skuid != \"keycloak\"/skuid != 65534/' -i ruleset.conf";
      tables = {
        postern-egress = {
          family = "inet";
          content = ''
            chain output {
              type filter hook output priority filter; policy accept;
              meta skuid != "keycloak" accept
              oif "lo" accept
              ct state established,related accept
              ${lib.optionalString (remote && literal) (allow { address = cfg.database.host; inherit (cfg.database) port; })}
              ${builtins.concatStringsSep "\n    " (map allow cfg.firewall.egress)}
              udp dport 53 accept
              tcp dport 53 accept
              ${lib.optionalString cluster "tcp dport { 7800, 57800 } accept"}
              log prefix "postern-egress " counter drop
            }
          '';
        };
      } // lib.optionalAttrs cluster {
        # JGroups, between the servers; it is mutual TLS in itself.
        postern-cluster = {
          family = "inet";
          content = ''
            chain input {
              type filter hook input priority -10; policy accept;
              tcp dport { 7800, 57800 } accept
            }
          '';
        };
      };
    };
    # A user of its own that a filter can name, in place of a dynamic one.
    users.users.keycloak = { isSystemUser = true; group = "keycloak"; };
    users.groups.keycloak = { };
    systemd.services.keycloak.serviceConfig.DynamicUser = lib.mkForce false;
  };
}
