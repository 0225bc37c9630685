//! The HTTP API as a whole: who may call what, by its own table of routes; whether it answers what its
//! document says; and its lists.

#[path = "../../../../crates/identity/tests/it/provider.rs"]
mod provider;
#[path = "../../../../crates/gateway/src/api/routes.rs"]
#[allow(dead_code, unreachable_pub, reason = "the gateway's own")]
mod routes;

mod fuzz;
mod grid;
mod lists;
mod schema;
mod stage;
