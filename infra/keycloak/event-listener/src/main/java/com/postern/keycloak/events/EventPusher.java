package com.postern.keycloak.events;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * Sends events in batches from a thread of its own. The queue is bounded and an offer never waits: when audit-sink is slow or
 * away, events beyond it are dropped and counted, and audit-sink's polling brings them later, each once, by its id.
 */
final class EventPusher implements AutoCloseable {
  static final int QUEUED = 10_000;
  /** audit-sink takes no more in one request. */
  static final int BATCH = 200;
  private static final Duration TIMEOUT = Duration.ofSeconds(5);
  private static final long GATHER_MS = 100;
  private static final long PAUSE_MS = 1_000;
  private static final int TRIES = 5;

  private final BlockingQueue<Pushed> queue = new ArrayBlockingQueue<>(QUEUED);
  private final AtomicLong dropped = new AtomicLong();
  private final AtomicLong sent = new AtomicLong();
  private final ObjectMapper json = new ObjectMapper();
  private final URI url;
  private final ClientIdentity identity;
  private final Consumer<String> warn;
  private final Thread thread = new Thread(this::run, "postern-events");
  private volatile boolean open = true;
  private HttpClient client;
  private long clientOf = -1;

  EventPusher(URI url, ClientIdentity identity, Consumer<String> warn) {
    this.url = url;
    this.identity = identity;
    this.warn = warn;
    thread.setDaemon(true);
  }

  void start() {
    thread.start();
  }

  /** Takes an event, or drops it where there is no room. Never waits and never throws. */
  void offer(Pushed event) {
    if (!queue.offer(event) && dropped.incrementAndGet() % QUEUED == 1) {
      warn.accept("postern-events: the queue is full, events are left to polling");
    }
  }

  long droppedSoFar() {
    return dropped.get();
  }

  long sentSoFar() {
    return sent.get();
  }

  private void run() {
    List<Pushed> batch = new ArrayList<>(BATCH);
    while (open || !queue.isEmpty()) {
      try {
        Pushed first = queue.poll(GATHER_MS, TimeUnit.MILLISECONDS);
        if (first == null) {
          continue;
        }
        batch.add(first);
        queue.drainTo(batch, BATCH - 1);
        deliver(batch);
      } catch (InterruptedException stopped) {
        return;
      } catch (RuntimeException unforeseen) {
        warn.accept("postern-events: a batch was left to polling: " + unforeseen.getClass().getSimpleName());
      } finally {
        batch.clear();
      }
    }
  }

  /** A refusal is final (the batch would be refused again); silence and 5xx are tried again a few times. */
  private void deliver(List<Pushed> batch) throws InterruptedException {
    for (int attempt = 1; attempt <= TRIES && open; attempt++) {
      int status = post(batch);
      if (status == 200) {
        sent.addAndGet(batch.size());
        return;
      }
      if (status >= 400 && status < 500 && status != 429) {
        dropped.addAndGet(batch.size());
        warn.accept("postern-events: audit-sink refused a batch with " + status);
        return;
      }
      Thread.sleep(PAUSE_MS * attempt);
    }
    dropped.addAndGet(batch.size());
    warn.accept("postern-events: audit-sink does not answer, a batch is left to polling");
  }

  private int post(List<Pushed> batch) throws InterruptedException {
    try {
      HttpRequest request =
          HttpRequest.newBuilder(url)
              .timeout(TIMEOUT)
              .header("content-type", "application/json")
              .POST(HttpRequest.BodyPublishers.ofByteArray(body(batch)))
              .build();
      return client().send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
    } catch (IOException | GeneralSecurityException away) {
      return 503;
    }
  }

  byte[] body(List<Pushed> batch) throws JsonProcessingException {
    List<Map<String, Object>> events = new ArrayList<>();
    List<Map<String, Object>> adminEvents = new ArrayList<>();
    for (Pushed one : batch) {
      ("events".equals(one.kind()) ? events : adminEvents).add(one.fields());
    }
    return json.writeValueAsBytes(Map.of("events", events, "admin_events", adminEvents));
  }

  /** A new client when the certificate has been renewed: an open one keeps the old. */
  private HttpClient client() throws IOException, GeneralSecurityException {
    long version = identity.version();
    if (client == null || version != clientOf) {
      client =
          HttpClient.newBuilder()
              .version(HttpClient.Version.HTTP_1_1)
              .sslContext(identity.context())
              .connectTimeout(TIMEOUT)
              .followRedirects(HttpClient.Redirect.NEVER)
              .build();
      clientOf = version;
    }
    return client;
  }

  @Override
  public void close() {
    open = false;
    try {
      thread.join(2 * GATHER_MS);
    } catch (InterruptedException stopped) {
      Thread.currentThread().interrupt();
    }
    thread.interrupt();
  }
}
