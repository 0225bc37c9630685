//! The `portcullis` binary: wiring, session driver, approvals, HTTP API and command line.

mod access;
mod api;
mod backup;
mod catalog;
mod checks;
mod cli;
mod config;
mod console;
mod credentials;
mod demo;
mod descriptors;
mod disk;
mod doctor;
mod documents;
mod evidence;
mod export;
mod fleet;
mod freezes;
mod generation;
mod grants;
mod groups;
mod http;
mod judge;
mod labels;
mod lanes;
mod live;
mod login;
mod manifest;
mod metrics;
mod moment;
mod notify;
mod outbound;
mod passkeys;
mod rate;
mod readiness;
mod recordings;
mod rejudge;
mod retention;
mod room;
mod sealing;
mod secrets;
mod services;
mod session;
mod settings;
mod sign_in;
mod trial;
mod vouching;
mod written;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
