# Every option of `postern.keycloak` as { name, type, default }, and those among them that take a value of the wrong type (none may).
let
  lib = import ./lib.nix;
  evaluate = import ./evaluate.nix;
  inherit (evaluate [ ../. ]) options;
  # With the path of a value of each option: an element of a list is at "[]", one of a set at "x".
  walk = path: tree: builtins.concatLists (lib.mapAttrsToList (name: option:
    let
      at = path ++ [ name ];
      element = if builtins.match "list.*" option.type.name == null then "x" else "[]";
    in
    if (option._type or null) != "option" then walk at option
    else [ { path = at; inherit option; } ] ++ lib.optionals (option.type ? of) (walk (at ++ [ element ]) option.type.of)) tree);
  all = walk [ ] options.keycloak;
  inside = path: value:
    if path == [ ] then value
    else
      let rest = inside (builtins.tail path) value;
      in if builtins.head path == "[]" then [ rest ] else { ${builtins.head path} = rest; };
  get = builtins.foldl' (at: name: if name == "[]" then builtins.head at else at.${name});
  accepts = { path, option }:
    let
      wrong = if option.type.set then "text" else { of = "the wrong type"; };
      value = get (evaluate [ ../. { postern.keycloak = inside path wrong; } ]).config.postern.keycloak path;
    in (builtins.tryEval (builtins.deepSeq value true)).success;
  named = builtins.concatStringsSep ".";
in
{
  options = map ({ path, option }: { name = named path; type = option.type.name; }
    // lib.optionalAttrs (option ? default) { inherit (option) default; }) all;
  accepted = map ({ path, ... }: named path) (builtins.filter accepts all);
}
