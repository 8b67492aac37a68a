# The machines of an example's flake, each evaluated by this check. Not a flake itself.
folder:
let
  stranger = { nixosModules = { default = { }; sops = { }; }; };
  nixpkgs.lib.nixosSystem = { modules, ... }: import ./evaluate.nix modules;
in
(import (folder + "/flake.nix")).outputs {
  inherit nixpkgs;
  agenix = stranger;
  sops-nix = stranger;
  postern.nixosModules.default = ../.;
}
