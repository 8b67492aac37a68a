# Section 7.2: the agent of Vault or OpenBao writes the database role and the certificates, and tells who reads them. The templates are those of
# `postern generate vault`, which also writes the roles and the policy for the server.
{ config, lib, pkgs, ... }:
let
  cfg = config.postern.keycloak;
  inherit (cfg) vault;
  bundle = "/var/lib/vault-pki/keycloak-bundle.pem";
  names = lib.optionalString (vault.altNames != [ ]) " \"alt_names=${builtins.concatStringsSep "," vault.altNames}\"";
  written = field: path: "{{ .Data.${field} | writeToFile ${builtins.toJSON path} \"\" \"\" \"0400\" }}";
  credential = field: ''{{ with secret "database/creds/keycloak" }}{{ .Data.${field} }}{{ end }}'';
  restart = "${config.systemd.package}/bin/systemctl try-restart keycloak.service";
  reload = "${config.systemd.package}/bin/systemctl try-reload-or-restart nginx.service";
in
{
  config = lib.mkIf (cfg.enable && vault.enable) {
    assertions = [
      {
        assertion = vault.roleIdFile != null && vault.secretIdFile != null;
        message = "postern.keycloak.vault.roleIdFile and secretIdFile: how the agent logs in";
      }
    ];
    systemd.tmpfiles.rules = [ "d /var/lib/vault-pki 0750 root keycloak -" ];
    services.vault-agent.instances.keycloak = {
      enable = true;
      package = lib.mkDefault pkgs.openbao;
      # It writes files that others read, and restarts their services.
      user = "root";
      group = "root";
      settings = {
        vault = [ { inherit (vault) address; } ];
        auto_auth = [
          {
            method = [
              {
                type = "approle";
                config = [
                  {
                    role_id_file_path = vault.roleIdFile;
                    secret_id_file_path = vault.secretIdFile;
                    remove_secret_id_file_after_reading = false;
                  }
                ];
              }
            ];
          }
        ];
        template = [
          {
            # Key, certificate and authority in one file, which the agent reads again when it is started anew; the files apart are for those who read them.
            contents = ''{{ with pkiCert "keycloak-pki/issue/keycloak" "common_name=${cfg.hostname}"${names} "ttl=720h" }}{{ .Data.Key }}{{ .Data.Cert }}{{ .Data.CA }}''
              + "${written "Cert" cfg.tls.certificateFile}${written "Key" cfg.tls.keyFile}${written "CA" cfg.tls.caFile}{{ end }}";
            destination = bundle;
            perms = "0400";
            exec = [ { command = [ "sh" "-c" "${reload}" ]; } ];
          }
        ] ++ lib.optionals (cfg.database.usernameFile != null) [
          { contents = credential "username"; destination = cfg.database.usernameFile; perms = "0400"; }
          {
            contents = credential "password";
            destination = cfg.database.passwordFile;
            perms = "0400";
            exec = [ { command = [ "sh" "-c" "${restart}" ]; } ];
          }
        ];
      };
    };
  };
}
