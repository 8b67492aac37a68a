# Section 8.3: the server's own readiness; after so many failures in a row it is started anew.
{ config, lib, pkgs, ... }:
let
  cfg = config.postern.keycloak;
  inherit (cfg) health;
in
{
  config = lib.mkIf cfg.enable {
    systemd.services.keycloak-health = {
      description = "Whether Keycloak is ready";
      after = [ "keycloak.service" ];
      path = [ pkgs.curl config.systemd.package ];
      serviceConfig = {
        Type = "oneshot";
        RuntimeDirectory = "keycloak-health";
        RuntimeDirectoryPreserve = true;
      };
      script = ''
        failures=/run/keycloak-health/failures
        systemctl is-active --quiet keycloak.service || exit 0
        if curl --fail --silent --show-error --output /dev/null --max-time ${toString health.timeout} http://127.0.0.1:9000/health/ready; then
          rm -f "$failures"
          exit 0
        fi
        count=$(( $(cat "$failures" 2>/dev/null || echo 0) + 1 ))
        echo "$count" > "$failures"
        if [ "$count" -ge ${toString health.retries} ]; then
          rm -f "$failures"
          systemctl restart keycloak.service
        fi
        exit 1
      '';
    };
    systemd.timers.keycloak-health = {
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnActiveSec = "5min";
        OnUnitInactiveSec = "${toString health.interval}s";
        AccuracySec = "1s";
      };
    };
    services.keycloak.settings.http-management-port = 9000;
  };
}
