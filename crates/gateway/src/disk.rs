//! How much room there is on the disk that the record is on. Beside the life of a request, which looks at one
//! flag here before anything new begins: what room is left below a reserve is for how things end that
//! have begun, so that the journal itself never fails for want of it.

use crate::config::Journal;
use crate::services::stopped;
use rustix::fs::StatVfsMountFlags;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// What stands for a number of bytes that nobody knows.
const UNKNOWN: u64 = u64::MAX;

/// What is left on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes that whoever runs this may still write; none where no further file can be made.
    pub(crate) free: u64,
    /// It can only be read.
    pub(crate) read_only: bool,
}

/// What is left on the disk of a directory. Blocks, as long as the disk does.
///
/// # Errors
/// Where the system does not tell.
pub(crate) fn space(directory: &Path) -> io::Result<Space> {
    let disk = rustix::fs::statvfs(directory)?;
    let no_files = disk.f_favail == 0 && disk.f_files > 0;
    let free = if no_files { 0 } else { disk.f_bavail.saturating_mul(disk.f_frsize) };
    Ok(Space { free, read_only: disk.f_flag.contains(StatVfsMountFlags::RDONLY) })
}

/// How a disk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is room.
    Roomy,
    /// Somebody should make room.
    Low,
    /// Nothing new begins.
    Full,
}

/// From how much room on a disk stands how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thresholds {
    /// Bytes below which somebody should make room.
    pub(crate) low: u64,
    /// Bytes below which nothing new begins.
    pub(crate) reserve: u64,
}

impl Thresholds {
    pub(crate) const fn of(journal: &Journal) -> Self {
        Self {
            low: (journal.disk_low_mib as u64) << 20,
            reserve: (journal.disk_reserve_mib as u64) << 20,
        }
    }

    /// How a disk stands. With a reserve of nothing, nothing is full.
    pub(crate) const fn standing(self, space: Space) -> Standing {
        if self.reserve > 0 && (space.free < self.reserve || space.read_only) {
            Standing::Full
        } else if space.free < self.low {
            Standing::Low
        } else {
            Standing::Roomy
        }
    }
}

/// What tells how much is left.
type Look = dyn Fn() -> io::Result<Space> + Send + Sync;

/// The disk that the record of this gateway is on.
pub(crate) struct Disk {
    directory: PathBuf,
    look: Box<Look>,
    thresholds: Thresholds,
    /// Bytes, as they were last seen.
    free: AtomicU64,
    full: AtomicBool,
    low: AtomicBool,
}

impl Disk {
    /// The disk of a directory, looked at once.
    pub(crate) fn of(directory: &Path, journal: &Journal) -> Self {
        let place = directory.to_owned();
        Self::seen_by(directory, Thresholds::of(journal), move || space(&place))
    }

    /// The same, with another way to look.
    fn seen_by(
        directory: &Path,
        thresholds: Thresholds,
        look: impl Fn() -> io::Result<Space> + Send + Sync + 'static,
    ) -> Self {
        let disk = Self {
            directory: directory.to_owned(),
            look: Box::new(look),
            thresholds,
            free: AtomicU64::new(UNKNOWN),
            full: AtomicBool::new(false),
            low: AtomicBool::new(false),
        };
        disk.look();
        disk
    }

    /// True where nothing new is to begin. A load, for every request.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// True where somebody should make room.
    #[cfg(test)]
    fn is_low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    /// How many bytes were left when it was last looked at; `None` where the system did not tell.
    pub(crate) fn free(&self) -> Option<u64> {
        Some(self.free.load(Ordering::Relaxed)).filter(|free| *free != UNKNOWN)
    }

    pub(crate) const fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// Looks, and says in the log what has changed. What cannot be told is taken for full.
    fn look(&self) {
        let found = (self.look)();
        let standing = match &found {
            Ok(space) => self.thresholds.standing(*space),
            Err(_) if self.thresholds.reserve == 0 => Standing::Low,
            Err(_) => Standing::Full,
        };
        self.free.store(found.as_ref().map_or(UNKNOWN, |space| space.free), Ordering::Relaxed);
        let (full, low) = (standing == Standing::Full, standing != Standing::Roomy);
        let (was_full, was_low) =
            (self.full.swap(full, Ordering::Relaxed), self.low.swap(low, Ordering::Relaxed));
        let (directory, Thresholds { low: mark, reserve }) =
            (self.directory.display(), self.thresholds);
        if full && !was_full {
            let free = found.map_or_else(|error| error.to_string(), |s| (s.free >> 20).to_string());
            error!(%directory, free_mib = free, reserve_mib = reserve >> 20,
                "no room on the disk: nothing new runs until there is");
        } else if was_full && !full {
            info!(%directory, "there is room on the disk again: requests are taken");
        } else if low && !was_low {
            warn!(%directory, low_mib = mark >> 20, "there is little room on the disk");
        }
    }

    /// Keeps looking until the gateway stops.
    pub(crate) async fn keep_looking(self: Arc<Self>, stopping: watch::Receiver<bool>) {
        let mut stop = std::pin::pin!(stopped(stopping));
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let disk = self.clone();
            // A disk that does not answer is looked at once, and not again and again.
            if let Err(error) = tokio::task::spawn_blocking(move || disk.look()).await {
                error!(%error, "how much room there is on the disk cannot be told");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const MIB: u64 = 1 << 20;

    fn thresholds(reserve: u64) -> Thresholds {
        Thresholds { low: 2048 * MIB, reserve: reserve * MIB }
    }

    #[test]
    fn a_disk_is_low_before_it_is_full_and_what_is_not_known_is_full() {
        let told = Arc::new(Mutex::new(Ok(3000 * MIB)));
        let tells = told.clone();
        let look = move || {
            let told = tells.lock().unwrap();
            told.as_ref()
                .map(|free| Space { free: *free, read_only: false })
                .map_err(|()| io::Error::other("gone"))
        };
        let disk = Disk::seen_by(Path::new("/"), thresholds(128), look);
        let check = |free: Result<u64, ()>, is: (bool, bool)| {
            *told.lock().unwrap() = free;
            disk.look();
            assert_eq!((disk.is_low(), disk.is_full()), is, "{free:?}");
            assert_eq!(disk.free(), free.ok());
        };
        check(Ok(3000 * MIB), (false, false));
        check(Ok(2047 * MIB), (true, false));
        check(Ok(128 * MIB), (true, false));
        check(Ok(128 * MIB - 1), (true, true));
        check(Ok(0), (true, true));
        check(Ok(3000 * MIB), (false, false));
        check(Err(()), (true, true));
    }

    #[test]
    fn what_cannot_be_written_is_full_unless_nothing_is_kept_in_reserve() {
        let space = Space { free: u64::MAX - 1, read_only: true };
        assert_eq!(thresholds(128).standing(space), Standing::Full);
        assert_eq!(thresholds(0).standing(Space { free: 0, read_only: false }), Standing::Low);
    }

    #[test]
    fn the_system_tells_how_much_is_left() {
        let found = space(Path::new("/")).unwrap();
        assert!(found.free > 0 && found.free < UNKNOWN, "{found:?}");
        assert!(space(Path::new("/nowhere/at/all")).is_err());
    }
}
