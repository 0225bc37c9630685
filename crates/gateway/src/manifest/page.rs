//! The manifest as a page of Markdown: everything a language model needs to work through the gateway, and
//! nothing else. Names come from tokens and configurations, so they stand in code spans, on one line, with
//! nothing invisible.

use super::connect::conninfo;
use super::{Answer, Becomes, Manifest, Reachable};
use portcullis_core::principal::PrincipalKind;
use portcullis_core::refusal::Retry;
use portcullis_identity::has_invisible;
use portcullis_ledger::visible;
use std::fmt::Write as _;

/// A name or text of others in a code span (CommonMark 6.1): as it is, with everything invisible shown.
/// What would end the span is told by its number.
fn code(text: &str) -> String {
    let text = visible::escape(text).replace('`', "\u{27e8}U+0060\u{27e9}");
    format!("`{text}`")
}

/// A sentence of the policy's or an administrator's in running text: on one line, and no markup.
fn plain(text: &str) -> String {
    let line = visible::escape(text).replace(['\n', '\r'], " ");
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if "\\`*_[]<>#|!&".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The whole page.
pub(super) fn markdown(manifest: &Manifest) -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut page, manifest);
    page
}

fn write(page: &mut String, manifest: &Manifest) -> std::fmt::Result {
    writeln!(page, "# What you may reach through this gateway\n")?;
    writeln!(
        page,
        "Portcullis {} reads every request you send, and lets it run, holds it for people to decide, or \
         refuses it. Values you may not see are masked in the answer. Everything is recorded. This page is \
         about you alone, and true at the moment you read it; the answer to a request always counts more.\n",
        manifest.gateway.version
    )?;
    you(page, manifest)?;
    frozen(page, manifest)?;
    connect(page, manifest)?;
    for connection in &manifest.connections {
        reachable(page, connection)?;
    }
    held(page, manifest)?;
    refused(page)
}

fn you(page: &mut String, manifest: &Manifest) -> std::fmt::Result {
    let you = &manifest.you;
    let kind = match you.kind {
        PrincipalKind::Person => "person",
        PrincipalKind::Agent => "agent",
        PrincipalKind::Workload => "workload",
    };
    writeln!(page, "## You\n")?;
    write!(page, "You are the {kind} {} ({})", code(&you.name), code(&you.subject))?;
    if let Some(person) = &you.acting_for {
        write!(page, ", acting for {}", code(person))?;
    }
    let groups: Vec<String> = you.groups.iter().map(|group| code(group)).collect();
    match groups.is_empty() {
        true => write!(page, ", in no group")?,
        false => write!(page, ", in the groups {}", groups.join(", "))?,
    }
    writeln!(page, ". Your token is good until {:.0}.\n", you.until)
}

fn frozen(page: &mut String, manifest: &Manifest) -> std::fmt::Result {
    match &manifest.frozen {
        None => writeln!(
            page,
            "**Everything is refused to agents now**: it cannot be read what is frozen. Try later.\n"
        ),
        Some(freezes) => {
            freezes.iter().try_for_each(|one| writeln!(page, "**Frozen now**: {}.\n", plain(one)))
        }
    }
}

fn connect(page: &mut String, manifest: &Manifest) -> std::fmt::Result {
    writeln!(page, "## Connect\n")?;
    let Some(first) = manifest.connections.first() else {
        return writeln!(
            page,
            "No connection lets you in. Ask whoever runs the gateway to admit one of your groups; there is \
             no other way.\n"
        );
    };
    let (gateway, you) = (&manifest.gateway, &manifest.you.name);
    let port = gateway.postgres.port();
    let host = match &gateway.host {
        None => "HOST (the machine of this page)",
        Some(host) => host,
    };
    writeln!(
        page,
        "With any PostgreSQL client, over TLS: host {host}, port {}, the connection's name as the database, \
         your own name ({}) as the user, and your token as the password. {}, or whoever is in between gets the \
         token. With psql:\n",
        port,
        code(you),
        match gateway.certificate {
            Some(_) => "The gateway has made its certificate itself: pin it (verify-ca)",
            None => "Check the certificate (verify-full)",
        }
    )?;
    // What cannot be seen is not to be pasted.
    let named = |name: &str| match has_invisible(name) {
        true => "YOUR-NAME-OR-CONNECTION".to_owned(),
        false => name.to_owned(),
    };
    let at = (gateway.host.as_deref().unwrap_or("HOST"), port);
    let sslmode = if gateway.certificate.is_some() { "verify-ca" } else { gateway.sslmode };
    let conninfo = conninfo(at, &named(&first.name), &named(you), sslmode);
    if let Some(pem) = &gateway.certificate {
        writeln!(page, "    cat > portcullis.crt <<'END'")?;
        pem.lines().try_for_each(|line| writeln!(page, "    {line}"))?;
        writeln!(page, "    END\n    export PGSSLROOTCERT=\"$PWD/portcullis.crt\"")?;
    }
    writeln!(page, "    export PGPASSWORD=\"$PORTCULLIS_TOKEN\"\n    psql {conninfo}\n")?;
    writeln!(
        page,
        "`$PORTCULLIS_TOKEN` is the token you have shown to read this page (`portcullis token` prints yours). \
         Tools that keep passwords take a short-lived one for one connection instead: \
         `portcullis credential create --help`. You never get a password of the database itself.\n"
    )
}

