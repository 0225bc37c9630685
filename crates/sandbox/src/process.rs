//! Processes started here and ended by pid, and the unprivileged user they run as.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A user to run servers as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

impl User {
    /// Nobody to change to where this process is unprivileged already; else the first of
    /// `postgres` and `nobody` in the user database.
    ///
    /// # Errors
    /// Where the process is privileged and neither user exists.
    pub fn unprivileged() -> io::Result<Option<Self>> {
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(None);
        }
        let database = fs::read_to_string("/etc/passwd")?;
        let find = |name: &str| database.lines().find_map(|line| parse_user(line, name));
        find("postgres").or_else(|| find("nobody")).map(Some).ok_or_else(|| {
            io::Error::other("running as root, and there is no `postgres` or `nobody` user")
        })
    }

    /// Gives a path to the user.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn own(user: Option<Self>, path: &Path) -> io::Result<()> {
        match user {
            Some(user) => chown(path, Some(user.uid), Some(user.gid)),
            None => Ok(()),
        }
    }

    /// A command to be run as the user.
    #[must_use]
    pub fn command(user: Option<Self>, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }
}

fn parse_user(line: &str, name: &str) -> Option<User> {
    let mut fields = line.split(':');
    if fields.next()? != name {
        return None;
    }
    let mut numbers = fields.skip(1);
    Some(User { uid: numbers.next()?.parse().ok()?, gid: numbers.next()?.parse().ok()? })
}

/// Ports to look through: below those that the kernel gives to outgoing connections, one of which
/// could take a port between here and its use.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port on loopback that nobody listens on, and none that was given out before by this process.
///
/// # Errors
/// An I/O error where none is free.
pub fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Other processes start elsewhere.
    let first = std::process::id().wrapping_mul(127);
    for _ in 0..count {
        let place = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(place).unwrap_or_default();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::from(io::ErrorKind::AddrInUse))
}

/// A process that is ended when this value is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    signal: &'static str,
}

impl Running {
    /// Starts a command whose end is asked for with `signal` (`INT`, `TERM`…).
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(command: &mut Command, signal: &'static str) -> io::Result<Self> {
        let child = command.stdin(Stdio::null()).spawn()?;
        Ok(Self { child, signal })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process itself, to read its output or wait for it.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal to this process and no other.
    ///
    /// # Errors
    /// Where `kill` cannot be run.
    pub fn signal(&self, signal: &str) -> io::Result<()> {
        Command::new("kill").arg(format!("-{signal}")).arg(self.pid().to_string()).status()?;
        Ok(())
    }

    /// True while the process runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks the process to end, and makes it end where it has not within `patience`.
    pub fn stop(&mut self, patience: Duration) {
        if !self.is_running() {
            return;
        }
        // A failure here is followed by the harder way below.
        let _ = self.signal(self.signal);
        let deadline = Instant::now() + patience;
        while self.is_running() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(5));
    }
}
