# Section 6.2: passwords and second factors live in the database only. A dump is sealed before it touches the disk.
{ config, lib, pkgs, ... }:
let
  cfg = config.postern.keycloak;
  inherit (cfg) backup database;
  local = database.host == "localhost" && cfg.deploymentMode != "cluster";
in
{
  config = lib.mkIf (cfg.enable && backup.enable && local) {
    assertions = [
      {
        assertion = backup.recipient != null;
        message = "postern.keycloak.backup.recipient: an age key that may open the dumps (or backup.enable = false)";
      }
    ];
    systemd.tmpfiles.rules = [ "d ${backup.directory} 0700 postgres postgres -" ];
    systemd.services.keycloak-backup = {
      description = "A sealed dump of Keycloak's database";
      after = [ "postgresql.service" ];
      path = [ config.services.postgresql.package pkgs.age pkgs.coreutils pkgs.findutils ];
      serviceConfig = {
        Type = "oneshot";
        User = "postgres";
        UMask = "0077";
        ReadWritePaths = [ backup.directory ];
        ProtectSystem = "strict";
        NoNewPrivileges = true;
      };
      script = ''
        set -eu -o pipefail
        file=${backup.directory}/keycloak-$(date -u +%Y-%m-%dT%H%M%SZ).dump.age
        trap 'rm -f "$file.part"' EXIT
        pg_dump --format=custom ${lib.escapeShellArg database.name} | age --recipient ${lib.escapeShellArg (toString backup.recipient)} --output "$file.part"
        mv "$file.part" "$file"
        find ${backup.directory} -name 'keycloak-*.dump.age' -mtime +${toString backup.keepDays} -delete
      '';
    };
    systemd.timers.keycloak-backup = {
      wantedBy = [ "timers.target" ];
      timerConfig = { OnCalendar = "02:30"; RandomizedDelaySec = "30min"; Persistent = true; };
    };
  };
}