fn reachable(page: &mut String, connection: &Reachable) -> std::fmt::Result {
    writeln!(page, "## Connection {}\n", code(&connection.name))?;
    write!(
        page,
        "PostgreSQL, environment {}, database {}",
        code(&connection.environment),
        code(&connection.database)
    )?;
    if let [_, others @ ..] = connection.roles.as_slice()
        && !others.is_empty()
    {
        let others: Vec<String> = others.iter().map(|role| code(role)).collect();
        let first = connection.roles.first().map(|role| code(role)).unwrap_or_default();
        let others = others.join(", ");
        write!(page, ", role {first} (this page is about it; as user name also {others})")?;
    }
    writeln!(page, ".\n")?;
    if let Some(run) = &connection.grant {
        writeln!(
            page,
            "**It takes a grant**: unless you have one, ask for it, wait until people have decided, and log \
             in then. What follows holds once you have it.\n\n    {}\n",
            visible::escape(run)
        )?;
    }
    writeln!(page, "Of tables that no rule names:\n")?;
    answers(page, &connection.answers)?;
    for named in &connection.named {
        writeln!(page, "Of {}, where it differs:\n", code(&named.object))?;
        answers(page, &named.answers)?;
    }
    masked(page, connection)
}

fn answers(page: &mut String, answers: &[Answer]) -> std::fmt::Result {
    for Answer { request, becomes } in answers {
        write!(page, "- **{request}**: ")?;
        match becomes {
            Becomes::Runs { limits } if limits.is_empty() => writeln!(page, "runs.")?,
            Becomes::Runs { limits } => writeln!(page, "runs; at most {}.", limits.join(", "))?,
            Becomes::Held { groups, rule, reason } => {
                let groups: Vec<String> = groups.iter().map(|group| code(group)).collect();
                let (asked, reason) = (groups.join(" and "), plain(reason));
                writeln!(page, "held until {asked} approve it ({}: {reason}).", code(rule))?;
            }
            Becomes::Refused { rule, reason, hint, retry } => {
                write!(page, "refused ({}: {})", code(rule), plain(reason))?;
                if let (Some(hint), true) = (hint, *retry != Retry::Later) {
                    write!(page, "; {}", plain(hint))?;
                }
                writeln!(page, ".")?;
            }
        }
    }
    writeln!(page)
}

fn masked(page: &mut String, connection: &Reachable) -> std::fmt::Result {
    writeln!(page, "Masked for you, as far as it is known beforehand; rules may mask more:\n")?;
    for column in &connection.masked {
        writeln!(page, "- {}: {} ({})", code(&column.column), column.how, code(&column.rule))?;
    }
    if connection.detectors {
        writeln!(
            page,
            "- texts that look like personal data or secrets, in whatever column: a placeholder such as \
             `[masked:email]`"
        )?;
    }
    writeln!(
        page,
        "\nA masked column can be selected, and cannot be used to choose, group or order rows, unless a rule \
         says so. Do not write a masked value back: it would take the place of the real one. Placeholders \
         and pseudonyms are refused there.\n"
    )
}

fn held(page: &mut String, manifest: &Manifest) -> std::fmt::Result {
    let minutes = manifest.review.expires_seconds.div_ceil(60);
    writeln!(page, "## When a request is held\n")?;
    writeln!(
        page,
        "Send it as always and **wait**: your client blocks on it for up to {minutes} minutes, and gets the \
         answer as if nothing had happened once people have approved it. NOTICEs on the way name the review \
         (`rev_…`). Set no shorter timeout, and do not send it again on another connection: to cancel or to \
         disconnect withdraws it.\n"
    )?;
    if !manifest.review.hold_in_transaction {
        writeln!(
            page,
            "Inside a transaction (`BEGIN`) nothing waits: the statement is refused at once, with the id of \
             the review that was filed. Roll back, look at `GET /api/v1/reviews/rev_…` until its `status` \
             is `approved`, and send the transaction again with exactly the same statement. Outside of a \
             transaction it is simpler.\n"
        )?;
    }
    writeln!(
        page,
        "An approval is for exactly that text, with exactly those parameters, once. People see what it does, \
         so send one statement, with a narrow WHERE, and say in a comment nothing you would not say to them.{}\n",
        match manifest.you.kind {
            PrincipalKind::Person if manifest.you.acting_for.is_none() => "",
            _ => " You cannot approve anything, nor can whoever you act for.",
        }
    )
}

fn refused(page: &mut String) -> std::fmt::Result {
    writeln!(page, "## When a request is refused\n")?;
    writeln!(
        page,
        "The error (SQLSTATE 42501 and others) says which rule refused what, why, and whether asking again can \
         help: *never* means another wording will not help either; *after change* comes with a HINT that says \
         what to change; *later* says when. It is the policy that refuses, not whoever you work for. Do not \
         look for a way around it: each attempt is recorded. Where the task cannot be done without, tell \
         whoever you work for, and quote the decision (`dec_…`)."
    )
}
