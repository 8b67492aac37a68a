package com.postern.keycloak.events;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.keycloak.events.Event;
import org.keycloak.events.EventType;
import org.keycloak.events.admin.AdminEvent;
import org.keycloak.events.admin.AuthDetails;
import org.keycloak.events.admin.OperationType;

class PushedTest {
  private static Event event(EventType type) {
    Event event = new Event();
    event.setId("4f2e8a5e-0000-4000-8000-000000000001");
    event.setTime(1_768_300_245_000L);
    event.setType(type);
    event.setClientId("myapp-web");
    event.setIpAddress("203.0.113.42");
    event.setDetails(Map.of("username", "alice", "auth_method", "openid-connect", "redirect_uri", "https://x", "code_id", "c"));
    return event;
  }

  @Test
  void aLoginHasTheShapeOfSection8_1() {
    Event event = event(EventType.LOGIN);
    event.setUserId("12345");
    event.setSessionId("a1b2c3d4");
    Map<String, Object> fields = Pushed.of(event, "myapp").fields();
    assertEquals("2026-01-13T10:30:45Z", fields.get("timestamp"));
    assertEquals("LOGIN", fields.get("event_type"));
    assertEquals("alice", fields.get("username"));
    assertEquals(true, fields.get("success"));
    assertEquals(Map.of("auth_method", "openid-connect"), fields.get("details"));
  }

  @Test
  void aNameThatNobodyHasIsNotTaken() {
    Event event = event(EventType.LOGIN_ERROR);
    event.setError("user_not_found");
    Map<String, Object> fields = Pushed.of(event, "myapp").fields();
    assertNull(fields.get("username"));
    assertEquals(false, fields.get("success"));
    assertEquals("user_not_found", fields.get("error"));
  }

  @Test
  void whatAnAdministratorWroteIsNotTaken() {
    AdminEvent event = new AdminEvent();
    event.setId("4f2e8a5e-0000-4000-8000-000000000002");
    event.setTime(1_768_300_245_000L);
    event.setOperationType(OperationType.UPDATE);
    event.setResourceTypeAsString("USER");
    event.setResourcePath("users/12345/reset-password");
    event.setRepresentation("{\"value\":\"hunter2\"}");
    AuthDetails by = new AuthDetails();
    by.setUserId("admin-1");
    event.setAuthDetails(by);
    Pushed pushed = Pushed.of(event, "myapp");
    assertEquals("admin_events", pushed.kind());
    assertEquals(Map.of("user_id", "admin-1"), pushed.fields().get("by"));
    assertFalse(pushed.fields().toString().contains("hunter2"));
  }
}
