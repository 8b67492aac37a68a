# Three servers behind a balancer that passes TLS through, over one PostgreSQL with a standby.
{
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    agenix.url = "github:ryantm/agenix";
    postern.url = "git+https://git.myorg.example/postern?dir=infra/keycloak/nix";
  };
  outputs = { nixpkgs, agenix, postern, ... }:
    let
      node = number: nixpkgs.lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          agenix.nixosModules.default
          postern.nixosModules.default
          ./generated/keycloak.nix
          ./generated/secrets.nix
          {
            networking.hostName = "keycloak-${toString number}";
            postern.keycloak = {
              adminUser.allowedNetworks = [ "10.0.9.0/24" ];
              # PostgreSQL, primary and standby.
              firewall.egress = [
                { address = "10.0.5.10"; port = 5432; }
                { address = "10.0.5.11"; port = 5432; }
              ];
              # A timer on one machine is enough.
              rotation.enable = number == 1;
            };
          }
        ];
      };
    in
    {
      nixosConfigurations = {
        keycloak-1 = node 1;
        keycloak-2 = node 2;
        keycloak-3 = node 3;
      };
    };
}
