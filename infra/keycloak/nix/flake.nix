{
  description = "postern.keycloak: a Keycloak that keeps a FedRAMP profile, as NixOS modules";
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  outputs = { nixpkgs, ... }: {
    nixosModules.default = ./.;
    checks.x86_64-linux.keycloak = import ./tests/keycloak-test.nix { pkgs = nixpkgs.legacyPackages.x86_64-linux; };
  };
}
