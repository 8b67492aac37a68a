package com.postern.keycloak.events;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsParameters;
import com.sun.net.httpserver.HttpsServer;
import java.io.File;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class EventPusherTest {
  @TempDir Path folder;

  private static Pushed event(int number) {
    return new Pushed("events", Map.of("id", "event-" + number));
  }

  /** A self-signed identity in PEM (certificate, key, authority), made by the JDK itself. */
  private ClientIdentity identity() throws Exception {
    Path store = folder.resolve("own.p12");
    Process keytool =
        new ProcessBuilder(
                System.getProperty("java.home") + File.separator + "bin" + File.separator + "keytool",
                "-genkeypair", "-alias", "own", "-keyalg", "EC", "-groupname", "secp256r1", "-dname", "CN=keycloak",
                "-ext", "san=ip:127.0.0.1", "-validity", "1", "-storetype", "PKCS12", "-storepass", "changeit",
                "-keystore", store.toString())
            .redirectErrorStream(true)
            .start();
    keytool.getInputStream().readAllBytes();
    assertEquals(0, keytool.waitFor());
    java.security.KeyStore keys = java.security.KeyStore.getInstance("PKCS12");
    try (var in = Files.newInputStream(store)) {
      keys.load(in, "changeit".toCharArray());
    }
    Path certificate = pem("own.crt", "CERTIFICATE", keys.getCertificate("own").getEncoded());
    Path key = pem("own.key", "PRIVATE KEY", keys.getKey("own", "changeit".toCharArray()).getEncoded());
    return new ClientIdentity(certificate, key, certificate);
  }

  private Path pem(String name, String label, byte[] der) throws Exception {
    String body = java.util.Base64.getMimeEncoder(64, "\n".getBytes()).encodeToString(der);
    return Files.writeString(folder.resolve(name), "-----BEGIN " + label + "-----\n" + body + "\n-----END " + label + "-----\n");
  }

  private static HttpsServer server(SSLContext context, BlockingQueue<byte[]> bodies, int... statuses) throws Exception {
    HttpsServer server = HttpsServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.setHttpsConfigurator(
        new HttpsConfigurator(context) {
          @Override
          public void configure(HttpsParameters parameters) {
            SSLParameters ssl = getSSLContext().getDefaultSSLParameters();
            ssl.setNeedClientAuth(true);
            ssl.setProtocols(new String[] {"TLSv1.3"});
            parameters.setSSLParameters(ssl);
          }
        });
    AtomicInteger answered = new AtomicInteger();
    server.createContext(
        "/",
        exchange -> {
          bodies.add(exchange.getRequestBody().readAllBytes());
          int at = Math.min(answered.getAndIncrement(), statuses.length - 1);
          exchange.sendResponseHeaders(statuses[at], -1);
          exchange.close();
        });
    server.start();
    return server;
  }

  @Test
  void eventsArriveOverMutualTlsInOneBatch() throws Exception {
    ClientIdentity identity = identity();
    BlockingQueue<byte[]> bodies = new LinkedBlockingQueue<>();
    HttpsServer server = server(identity.context(), bodies, 200);
    URI url = URI.create("https://127.0.0.1:" + server.getAddress().getPort() + "/");
    try (EventPusher pusher = new EventPusher(url, identity, line -> {})) {
      for (int i = 0; i < 3; i++) {
        pusher.offer(event(i));
      }
      pusher.offer(new Pushed("admin_events", Map.of("id", "admin-1")));
      pusher.start();
      JsonNode body = new ObjectMapper().readTree(bodies.poll(30, TimeUnit.SECONDS));
      assertEquals(3, body.get("events").size());
      assertEquals("admin-1", body.get("admin_events").get(0).get("id").asText());
    } finally {
      server.stop(0);
    }
  }

  @Test
  void aBatchIsSentAgainWhenTheSinkIsAwayForAMoment() throws Exception {
    ClientIdentity identity = identity();
    BlockingQueue<byte[]> bodies = new LinkedBlockingQueue<>();
    HttpsServer server = server(identity.context(), bodies, 503, 200);
    URI url = URI.create("https://127.0.0.1:" + server.getAddress().getPort() + "/");
    try (EventPusher pusher = new EventPusher(url, identity, line -> {})) {
      pusher.offer(event(1));
      pusher.start();
      byte[] first = bodies.poll(30, TimeUnit.SECONDS);
      byte[] again = bodies.poll(30, TimeUnit.SECONDS);
      assertEquals(new String(first), new String(again));
      assertEquals(0, pusher.droppedSoFar());
    } finally {
      server.stop(0);
    }
  }

  @Test
  void anOfferNeverWaitsAndNeverThrowsAndTheQueueIsBounded() {
    AtomicInteger warnings = new AtomicInteger();
    ClientIdentity nowhere = new ClientIdentity(folder.resolve("a"), folder.resolve("b"), folder.resolve("c"));
    EventPusher stopped = new EventPusher(URI.create("https://127.0.0.1:1/"), nowhere, line -> warnings.incrementAndGet());
    for (int i = 0; i < EventPusher.QUEUED + 500; i++) {
      stopped.offer(event(i));
    }
    assertEquals(500, stopped.droppedSoFar());
    assertEquals(1, warnings.get());
  }

  @Test
  void aRefusedBatchIsGivenUpAtOnce() throws Exception {
    ClientIdentity identity = identity();
    BlockingQueue<byte[]> bodies = new LinkedBlockingQueue<>();
    HttpsServer server = server(identity.context(), bodies, 400);
    BlockingQueue<String> warnings = new LinkedBlockingQueue<>();
    URI url = URI.create("https://127.0.0.1:" + server.getAddress().getPort() + "/");
    try (EventPusher pusher = new EventPusher(url, identity, warnings::add)) {
      pusher.offer(event(1));
      pusher.start();
      assertTrue(warnings.poll(30, TimeUnit.SECONDS).contains("refused a batch with 400"));
      assertEquals(1, pusher.droppedSoFar());
      assertEquals(1, bodies.size());
    } finally {
      server.stop(0);
    }
  }

  @Test
  void aBodyHoldsHostileTextsAsTexts() throws Exception {
    ClientIdentity nowhere = new ClientIdentity(folder, folder, folder);
    EventPusher pusher = new EventPusher(URI.create("https://127.0.0.1:1/"), nowhere, line -> {});
    String hostile = "\"},{\"x\":\"\n\u2028</script>";
    byte[] body = pusher.body(List.of(new Pushed("events", Map.of("username", hostile))));
    assertEquals(hostile, new ObjectMapper().readTree(body).get("events").get(0).get("username").asText());
  }
}
