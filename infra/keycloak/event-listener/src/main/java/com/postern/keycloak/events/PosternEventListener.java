package com.postern.keycloak.events;

import org.keycloak.events.Event;
import org.keycloak.events.EventListenerProvider;
import org.keycloak.events.EventListenerTransaction;
import org.keycloak.events.admin.AdminEvent;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;

/**
 * One request's events. They are handed over after its transaction is committed: what is rolled back never happened, and
 * nothing that goes wrong here can reach the login.
 */
final class PosternEventListener implements EventListenerProvider {
  private final KeycloakSession session;
  private final EventPusher pusher;
  private final EventListenerTransaction transaction;

  PosternEventListener(KeycloakSession session, EventPusher pusher) {
    this.session = session;
    this.pusher = pusher;
    this.transaction = new EventListenerTransaction((event, withRepresentation) -> push(event), this::push);
    session.getTransactionManager().enlistAfterCompletion(transaction);
  }

  @Override
  public void onEvent(Event event) {
    transaction.addEvent(event);
  }

  @Override
  public void onEvent(AdminEvent event, boolean includeRepresentation) {
    // What an administrator wrote may hold a password: it is never taken along.
    transaction.addAdminEvent(event, false);
  }

  private void push(Event event) {
    if (pusher != null) {
      pusher.offer(Pushed.of(event, realmName(event.getRealmId(), event.getRealmName())));
    }
  }

  private void push(AdminEvent event) {
    if (pusher != null) {
      pusher.offer(Pushed.of(event, realmName(event.getRealmId(), event.getRealmName())));
    }
  }

  private String realmName(String id, String name) {
    if (name != null) {
      return name;
    }
    RealmModel realm = session.getContext().getRealm();
    return realm != null && realm.getId().equals(id) ? realm.getName() : id;
  }

  @Override
  public void close() {}
}
