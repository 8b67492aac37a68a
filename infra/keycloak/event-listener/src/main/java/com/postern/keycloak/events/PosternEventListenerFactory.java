package com.postern.keycloak.events;

import java.net.URI;
import java.nio.file.Path;

import org.jboss.logging.Logger;
import org.keycloak.Config;
import org.keycloak.events.EventListenerProvider;
import org.keycloak.events.EventListenerProviderFactory;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.KeycloakSessionFactory;

/**
 * The listener {@code postern-events}. Settings of the server ({@code spi-events-listener--postern-events--NAME}): {@code url}
 * (audit-sink's push route), {@code certificate-file}, {@code key-file}, {@code ca-file} (PEM; the key is PKCS 8). Without a
 * URL the listener does nothing, and says so once.
 */
public final class PosternEventListenerFactory implements EventListenerProviderFactory {
  /** The name by which realms ask for it. */
  public static final String ID = "postern-events";

  private static final Logger LOG = Logger.getLogger(PosternEventListenerFactory.class);
  private EventPusher pusher;

  @Override
  public void init(Config.Scope config) {
    String url = config.get("url");
    if (url == null || url.isBlank()) {
      LOG.warn("postern-events: no url is set, events are left to polling");
      return;
    }
    ClientIdentity identity =
        new ClientIdentity(
            Path.of(required(config, "certificate-file")),
            Path.of(required(config, "key-file")),
            Path.of(required(config, "ca-file")));
    pusher = new EventPusher(URI.create(url), identity, LOG::warn);
    pusher.start();
  }

  private static String required(Config.Scope config, String name) {
    String value = config.get(name);
    if (value == null || value.isBlank()) {
      throw new IllegalStateException("postern-events: " + name + " is not set");
    }
    return value;
  }

  @Override
  public EventListenerProvider create(KeycloakSession session) {
    return new PosternEventListener(session, pusher);
  }

  @Override
  public void postInit(KeycloakSessionFactory factory) {}

  @Override
  public void close() {
    if (pusher != null) {
      pusher.close();
    }
  }

  @Override
  public String getId() {
    return ID;
  }
}
