# One machine: application, Keycloak and its PostgreSQL. `postern generate nix --out generated`, then `nixos-rebuild switch --flake .#myapp`.
{
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    agenix.url = "github:ryantm/agenix";
    postern.url = "git+https://git.myapp.example/postern?dir=infra/keycloak/nix";
  };
  outputs = { nixpkgs, agenix, postern, ... }: {
    nixosConfigurations.myapp = nixpkgs.lib.nixosSystem {
      system = "x86_64-linux";
      modules = [
        agenix.nixosModules.default
        postern.nixosModules.default
        ./generated/keycloak.nix
        ./generated/secrets.nix
        {
          postern.keycloak.backup.recipient = "age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq";
        }
      ];
    };
  };
}
