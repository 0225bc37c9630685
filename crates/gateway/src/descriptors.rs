//! Open files: what the system lets the gateway have, and how many clients that is enough for. At start.
//!
//! A gateway that has no file left cannot begin another file of the journal, and sends nothing from then on:
//! so that many clients at once cannot bring it there, there are never more of them than files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Kept for the gateway itself: journal, store, API and its clients.
const OWN: u64 = 256;
/// Of one client at most: its connection, that to the target, its recording, and what is dialed beside it (a
/// cancel, a look at definitions).
const EACH: u64 = 4;

/// How many clients there may be at once, of those that are wanted. The limit of open files is raised as far as
/// the system lets this process (`getrlimit(2)`: from the soft to the hard limit).
pub(crate) fn for_clients(wanted: u32) -> u32 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    // Nothing known is no limit at all.
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    let most = enough(files);
    if most < wanted {
        warn!(
            open_files = files.unwrap_or(u64::MAX),
            clients = most,
            wanted,
            "limits.connections needs more open files than this process may have: raise `ulimit -Hn` \
             (LimitNOFILE= of systemd); so many clients there may be until then"
        );
    }
    wanted.min(most)
}

/// For how many clients so many open files are enough: for one at least.
fn enough(files: Option<u64>) -> u32 {
    let Some(files) = files else { return u32::MAX };
    u32::try_from(files.saturating_sub(OWN) / EACH).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_take_the_last_file() {
        assert_eq!(enough(None), u32::MAX);
        assert_eq!(enough(Some(1024)), 192);
        assert_eq!(enough(Some(0)), 1);
        assert_eq!(enough(Some(u64::MAX)), u32::MAX);
        assert!(
            for_clients(1) == 1
                && for_clients(u32::MAX) <= enough(getrlimit(Resource::Nofile).current)
        );
    }
}
