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
mod completions;
mod credential;
mod doctor;
mod documents;
mod evidence;
mod explain;
mod grants;
mod kept;
mod live;
mod notifications;
mod page;
mod pages;
mod passkey;
mod passkeys;
mod policy;
mod recordings;
mod rejudged;
mod retention;
mod review;
mod saml;
mod secret;
mod session;
mod sign_in;
mod upkeep;

pub(crate) use audit::{Verified, verified as verified_record};

use crate::config::Config;
use crate::demo;
use crate::services;
use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
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
    /// What you may reach through the gateway, or why something is said to a request.
    Explain(explain::Explain),
    /// Print your token, or one of the development provider: for scripts, and as a password.
    Token(sign_in::Token),
    /// Short-lived credentials for one connection: ask for one, list them, take one back.
    Credential(credential::Credential),
    /// Decide held requests.
    Review(review::Review),
    /// Ask for access to a connection for a time, and wait until people have decided.
    Request(grants::Request),
    /// Access that people grant for a time: list it, decide on it, end it.
    Grants(grants::Grants),
    /// Change connections and policies of a running gateway: shows a plan, then does it, all or none.
    Apply(documents::Apply),
    /// Run tests of policies, without a gateway.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// The rules in force, of packs too: where each stands, and what it says.
    Rules(pages::Rules),
    /// The connections and policies that are changed while the gateway runs.
    Get(documents::Get),
    /// What became of a connection or policy.
    History(documents::History),
    /// The sessions there are now: who has them, what they do, and their last requests.
    Sessions(live::Sessions),
    /// End sessions, whatever they do: an agent's, a connection's, or one.
    Kill(live::Kill),
    /// Keep a session from sending anything more, for a time.
    Pause(recordings::Pause),
    /// Let a paused session go on.
    Resume(recordings::Resume),
    /// Watch a session as it happens. Whoever watches is recorded.
    Watch(recordings::Watch),
    /// Recorded sessions, asked of the gateway: search, read, download. Whoever reads is recorded.
    Recordings(recordings::Recordings),
    /// Keep agents from writing, or from everything, for a time.
    Freeze(live::Freeze),
    /// Take a freeze back.
    Thaw(live::Thaw),
    /// What is frozen.
    Freezes(live::Freezes),
    /// The connections there are for you, and for administrators how each stands.
    Connections(pages::Connections),
    /// How everything stands that a running gateway needs: as `doctor` does, looked at by the gateway.
    Health(pages::Health),
    /// Who vouches for callers, and who may do what.
    Identity(pages::Identity),
    /// What people were told of what waits for them, and whether it was taken.
    Notifications(notifications::Notifications),
    /// Look at recorded sessions.
    #[command(subcommand)]
    Session(session::Session),
    /// Check the record.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// What SAML providers and the gateway have to know of each other.
    #[command(subcommand)]
    Saml(saml::Saml),
    #[command(flatten)]
    Upkeep(upkeep::Upkeep),
    /// Print what has a shell complete commands and options.
    Completions(completions::Completions),
    /// Show it working: gateway, sample database and development provider in a temporary directory.
    Demo(demo::Options),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read the configuration and everything it names, and say what is wrong.
    Check,
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
    /// Every key that is set or has a default, with its value and the line it is from; no secret.
    Show,
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
        Command::Config(ConfigCommand::Show) => pages::settings(&Config::load(&config)?, json),
        Command::Config(ConfigCommand::Schema) => {
            say!("{}", page::json(&schemars::schema_for!(Config))?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Session(command) => session::run(&command, &Config::load(&config)?, json),
        Command::Audit(command) => audit::run(&command, &Config::load(&config)?, json),
        Command::Policy(policy::Policy::Test(test)) => {
            policy::test(&test, &Config::load(&config)?, json)
        }
        Command::Policy(policy::Policy::Replay(replay)) => {
            runtime()?.block_on(policy::replay(*replay, &Config::of_client(&config)?, json))
        }
        Command::Saml(command) => saml::run(&command, &config, json),
        Command::Upkeep(command) => runtime()?.block_on(upkeep::run(command, &config, json)),
        Command::Completions(command) => completions::run(&command, Arguments::command()),
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
        Command::Explain(command) => runtime.block_on(explain::run(command, config, json)),
        Command::Token(command) => runtime.block_on(sign_in::token(command, config)),
        Command::Credential(command) => runtime.block_on(credential::run(command, config, json)),
        Command::Review(command) => runtime.block_on(review::run(command, config, json)),
        Command::Request(command) => runtime.block_on(grants::request(command, config, json)),
        Command::Grants(command) => runtime.block_on(grants::grants(command, config, json)),
        Command::Apply(command) => runtime.block_on(documents::apply(command, config, json)),
        Command::Get(command) => runtime.block_on(documents::get(command, config, json)),
        Command::History(command) => runtime.block_on(documents::history(command, config, json)),
        Command::Sessions(command) => runtime.block_on(live::sessions(command, config, json)),
        Command::Kill(command) => runtime.block_on(live::kill(command, config, json)),
        Command::Pause(command) => runtime.block_on(recordings::pause(command, config, json)),
        Command::Resume(command) => runtime.block_on(recordings::resume(command, config, json)),
        Command::Watch(command) => runtime.block_on(recordings::watch(command, config, json)),
        Command::Recordings(command) => runtime.block_on(recordings::run(command, config, json)),
        Command::Freeze(command) => runtime.block_on(live::freeze(command, config, json)),
        Command::Thaw(command) => runtime.block_on(live::thaw(command, config, json)),
        Command::Connections(command) => {
            runtime.block_on(pages::connections(command, config, json))
        }
        Command::Rules(command) => runtime.block_on(pages::rules(command, config, json)),
        Command::Health(command) => runtime.block_on(pages::health(command, config, json)),
        Command::Identity(command) => runtime.block_on(pages::identity(command, config, json)),
        Command::Notifications(command) => {
            runtime.block_on(notifications::run(command, config, json))
        }
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
