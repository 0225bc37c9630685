//! The `portcullis` binary: wiring, session driver, approvals, HTTP API and command line.

mod api;
mod backup;
mod catalog;
mod cli;
mod config;
mod console;
mod credentials;
mod demo;
mod doctor;
mod freezes;
mod http;
mod judge;
mod labels;
mod lanes;
mod live;
mod login;
mod moment;
mod rate;
mod room;
mod secrets;
mod services;
mod session;
mod sign_in;
mod written;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
