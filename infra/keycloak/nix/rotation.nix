# Section 7.1: what is renewed, and when. Certificates and a dynamic database role are the agent's (vault.nix); the rest are commands of `postern`.
{ config, lib, ... }:
let
  cfg = config.postern.keycloak;
  inherit (cfg) rotation;
  recipients = builtins.concatStringsSep " " (map (one: "--recipient ${one}") rotation.recipients);
  withPassword = rotation.databaseUrlFile != null;
  secretClients = builtins.filter (client: client.clientSecretFile != null) (builtins.attrValues cfg.clients);
  renew = what: command: calendar: {
    services."keycloak-rotate-${what}" = {
      description = "New ${what} of Keycloak";
      after = [ "keycloak.service" "network-online.target" ];
      wants = [ "network-online.target" ];
      environment = lib.optionalAttrs (rotation.identityFile != null) { SOPS_AGE_KEY_FILE = rotation.identityFile; };
      serviceConfig = {
        Type = "oneshot";
        WorkingDirectory = rotation.documentDirectory;
        ReadWritePaths = [ rotation.documentDirectory ];
        ProtectSystem = "strict";
        NoNewPrivileges = true;
        UMask = "0077";
      };
      script = command;
    };
    timers."keycloak-rotate-${what}" = {
      wantedBy = [ "timers.target" ];
      timerConfig = { OnCalendar = calendar; RandomizedDelaySec = "1h"; Persistent = true; };
    };
  };
  # A server reads its role when it starts: it is started anew where it has to be, also after a run that found an old one in use.
  databasePassword = ''
    rc=0
    said=$(postern keycloak database rotate-password --when-older-than 90 ${recipients}) || rc=$?
    echo "$said"
    case "$said" in *"start every server anew"*) ${config.systemd.package}/bin/systemctl try-restart keycloak.service ;; esac
    exit $rc
  '';
in
{
  config = lib.mkIf (cfg.enable && rotation.enable && rotation.documentDirectory != null) {
    assertions = [
      {
        assertion = secretClients == [ ] || rotation.recipients != [ ];
        message = "postern.keycloak.rotation.recipients: age keys that may open the new secrets";
      }
      {
        assertion = !withPassword || (cfg.database.usernameFile != null && !cfg.vault.enable);
        message = "postern.keycloak.rotation.databaseUrlFile: needs database.usernameFile, which the Vault agent writes where it is on";
      }
    ];
    # Daily: each command does what is due by the age that it finds, and nothing else; a machine that was off misses nothing.
    systemd = lib.mkMerge (
      [ (renew "keys" "postern keycloak realm rotate-keys --when-older-than 365" "05:10") ]
      ++ lib.optionals (secretClients != [ ]) [
        (renew "secrets" "postern keycloak client rotate-secret --all --when-older-than 90 ${recipients}" "05:20")
      ]
      ++ lib.optionals withPassword [
        (renew "database-password" databasePassword "05:30")
        {
          services.keycloak-rotate-database-password.serviceConfig = {
            EnvironmentFile = rotation.databaseUrlFile;
            ReadWritePaths = map builtins.dirOf (builtins.filter (file: file != null) [ cfg.database.usernameFile cfg.database.passwordFile ]);
          };
        }
      ]
    );
  };
}
