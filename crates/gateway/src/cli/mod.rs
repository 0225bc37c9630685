//! The command line.

/// Prints a line. Where nobody reads on (`portcullis … | head`), that is an error to be passed up.
macro_rules! say {
    ($($what:tt)*) => {
        std::io::Write::write_fmt(
            &mut std::io::stdout().lock(),
            format_args!("{}\n", format_args!($($what)*)),
        )?
    };
}

mod access;
mod audit;
mod backup;
mod credential;
mod doctor;
mod kept;
mod live;
mod page;
mod review;
mod secret;
mod session;
mod sign_in;
mod upkeep;

pub(crate) use audit::verified as verified_record;

use crate::config::Config;
use crate::demo;
use crate::services;
use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// The stack of every thread that reads SQL: the grammar recurses on nested statements.
const STACK: usize = portcullis_sql::parse::REQUIRED_STACK;

/// Portcullis: a Layer 7 access gateway for autonomous agents and the people beside them.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 100)]
struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, env = "PORTCULLIS_CONFIG", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Print JSON for machines.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve,
    /// Check or describe the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Sign in with your identity provider, in a browser or with a code.
    Login(sign_in::Login),
    /// Sign out: forget the token that is kept.
    Logout(sign_in::Logout),
    /// Who you are to the gateway.
    Whoami(sign_in::Whoami),
    /// Print your token, or one of the development provider: for scripts, and as a password.
    Token(sign_in::Token),
    /// Short-lived credentials for one connection: ask for one, list them, take one back.
    Credential(credential::Credential),
    /// Decide held requests.
    Review(review::Review),
    /// The sessions there are now: who has them, what they do, and their last requests.
    Sessions(live::Sessions),
    /// End sessions, whatever they do: an agent's, a connection's, or one.
    Kill(live::Kill),
    /// Keep agents from writing, or from everything, for a time.
    Freeze(live::Freeze),
    /// Take a freeze back.
    Thaw(live::Thaw),
    /// What is frozen.
    Freezes(live::Freezes),
    /// Look at recorded sessions.
    #[command(subcommand)]
    Session(session::Session),
    /// Check the record.
    #[command(subcommand)]
    Audit(audit::Audit),
    #[command(flatten)]
    Upkeep(upkeep::Upkeep),
    /// Show it working: gateway, sample database and development provider in a temporary directory.
    Demo(demo::Options),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read the configuration and everything it names, and say what is wrong.
    Check,
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
}

/// Exit codes are stable: 0 done, 1 refused or found wanting, 2 wrong usage or broken input.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        Err(error) if nobody_reads(&error) => ExitCode::from(NOBODY_READS),
        Err(error) => {
            let text =
                page::message("portcullis: ", &format!("{error:#}"), page::width(page::UNCUT));
            eprintln!("{text}");
            ExitCode::from(if error.is::<access::NotDone>() { 1 } else { 2 })
        }
    }
}

/// What a shell reports of a command that was ended by SIGPIPE.
const NOBODY_READS: u8 = 141;

fn nobody_reads(error: &anyhow::Error) -> bool {
    let broken = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    error.downcast_ref::<std::io::Error>().is_some_and(broken)
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { config, json, command } = arguments;
    match command {
        Command::Serve => {
            let config = Config::load(&config)?;
            services::start_logging();
            runtime()?.block_on(services::serve(config))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Config(ConfigCommand::Check) => {
            let loaded = Config::load(&config)?;
            let warnings = services::check(&loaded)?;
            for warning in &warnings {
                eprintln!("{}: warning: {warning}", config.display());
            }
            say!(
                "{}: good ({} connections, {} warnings)",
                config.display(),
                loaded.connections.len(),
                warnings.len()
            );
            Ok(ExitCode::SUCCESS)
        }
        Command::Config(ConfigCommand::Schema) => {
            say!("{}", page::json(&schemars::schema_for!(Config))?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Session(command) => session::run(&command, &Config::load(&config)?, json),
        Command::Audit(command) => audit::run(&command, &Config::load(&config)?, json),
        Command::Upkeep(command) => runtime()?.block_on(upkeep::run(command, &config, json)),
        Command::Demo(options) => demo::run(&options, runtime()?),
        command => ask(command, &Config::of_client(&config)?, json),
    }
}

/// What asks a gateway, which may be elsewhere: there need be no configuration here.
fn ask(command: Command, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    match command {
        Command::Login(command) => runtime.block_on(sign_in::login(command, config, json)),
        Command::Logout(command) => runtime.block_on(sign_in::logout(command, config)),
        Command::Whoami(command) => runtime.block_on(sign_in::whoami(command, config, json)),
        Command::Token(command) => runtime.block_on(sign_in::token(command, config)),
        Command::Credential(command) => runtime.block_on(credential::run(command, config, json)),
        Command::Review(command) => runtime.block_on(review::run(command, config, json)),
        Command::Sessions(command) => runtime.block_on(live::sessions(command, config, json)),
        Command::Kill(command) => runtime.block_on(live::kill(command, config, json)),
        Command::Freeze(command) => runtime.block_on(live::freeze(command, config, json)),
        Command::Thaw(command) => runtime.block_on(live::thaw(command, config, json)),
        Command::Freezes(command) => runtime.block_on(live::freezes(command, config, json)),
        // The others are run where they are chosen.
        _ => Ok(ExitCode::from(2)),
    }
}

pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .thread_name("portcullis")
        .build()
        .context("the runtime cannot be started")
}
