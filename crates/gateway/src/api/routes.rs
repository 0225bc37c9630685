//! The routes there are, and who may call each. A route below `/api/` and `/auth/` that is not in this
//! table is answered 404 (`front.rs`), so nothing can be served there that it does not say. Also part of the
//! end-to-end suite `api`, which asks each of them as everybody (`docs/reference/api-authorization.md`).

/// Who may call a route. What a caller sees and may do there is narrower still: its own reviews,
/// sessions and credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Whoever reaches the listener.
    Anyone,
    /// Every verified caller, agents too: by bearer token or browser session.
    Verified,
    /// People. Not agents, not workloads, nor who acts for somebody.
    Person,
    /// People of a group that is asked (`Reviewer`).
    Reviewer,
    /// People of `[administration] groups` (`Administrator`).
    Administrator,
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    /// `GET` stands for `HEAD` too.
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) who: Who,
}

const fn route(method: &'static str, path: &'static str, who: Who) -> Route {
    Route { method, path, who }
}

/// All of them.
pub(crate) const ROUTES: &[Route] = &[
    route("GET", "/healthz", Who::Anyone),
    route("GET", "/readyz", Who::Anyone),
    route("GET", "/auth/providers", Who::Anyone),
    route("GET", "/auth/login", Who::Anyone),
    route("GET", "/auth/callback", Who::Anyone),
    route("POST", "/auth/logout", Who::Anyone),
    // Posted by pages of SAML providers.
    route("POST", "/auth/saml/acs", Who::Anyone),
    route("GET", "/auth/saml/finish", Who::Anyone),
    route("POST", "/auth/saml/finish", Who::Anyone),
    route("GET", "/auth/saml/metadata", Who::Anyone),
    route("GET", "/api/v1/openapi.json", Who::Anyone),
    route("GET", "/api/v1/me", Who::Verified),
    route("GET", "/agent.md", Who::Verified),
    route("GET", "/api/v1/manifest", Who::Verified),
    route("GET", "/api/v1/browser-sessions", Who::Person),
    route("DELETE", "/api/v1/browser-sessions/{id}", Who::Person),
    route("GET", "/api/v1/passkeys", Who::Person),
    route("POST", "/api/v1/passkeys", Who::Person),
    route("POST", "/api/v1/passkeys/challenge", Who::Person),
    route("DELETE", "/api/v1/passkeys/{id}", Who::Person),
    route("GET", "/api/v1/reviews", Who::Verified),
    route("GET", "/api/v1/reviews/{id}", Who::Verified),
    route("POST", "/api/v1/reviews/{id}/approve", Who::Reviewer),
    route("POST", "/api/v1/reviews/{id}/reject", Who::Reviewer),
    route("POST", "/api/v1/reviews/{id}/challenge", Who::Reviewer),
    route("GET", "/api/v1/reviews/{id}/context", Who::Verified),
    route("POST", "/api/v1/reviews/{id}/messages", Who::Verified),
    route("GET", "/api/v1/events", Who::Verified),
    route("GET", "/api/v1/patterns", Who::Verified),
    route("POST", "/api/v1/patterns/{id}/revoke", Who::Reviewer),
    route("GET", "/api/v1/notifications", Who::Administrator),
    route("GET", "/api/v1/connections", Who::Person),
    route("GET", "/api/v1/health", Who::Administrator),
    route("POST", "/api/v1/health", Who::Administrator),
    route("GET", "/api/v1/settings", Who::Administrator),
    route("GET", "/api/v1/audit", Who::Administrator),
    route("POST", "/api/v1/audit", Who::Administrator),
    route("GET", "/api/v1/identity", Who::Administrator),
    route("GET", "/api/v1/sessions", Who::Verified),
    route("POST", "/api/v1/sessions/kill", Who::Person),
    route("POST", "/api/v1/sessions/{id}/kill", Who::Person),
    route("GET", "/api/v1/sessions/{id}/watch", Who::Verified),
    route("POST", "/api/v1/sessions/{id}/pause", Who::Administrator),
    route("POST", "/api/v1/sessions/{id}/resume", Who::Administrator),
    route("GET", "/api/v1/recordings", Who::Verified),
    route("GET", "/api/v1/recordings/{id}", Who::Verified),
    route("GET", "/api/v1/recordings/{id}/timeline", Who::Verified),
    route("GET", "/api/v1/recordings/{id}/file", Who::Verified),
    route("GET", "/api/v1/freezes", Who::Verified),
    route("POST", "/api/v1/freezes", Who::Administrator),
    route("DELETE", "/api/v1/freezes/{id}", Who::Administrator),
    route("GET", "/api/v1/grants", Who::Verified),
    route("POST", "/api/v1/grants", Who::Verified),
    route("GET", "/api/v1/grants/{id}", Who::Verified),
    route("POST", "/api/v1/grants/{id}/approve", Who::Reviewer),
    route("POST", "/api/v1/grants/{id}/reject", Who::Reviewer),
    route("POST", "/api/v1/grants/{id}/challenge", Who::Reviewer),
    route("POST", "/api/v1/grants/{id}/end", Who::Verified),
    // Behind those for which there are sessions: they know the catalog it is told by.
    route("POST", "/api/v1/explain", Who::Verified),
    route("GET", "/api/v1/rules", Who::Administrator),
    route("GET", "/api/v1/documents", Who::Administrator),
    route("POST", "/api/v1/documents/plan", Who::Administrator),
    route("POST", "/api/v1/documents/apply", Who::Administrator),
    route("POST", "/api/v1/documents/rejudge", Who::Administrator),
    route("GET", "/api/v1/documents/{id}", Who::Administrator),
    route("GET", "/api/v1/documents/{id}/history", Who::Administrator),
    route("PUT", "/api/v1/documents/{id}", Who::Administrator),
    route("DELETE", "/api/v1/documents/{id}", Who::Administrator),
    // Signed by Slack; 404 where nothing is decided there.
    route("POST", "/api/v1/slack/interactions", Who::Anyone),
    // Its tokens are in its form.
    route("POST", "/api/v1/token", Who::Anyone),
    route("GET", "/api/v1/credentials", Who::Verified),
    route("GET", "/api/v1/credentials/keys", Who::Anyone),
    route("DELETE", "/api/v1/credentials/{id}", Who::Verified),
];
