# A virtual machine with the module (section 9.1): `nix flake check` in this folder. It needs nixpkgs and KVM.
{ pkgs }:
pkgs.testers.runNixOSTest {
  name = "postern-keycloak";
  nodes.keycloak = { config, pkgs, ... }:
    let
      certificates = pkgs.runCommand "certificates" { nativeBuildInputs = [ pkgs.openssl ]; } ''
        mkdir $out
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=keycloak.test \
          -addext subjectAltName=DNS:keycloak.test,DNS:localhost -keyout $out/key.pem -out $out/cert.pem
      '';
    in
    {
      imports = [ ../. ];
      virtualisation.memorySize = 3072;
      networking.hosts."127.0.0.1" = [ "keycloak.test" ];
      # For this machine only: its passwords and its key are in the store.
      environment.etc."keycloak/password".text = "Correct-Horse-7-Battery!";
      postern.keycloak = {
        enable = true;
        profile = "fedramp-moderate";
        hostname = "keycloak.test";
        fipsMode = false;
        database.passwordFile = "/etc/keycloak/password";
        adminUser.passwordFile = "/etc/keycloak/password";
        tls = {
          certificateFile = "${certificates}/cert.pem";
          keyFile = "${certificates}/key.pem";
          caFile = "${certificates}/cert.pem";
        };
        backup.enable = false;
        resources.heapSize = "1g";
        realms.test = { name = "test"; displayName = "Test"; };
      };
    };
  testScript = ''
    keycloak.start()
    keycloak.wait_for_unit("keycloak.service")
    keycloak.wait_until_succeeds("curl -fs http://127.0.0.1:9000/health/ready")
    discovery = "curl -fsk https://keycloak.test/realms/master/.well-known/openid-configuration"
    keycloak.succeed(discovery + " | grep -q pushed_authorization_request_endpoint")
    keycloak.fail("curl -fsk https://keycloak.test/metrics")
    keycloak.fail("curl -fs http://127.0.0.1:8080/")
    keycloak.succeed("ss -tln | grep -q 127.0.0.1:8443")
    # Egress: the server's user reaches nothing but the machine itself.
    keycloak.fail("runuser -u keycloak -- curl -s --max-time 5 http://192.0.2.1/")
  '';
}
