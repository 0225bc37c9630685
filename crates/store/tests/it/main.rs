//! The store on both back ends: the same tests for each, and those of what only one of them has.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

/// Tests that each back end has to pass. They are given a [`place::Place`] with nothing in it.
macro_rules! on_both {
    ($($test:ident)+) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test(&crate::place::Place::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                super::$test(&crate::place::Place::postgres()).await;
            })+
        }
    };
}

mod place;

mod assertions;
mod browser;
mod copy;
mod credentials;
mod documents;
mod fleet;
mod freezes;
mod grants;
mod labels;
mod notifications;
mod open;
mod passkeys;
mod reviews;
mod secrets;
mod server;
mod unheard;
