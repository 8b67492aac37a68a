# Evaluates modules as NixOS would, as far as this goes without nixpkgs: `postern.*` against its options, everything else merged.
modules:
let
  lib = import ./lib.nix;
  # Names in place of packages: nothing is built here.
  pkgs = {
    curl = "curl";
    age = "age";
    coreutils = "coreutils";
    findutils = "findutils";
    openbao = "openbao";
    fetchMavenArtifact = { artifactId, version, hash, ... }: "/nix/store/${artifactId}-${version}";
  };
  collect = module:
    let
      loaded = if builtins.isPath module || builtins.isString module then import module else module;
      value = if builtins.isFunction loaded then loaded { inherit config lib pkgs; } else loaded;
      own = if value ? config || value ? options then value.config or { } else removeAttrs value [ "imports" ];
      from = builtins.concatMap collect (value.imports or [ ]);
    in [ { options = value.options or { }; config = own; } ] ++ from;
  all = builtins.concatMap collect modules;
  options = builtins.foldl' (sum: { options, ... }: sum // options.postern or { }) { } all;
  # What other modules of NixOS would have set.
  nixos = {
    services.postgresql.package = "postgresql";
    systemd.package = "systemd";
  };
  definitions = lib.members (map (module: module.config) all ++ [ nixos ]);
  config = (builtins.mapAttrs lib.free (removeAttrs definitions [ "postern" ])) // {
    postern = lib.declared [ "postern" ] options (definitions.postern or [ ]);
  };
in
{
  inherit config options;
  failed = map (one: one.message) (builtins.filter (one: !one.assertion) (config.assertions or [ ]));
}
