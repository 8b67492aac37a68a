# The NixOS module `postern.keycloak`: section 3 of the deployment design. Import this folder; `postern generate nix` writes the values.
{ ... }:
{
  imports = [
    ./options.nix
    ./realms/default-realm.nix
    ./service.nix
    ./fips.nix
    ./database.nix
    ./networking.nix
    ./hardening.nix
    ./observability.nix
    ./health.nix
    ./backup.nix
    ./vault.nix
    ./rotation.nix
  ];
}
