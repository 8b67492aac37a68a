# A machine of its own for several applications; certificates and the database role come from OpenBao (`postern generate vault`).
{
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    sops-nix.url = "github:Mic92/sops-nix";
    postern.url = "git+https://git.myorg.example/postern?dir=infra/keycloak/nix";
  };
  outputs = { nixpkgs, sops-nix, postern, ... }: {
    nixosConfigurations.keycloak = nixpkgs.lib.nixosSystem {
      system = "x86_64-linux";
      modules = [
        sops-nix.nixosModules.sops
        postern.nixosModules.default
        ./generated/keycloak.nix
        ./generated/secrets.nix
        {
          postern.keycloak = {
            adminUser.allowedNetworks = [ "10.0.9.0/24" ];
            backup.recipient = "age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq";
            # audit-sink, for the event listener, and OpenBao.
            firewall.egress = [
              { address = "10.0.4.10"; port = 8443; }
              { address = "10.0.4.20"; port = 8200; }
            ];
            vault = {
              enable = true;
              address = "https://openbao.myorg.example:8200";
              roleIdFile = "/etc/openbao/role-id";
              secretIdFile = "/etc/openbao/secret-id";
            };
            rotation.documentDirectory = "/var/lib/postern";
          };
        }
      ];
    };
  };
}
