# Section 8: metrics stay on the machine for a collector that runs there; the journal goes to Loki with the design's labels.
{ config, lib, pkgs, ... }:
let
  cfg = config.postern.keycloak;
  inherit (cfg) observability;
in
{
  config = lib.mkIf (cfg.enable && observability.enable && observability.lokiEndpoint != null) {
    services.alloy.enable = true;
    environment.etc."alloy/keycloak.alloy".text = ''
      loki.source.journal "keycloak" {
        matches    = "_SYSTEMD_UNIT=keycloak.service"
        labels     = { job = "keycloak" }
        forward_to = [loki.process.keycloak.receiver]
      }
      // The listener jboss-logging writes type="LOGIN", realmName="myapp" into the message of each event.
      loki.process "keycloak" {
        stage.json { expressions = { message = "message", level = "level" } }
        stage.regex {
          source     = "message"
          expression = "type=\"(?P<event_type>[A-Z_]+)\".*realmName=\"(?P<realm>[^\"]+)\""
        }
        stage.template {
          source   = "success"
          template = "{{ if hasSuffix \"_ERROR\" .event_type }}false{{ else }}true{{ end }}"
        }
        stage.labels { values = { realm = "", event_type = "", success = "" } }
        forward_to = [loki.write.loki.receiver]
      }
      loki.write "loki" {
        endpoint { url = ${builtins.toJSON "${observability.lokiEndpoint}/loki/api/v1/push"} }
      }
    '';
  };
}
