# The part of nixpkgs' `lib` that these modules use, so that they are evaluated and type-checked where there is no nixpkgs.
# Written for this check alone: a machine is built with the real one.
let
  inherit (builtins) all attrValues concatLists concatMap elem isAttrs isBool isInt isList isString mapAttrs match;
  # `set`: its values are lists or sets. `of`: the options of its elements.
  type = name: check: { inherit name check; set = false; merge = path: values: same path values; };
  same = path: values:
    let first = builtins.head values;
    in if all (value: value == first) values then first else throw "${path} is given twice, differently";
  show = path: name: builtins.concatStringsSep "." (path ++ [ name ]);
in
rec {
  mkOption = option: option // { _type = "option"; };
  mkEnableOption = what: mkOption { type = types.bool; default = false; description = "Whether to enable ${what}."; };
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  mkOverride = priority: content: { _type = "override"; inherit priority content; };
  mkForce = mkOverride 50;
  mkDefault = mkOverride 1000;

  optionals = condition: list: if condition then list else [ ];
  optionalString = condition: text: if condition then text else "";
  optionalAttrs = condition: set: if condition then set else { };
  mapAttrsToList = f: set: attrValues (mapAttrs f set);
  escapeShellArg = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] text}'";

  types = rec {
    bool = type "boolean" isBool;
    int = type "integer" isInt;
    ints.positive = type "positive integer" (value: isInt value && value > 0);
    ints.unsigned = type "unsigned integer" (value: isInt value && value >= 0);
    port = type "port" (value: isInt value && value >= 0 && value <= 65535);
    str = type "string" isString;
    strMatching = form: type "string of the form ${form}" (value: isString value && match form value != null);
    path = type "path" (value: builtins.isPath value || (isString value && match "/.*" value != null));
    enum = allowed: type "one of ${builtins.toJSON allowed}" (value: elem value allowed);
    nullOr = inner: inner // { name = "null or ${inner.name}"; check = value: value == null || inner.check value; };
    listOf = inner: {
      name = "list of ${inner.name}";
      set = true;
      check = isList;
      merge = path: values: map (value: checked path inner [ value ]) (concatLists values);
    } // optionalAttrs (inner ? options) { of = inner.options; };
    attrsOf = inner: {
      name = "set of ${inner.name}";
      set = true;
      check = isAttrs;
      merge = path: values:
        mapAttrs (name: given: checked "${path}.${name}" inner given) (builtins.zipAttrsWith (_: given: given) values);
    } // optionalAttrs (inner ? options) { of = inner.options; };
    submodule = { options }: {
      name = "submodule";
      inherit options;
      check = isAttrs;
      merge = path: values: declared [ path ] options values;
    };
  };

  # The values of one option, of its type. Throws naming the path.
  checked = path: type: values:
    if all type.check values then type.merge path values else throw "${path}: is not a ${type.name}";

  # The plain values behind conditions, merges and priorities.
  discharge = value:
    if !(isAttrs value) then [ { priority = 100; inherit value; } ]
    else if (value._type or null) == "if" then (if value.condition then discharge value.content else [ ])
    else if (value._type or null) == "merge" then concatMap discharge value.contents
    else if (value._type or null) == "override" then map (one: one // { inherit (value) priority; }) (discharge value.content)
    else [ { priority = 100; inherit value; } ];
  strongest = values:
    let least = builtins.foldl' (a: b: if b.priority < a then b.priority else a) 100000 values;
    in map (one: one.value) (builtins.filter (one: one.priority == least) values);

  # Conditions and merges moved from a set to its members, so that its names are known before any condition is.
  push = value:
    if (value._type or null) == "if" then map (mapAttrs (_: inner: mkIf value.condition inner)) (push value.content)
    else if (value._type or null) == "merge" then concatMap push value.contents
    else if (value._type or null) == "override" then map (mapAttrs (_: mkOverride value.priority)) (push value.content)
    else [ value ];
  members = definitions: builtins.zipAttrsWith (_: given: given) (concatMap push definitions);

  # A tree of options with what is defined for it: a name that no option has is an error.
  declared = path: options: definitions:
    let
      given = members definitions;
      unknown = builtins.attrNames (removeAttrs given (builtins.attrNames options));
      value = name: option:
        if (option._type or null) != "option" then declared (path ++ [ name ]) option (given.${name} or [ ])
        else
          let values = strongest (concatMap discharge (given.${name} or [ ]));
          in if values != [ ] then checked (show path name) option.type values
          else if option ? default then checked (show path name) option.type [ option.default ]
          else throw "${show path name}: is not given";
    in if unknown != [ ] then throw "${show path (builtins.head unknown)}: there is no such option" else mapAttrs value options;

  # What belongs to NixOS itself: no options are known here, only merged. Lists add up, sets join, anything else must agree.
  free = path: definitions:
    let
      values = strongest (concatMap discharge definitions);
      isSet = value: isAttrs value && !(value ? outPath);
    in
    if all isSet values then
      let
        sets = map (one: one.value) (concatMap discharge definitions);
        named = members definitions;
        present = builtins.filter (name: concatMap discharge named.${name} != [ ]) (builtins.attrNames named);
      in if all isSet sets then
        builtins.listToAttrs (map (name: { inherit name; value = free "${path}.${name}" named.${name}; }) present)
      else throw "${path} is a set and something else"
    else if all isList values then concatLists values
    else if all isString values && builtins.length values > 1 && !(all (value: value == builtins.head values) values)
    then builtins.concatStringsSep "\n" values
    else same path values;
}
