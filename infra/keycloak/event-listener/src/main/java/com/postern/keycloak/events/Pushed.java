package com.postern.keycloak.events;

import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;

import org.keycloak.events.Event;
import org.keycloak.events.admin.AdminEvent;
import org.keycloak.events.admin.AuthDetails;

/**
 * An event in the words of audit-sink's push route. Only named details are taken: others may hold what somebody typed.
 *
 * @param kind the list of the request that it belongs to: {@code events} or {@code admin_events}
 */
record Pushed(String kind, Map<String, Object> fields) {
  private static final String[][] DETAILS = {
    {"auth_method", "auth_method"},
    {"credential_type", "credential_type"},
    {"grant_type", "grant_type"},
    {"identity_provider", "identity_provider"},
    {"token_id", "token_id"},
    {"scope", "scope"},
  };

  static Pushed of(Event event, String realm) {
    Map<String, Object> fields = new LinkedHashMap<>();
    String type = event.getType().name();
    fields.put("id", event.getId());
    fields.put("timestamp", Instant.ofEpochMilli(event.getTime()).toString());
    fields.put("event_type", type);
    fields.put("realm", realm);
    put(fields, "user_id", event.getUserId());
    Map<String, String> given = event.getDetails() == null ? Map.of() : event.getDetails();
    // A name that the provider does not know may be a password in the wrong field.
    if (event.getUserId() != null) {
      put(fields, "username", given.get("username"));
    }
    put(fields, "ip_address", event.getIpAddress());
    put(fields, "client_id", event.getClientId());
    put(fields, "session_id", event.getSessionId());
    fields.put("success", !type.endsWith("_ERROR"));
    put(fields, "error", event.getError());
    Map<String, Object> details = new LinkedHashMap<>();
    for (String[] pair : DETAILS) {
      put(details, pair[0], given.get(pair[1]));
    }
    fields.put("details", details);
    return new Pushed("events", fields);
  }

  static Pushed of(AdminEvent event, String realm) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("id", event.getId());
    fields.put("timestamp", Instant.ofEpochMilli(event.getTime()).toString());
    fields.put("realm", realm);
    fields.put("operation_type", event.getOperationType().name());
    fields.put("resource_type", event.getResourceTypeAsString());
    put(fields, "resource_path", event.getResourcePath());
    Map<String, Object> by = new LinkedHashMap<>();
    AuthDetails who = event.getAuthDetails();
    if (who != null) {
      put(by, "realm", who.getRealmName());
      put(by, "user_id", who.getUserId());
      put(by, "client_id", who.getClientId());
      put(by, "ip_address", who.getIpAddress());
    }
    fields.put("by", by);
    put(fields, "error", event.getError());
    return new Pushed("admin_events", fields);
  }

  private static void put(Map<String, Object> into, String name, String value) {
    if (value != null && !value.isEmpty()) {
      into.put(name, value);
    }
  }
}
