# What is weaker than the profile, and what differs from the compiled realm, does not build.
{ config, lib, ... }:
let
  cfg = config.postern.keycloak;
  standard = {
    fedramp-low = import ./fedramp-low.nix;
    fedramp-moderate = import ./fedramp-moderate.nix;
    fedramp-high = import ./fedramp-high.nix;
  }.${cfg.profile};
  given = realm: name: if realm.${name} == null then standard.${name} else realm.${name};
  compiled = builtins.listToAttrs (map (file:
    let realm = builtins.fromJSON (builtins.readFile file);
    in { name = realm.realm; value = realm; }) cfg.realmFiles);

  say = id: name: ok: what: {
    assertion = ok || builtins.elem "${id}.${name}" cfg.waivers;
    message = "postern.keycloak.realms.${id}.${name}: ${what}";
  };
  tell = id: name: ok: {
    assertion = ok;
    message = "postern.keycloak.realms.${id}.${name}: is not what its compiled realm says";
  };
  atMost = id: realm: name:
    say id name (given realm name <= standard.${name}) "${cfg.profile} allows at most ${toString standard.${name}}";
  atLeast = id: realm: name:
    say id name (given realm name >= standard.${name}) "${cfg.profile} asks for at least ${toString standard.${name}}";

  strong = id: realm: [
    (atMost id realm "sessionIdleTimeout")
    (atMost id realm "sessionMaxLifespan")
    (atMost id realm "accessTokenLifespan")
    (atLeast id realm "passwordMinLength")
    (atMost id realm "bruteForceMaxAttempts")
    (atLeast id realm "bruteForceLockoutDuration")
    (say id "bruteForceEnabled" realm.bruteForceEnabled "is off (AC-7)")
    (say id "passwordHistoryCount" (realm.passwordHistoryCount >= 24) "at least 24")
    (say id "passwordRequireDigit" realm.passwordRequireDigit "is off (IA-5(1))")
    (say id "passwordRequireUppercase" realm.passwordRequireUppercase "is off (IA-5(1))")
    (say id "passwordRequireSpecialChar" realm.passwordRequireSpecialChar "is off (IA-5(1))")
    (say id "requireMFA" (given realm "requireMFA" || !standard.requireMFA) "${cfg.profile} asks for it (IA-2(2))")
  ];

  # The options are what a reader of the configuration sees, the file is what Keycloak imports: they say the same.
  same = id: realm:
    let file = compiled.${realm.name};
    in lib.optionals (compiled ? ${realm.name}) [
      (tell id "sessionIdleTimeout" (file.ssoSessionIdleTimeout == 60 * given realm "sessionIdleTimeout"))
      (tell id "sessionMaxLifespan" (file.ssoSessionMaxLifespan == 60 * given realm "sessionMaxLifespan"))
      (tell id "accessTokenLifespan" (file.accessTokenLifespan == 60 * realm.accessTokenLifespan))
      (tell id "bruteForceMaxAttempts" (file.failureFactor == given realm "bruteForceMaxAttempts"))
    ];
in
{
  config = lib.mkIf cfg.enable {
    assertions =
      builtins.concatLists (lib.mapAttrsToList strong cfg.realms)
      ++ builtins.concatLists (lib.mapAttrsToList same cfg.realms)
      ++ lib.mapAttrsToList (id: client: {
        assertion = builtins.hasAttr client.realm cfg.realms;
        message = "postern.keycloak.clients.${id}.realm: there is no realm ${client.realm}";
      }) cfg.clients;
  };
}
