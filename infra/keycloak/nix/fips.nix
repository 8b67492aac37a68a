# FIPS 140-3 (section 1.1): Keycloak in strict mode, where it takes its cryptography from the BouncyCastle FIPS jars alone.
{ config, lib, pkgs, ... }:
let
  cfg = config.postern.keycloak;
  jar = artifactId: version: hash:
    "${pkgs.fetchMavenArtifact { groupId = "org.bouncycastle"; inherit artifactId version hash; }}/share/java/${artifactId}-${version}.jar";
in
{
  config = lib.mkIf (cfg.enable && cfg.fipsMode) {
    assertions = [
      {
        # Keycloak reads its keys and stores through BouncyCastle's classes; AWS-LC would need a build of the JVM that nixpkgs has not.
        assertion = cfg.security.provider == "bouncycastle-fips";
        message = "postern.keycloak.security.provider: only bouncycastle-fips can be built";
      }
    ];
    # The kernel's own tests and DRBG.
    boot.kernelParams = [ "fips=1" ];
    services.keycloak = {
      settings = {
        features = "fips";
        fips-mode = "strict";
        https-protocols = "TLSv1.3,TLSv1.2";
        # The approved mode takes no password under 14 characters; shorter ones, which moderate and low allow, are padded.
        spi-password-hashing--pbkdf2-sha512--max-padding-length = 14;
      };
      plugins = map ({ name, version, hash }: jar name version hash) (import ./fips-jars.nix);
    };
    services.nginx.sslCiphers = lib.mkForce "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
    services.postgresql.settings.ssl_ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
  };
}
