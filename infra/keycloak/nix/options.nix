# Every option of section 3.2, with its type and default, and the few that its other sections ask for.
{ lib, ... }:
let
  inherit (lib) mkEnableOption mkOption types;
  option = type: default: description: mkOption { inherit type default description; };
  needed = type: description: mkOption { inherit type description; };
  # Text, not `types.path`: a path literal would put the file behind it, which may be a key, into the store.
  file = types.strMatching "/[A-Za-z0-9._/@+-]+";
  profiles = [ "fedramp-low" "fedramp-moderate" "fedramp-high" ];
in
{
  options.postern.keycloak = {
    enable = mkEnableOption "the Keycloak of a postern.toml";
    profile = option (types.enum profiles) "fedramp-moderate" "FedRAMP baseline; the defaults of every realm follow from it.";
    fipsMode = option types.bool true "FIPS 140-3 cryptography (SC-13).";
    security.provider = option (types.enum [ "bouncycastle-fips" "aws-lc-fips" ]) "bouncycastle-fips" "The validated module.";
    deploymentMode = option (types.enum [ "embedded" "dedicated" "cluster" ]) "dedicated" "Topology (section 2.2).";
    hostname = needed types.str "Public host name.";
    listenAddress = option types.str "0.0.0.0" "Listen address.";
    port = option types.port 8443 "HTTPS port of the server itself.";

    database = {
      host = option types.str "localhost" "PostgreSQL host.";
      port = option types.port 5432 "PostgreSQL port.";
      name = option types.str "keycloak" "Database.";
      username = option types.str "keycloak" "Role.";
      usernameFile = option (types.nullOr file) null "A dynamic role name, written there by the Vault agent.";
      passwordFile = needed file "File that holds the password.";
      requireSSL = option types.bool true "TLS to the database, its certificate verified (SC-8).";
      caFile = option (types.nullOr file) null "Authority of the database's certificate; `tls.caFile` unless given.";
      clientCertificateFile = option (types.nullOr file) null "Client certificate for the database (IA-3).";
      clientKeyFile = option (types.nullOr file) null "Its key; beside the certificate, with -key before the ending, unless given.";
    };

    tls = {
      certificateFile = needed file "Server certificate (PEM).";
      keyFile = needed file "Its key (PEM).";
      caFile = needed file "Authority of client certificates and of the server's own (PEM).";
      enableMTLS = option types.bool true "Ask clients for their certificates.";
    };

    clustering = {
      enable = option types.bool false "Several servers over one database.";
      nodes = option (types.listOf types.str) [ ] "Host names of the servers.";
      jgroupsBindAddr = option types.str "0.0.0.0" "Address for the other servers.";
      discovery = option (types.enum [ "jdbc-ping" "tcp" ]) "jdbc-ping" "How servers find each other.";
      owners = option types.ints.positive 2 "Copies of each session.";
      stickyRoutes = option types.bool true "The balancer keeps a browser at one server.";
    };

    realms = mkOption {
      default = { };
      description = "Realms; what is not given follows from the profile.";
      type = types.attrsOf (types.submodule {
        options = {
          name = needed types.str "Realm name.";
          displayName = needed types.str "Name for people.";
          sessionIdleTimeout = option (types.nullOr types.ints.positive) null "Idle timeout, minutes (AC-11).";
          sessionMaxLifespan = option (types.nullOr types.ints.positive) null "Longest session, minutes (AC-12).";
          accessTokenLifespan = option types.ints.positive 10 "Life of an access token, minutes (FAPI 2.0: at most 10).";
          passwordMinLength = option (types.nullOr types.ints.positive) null "Shortest password (IA-5(1)).";
          passwordRequireUppercase = option types.bool true "An upper-case letter.";
          passwordRequireDigit = option types.bool true "A digit.";
          passwordRequireSpecialChar = option types.bool true "A special character.";
          passwordHistoryCount = option types.ints.unsigned 24 "Earlier passwords that may not come again.";
          bruteForceEnabled = option types.bool true "Lock accounts after failures (AC-7).";
          bruteForceMaxAttempts = option (types.nullOr types.ints.positive) null "Failures before the lock.";
          bruteForceLockoutDuration = option (types.nullOr types.ints.positive) null "Minutes of the lock.";
          requireMFA = option (types.nullOr types.bool) null "A second factor for everybody (IA-2(2)).";
          # SMS is no value: a code by SMS is a restricted authenticator (SP 800-63B), and a compiled realm has none.
          mfaMethods = option (types.listOf (types.enum [ "totp" "webauthn" ])) [ "totp" "webauthn" ] "Second factors.";
        };
      });
    };

    clients = mkOption {
      default = { };
      description = "Clients.";
      type = types.attrsOf (types.submodule {
        options = {
          realm = needed types.str "Its realm.";
          clientId = needed types.str "OAuth client id.";
          name = option types.str "" "Name for people.";
          type = option (types.enum [ "public" "confidential" "bearer-only" ]) "confidential" "Client type.";
          enableFAPI = option types.bool true "FAPI 2.0.";
          requirePKCE = option types.bool true "PKCE with S256.";
          requirePAR = option types.bool true "Pushed authorization requests (RFC 9126).";
          requireMTLS = option types.bool true "It proves itself by certificate.";
          certificateBoundTokens = option types.bool true "RFC 8705.";
          redirectUris = option (types.listOf types.str) [ ] "Redirect URIs, exactly.";
          webOrigins = option (types.listOf types.str) [ ] "CORS origins.";
          clientSecretFile = option (types.nullOr file) null "File that holds its secret.";
        };
      });
    };

    # Paths into the store: a compiled realm holds references to secrets, no secret.
    realmFiles = option (types.listOf types.path) [ ] "Compiled realms (`postern generate nix` writes them), imported once.";

    waivers = option (types.listOf types.str) [ ] "REALM.OPTION that a written waiver of the document lets be weaker than the profile.";

    adminUser = {
      username = option types.str "admin" "The administrator of the first start.";
      passwordFile = needed file "File that holds the password.";
      allowedNetworks = option (types.listOf types.str) [ ] "Networks that reach the administration (SC-7); none: this machine only.";
    };

    observability = {
      enable = option types.bool true "Events, metrics and traces (AU-2).";
      lokiEndpoint = option (types.nullOr types.str) null "Grafana Loki, for the journal of this machine.";
      otlpEndpoint = option (types.nullOr types.str) null "OpenTelemetry collector.";
      auditEvents = option (types.listOf types.str) [
        "LOGIN" "LOGIN_ERROR" "LOGOUT" "REGISTER" "UPDATE_PASSWORD" "UPDATE_PROFILE"
        "FEDERATED_IDENTITY_LINK" "REMOVE_FEDERATED_IDENTITY"
      ] "Events to record.";
    };

    resources = {
      heapSize = option (types.strMatching "[1-9][0-9]*[mg]") "2g" "Heap of the JVM, fixed (section 13.3).";
      maxConnections = option types.ints.positive 100 "Most connections to the database.";
    };

    firewall.egress = option (types.listOf (types.submodule {
      options = {
        address = needed types.str "Address or network, as 10.0.5.7 or 10.0.5.0/24.";
        port = needed types.port "TCP port.";
      };
    })) [ ] "Where the server may connect to, beside a database on this machine. Everything else is dropped.";

    health = {
      interval = option types.ints.positive 30 "Seconds between checks.";
      timeout = option types.ints.positive 5 "Seconds that an answer may take.";
      retries = option types.ints.positive 3 "Checks in a row that fail before the server is started anew.";
    };

    backup = {
      enable = option types.bool true "A dump of the database each night, encrypted; only where the database is on this machine.";
      recipient = option (types.nullOr (types.strMatching "age1[a-z0-9]+")) null "age key that may open the dumps; needed.";
      directory = option file "/var/backup/keycloak" "Where they are put; copy them elsewhere from there.";
      keepDays = option types.ints.positive 30 "Days that a dump is kept.";
    };

    vault = {
      enable = option types.bool false "Certificates and the database role from Vault or OpenBao, by its agent.";
      address = option types.str "https://127.0.0.1:8200" "The server.";
      roleIdFile = option (types.nullOr file) null "AppRole: the role id; needed.";
      secretIdFile = option (types.nullOr file) null "AppRole: the secret id; needed.";
      altNames = option (types.listOf types.str) [ ] "Further names in the server's certificate.";
    };

    rotation = {
      enable = option types.bool true "Timers for what has to be renewed (section 7.1).";
      documentDirectory = option (types.nullOr file) null "Folder with postern.toml and its sealed secrets; no timer unless given.";
      recipients = option (types.listOf (types.strMatching "age1[a-z0-9]+")) [ ] "age keys that may open new secrets.";
      identityFile = option (types.nullOr file) null "age identity that opens the administrator's password.";
      databaseUrlFile = option (types.nullOr file) null "Environment file with DATABASE_URL, who may alter the database's roles; no new database password unless given.";
    };
  };
}
