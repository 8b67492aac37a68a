# The host (section 12.2): what a stolen process could do next. Each line can be taken back with mkForce where a machine needs it.
{ config, lib, ... }:
let
  cfg = config.postern.keycloak;
in
{
  config = lib.mkIf cfg.enable {
    systemd.services.keycloak.serviceConfig = {
      NoNewPrivileges = true;
      PrivateTmp = true;
      PrivateDevices = true;
      ProtectSystem = "strict";
      ProtectHome = true;
      ProtectClock = true;
      ProtectControlGroups = true;
      ProtectHostname = true;
      ProtectKernelLogs = true;
      ProtectKernelModules = true;
      ProtectKernelTunables = true;
      ProtectProc = "invisible";
      ProcSubset = "pid";
      RestrictAddressFamilies = [ "AF_INET" "AF_INET6" "AF_UNIX" ];
      RestrictNamespaces = true;
      RestrictRealtime = true;
      RestrictSUIDSGID = true;
      LockPersonality = true;
      RemoveIPC = true;
      CapabilityBoundingSet = "";
      AmbientCapabilities = lib.mkForce "";
      SystemCallArchitectures = "native";
      SystemCallFilter = [ "@system-service" "~@privileged" "~@resources" ];
      UMask = "0077";
      # No MemoryDenyWriteExecute: the JVM compiles.
      LimitNOFILE = 65536;
      Restart = "on-failure";
      RestartSec = 5;
    };

    boot.kernel.sysctl = {
      "kernel.randomize_va_space" = 2;
      "kernel.kptr_restrict" = 2;
      "kernel.dmesg_restrict" = 1;
      "kernel.unprivileged_bpf_disabled" = 1;
      "kernel.yama.ptrace_scope" = 2;
      "net.core.bpf_jit_harden" = 2;
      "net.ipv4.conf.all.rp_filter" = 1;
      "net.ipv4.conf.all.accept_redirects" = 0;
      "net.ipv6.conf.all.accept_redirects" = 0;
      "net.ipv4.conf.all.send_redirects" = 0;
      "net.ipv4.tcp_syncookies" = 1;
      "fs.protected_hardlinks" = 1;
      "fs.protected_symlinks" = 1;
      "fs.suid_dumpable" = 0;
    };
    boot.kernelModules = lib.mkDefault [ ];
    security.apparmor.enable = lib.mkDefault true;
    security.auditd.enable = lib.mkDefault true;
    security.audit = {
      enable = lib.mkDefault true;
      rules = [ "-a exit,always -F arch=b64 -S execve -F uid=keycloak" ];
    };
    services.openssh.settings = {
      PasswordAuthentication = lib.mkDefault false;
      KbdInteractiveAuthentication = lib.mkDefault false;
      PermitRootLogin = lib.mkDefault "no";
      X11Forwarding = lib.mkDefault false;
      MaxAuthTries = lib.mkDefault 3;
    };
    environment.defaultPackages = lib.mkDefault [ ];
  };
}
