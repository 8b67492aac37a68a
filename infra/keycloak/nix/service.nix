# The server: nixpkgs' own module, with the settings that `postern generate env` writes elsewhere. Its fixed name is `keycloak.service`.
{ config, lib, ... }:
let
  cfg = config.postern.keycloak;
  inherit (cfg) database clustering resources observability;
  cluster = cfg.deploymentMode == "cluster";
  credential = name: "/run/credentials/keycloak.service/${name}";
  beside = certificate:
    let parts = builtins.match "(.*)(\\.[a-z]+)" certificate;
    in if parts == null then "${certificate}-key" else "${builtins.elemAt parts 0}-key${builtins.elemAt parts 1}";
  ssl = lib.optionals database.requireSSL (
    [ "sslmode=verify-full" "sslrootcert=${credential "db-ca.pem"}" ]
    ++ lib.optionals (database.clientCertificateFile != null) [
      "sslcert=${credential "db-client.pem"}"
      "sslkey=${credential "db-client-key.pem"}"
    ]
  );
  query = if ssl == [ ] then "" else "?${builtins.concatStringsSep "&" ssl}";
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = (cfg.deploymentMode == "cluster") == clustering.enable;
        message = "postern.keycloak.clustering.enable belongs to deploymentMode = \"cluster\", and only to it";
      }
      {
        assertion = !(cluster && clustering.discovery == "tcp") || builtins.length clustering.nodes >= 2;
        message = "postern.keycloak.clustering.nodes: discovery by tcp needs at least two";
      }
      {
        assertion = database.requireSSL || builtins.elem database.host [ "localhost" "127.0.0.1" ];
        message = "postern.keycloak.database.requireSSL: a database on another machine is reached by TLS only (SC-8)";
      }
    ];

    services.keycloak = {
      enable = true;
      realmFiles = cfg.realmFiles;
      sslCertificate = cfg.tls.certificateFile;
      sslCertificateKey = cfg.tls.keyFile;
      # Nothing secret in the store: the password of the first start comes from its file.
      initialAdminPassword = null;
      database = {
        type = "postgresql";
        inherit (database) host port name username passwordFile;
        useSSL = database.requireSSL;
        caCert = if database.caFile == null then cfg.tls.caFile else database.caFile;
        createLocally = lib.mkDefault (database.host == "localhost" && !cluster);
      };
      settings = {
        hostname = "https://${cfg.hostname}";
        http-enabled = false;
        # The proxy of this machine is the only way in: it is what says which certificate a client showed (networking.nix).
        https-port = cfg.port;
        http-host = "127.0.0.1";
        proxy-headers = "xforwarded";
        proxy-trusted-addresses = "127.0.0.1";
        truststore-paths = cfg.tls.caFile;
        # verify-full and the client's certificate, where nixpkgs' module has verify-ca and none.
        db-url = lib.mkForce "jdbc:postgresql://${database.host}:${toString database.port}/${database.name}${query}";
        db-pool-max-size = resources.maxConnections;
        db-pool-initial-size = if resources.maxConnections < 10 then resources.maxConnections else 10;
        bootstrap-admin-username = cfg.adminUser.username;
        bootstrap-admin-password._secret = cfg.adminUser.passwordFile;
        cache = if cluster then "ispn" else "local";
        health-enabled = true;
        http-management-scheme = "http";
        metrics-enabled = observability.enable;
        event-metrics-user-enabled = observability.enable;
        log-console-output = "json";
      } // lib.optionalAttrs (database.usernameFile != null) {
        db-username = lib.mkForce { _secret = database.usernameFile; };
      } // lib.optionalAttrs (observability.otlpEndpoint != null) {
        tracing-enabled = true;
        tracing-endpoint = observability.otlpEndpoint;
      } // lib.optionalAttrs cluster {
        cache-stack = if clustering.discovery == "tcp" then "tcp" else "jdbc-ping";
        cache-embedded-mtls-enabled = true;
        spi-cache-embedded--default--sessions-owners = clustering.owners;
        spi-sticky-session-encoder--infinispan--should-attach-route = clustering.stickyRoutes;
      };
    };

    systemd.services.keycloak = {
      environment = {
        # 13.3: a fixed heap, and pauses that a login does not notice.
        JAVA_OPTS_KC_HEAP = "-Xms${resources.heapSize} -Xmx${resources.heapSize}";
        JAVA_OPTS_APPEND = builtins.concatStringsSep " " (
          [ "-XX:MaxGCPauseMillis=200" ]
          ++ lib.optionals (cluster && clustering.discovery == "tcp") [
            "-Djgroups.bind.address=${clustering.jgroupsBindAddr}"
            "-Djgroups.tcpping.initial_hosts=${builtins.concatStringsSep "," (map (node: "${node}[7800]") clustering.nodes)}"
          ]
        );
      };
      serviceConfig.LoadCredential =
        lib.optionals database.requireSSL [ "db-ca.pem:${if database.caFile == null then cfg.tls.caFile else database.caFile}" ]
        ++ lib.optionals (database.clientCertificateFile != null) [
          "db-client.pem:${database.clientCertificateFile}"
          "db-client-key.pem:${if database.clientKeyFile == null then beside database.clientCertificateFile else database.clientKeyFile}"
        ];
    };
  };
}
