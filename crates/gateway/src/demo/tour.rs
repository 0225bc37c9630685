//! The tour: a scripted agent with an ordinary `psql`, and a check on every step. It is the
//! shortest end-to-end test there is, and fails where any step does anything else.

use super::stage::Stage;
use anyhow::{Context as _, bail, ensure};
use portcullis_ledger::verify::{VerifyOptions, verify};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Runs all steps; the first that goes wrong ends the tour with its reason.
pub(crate) fn run(stage: &Stage, runtime: &Runtime) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let tour = Tour { stage, runtime, token: runtime.block_on(stage.token("claude"))? };
    let steps: [(&str, Step); 5] = [
        ("An agent reads customers: the sensitive columns come masked", |t| t.masked_read()),
        ("It tries to drop a table: refused, with the reason", |t| t.refused_drop()),
        ("It deletes test orders: held until a person approves", |t| t.held_delete()),
        ("What happened can be replayed", |t| t.replay()),
        ("And the record can be verified", |t| t.verify()),
    ];
    for (i, (title, step)) in steps.into_iter().enumerate() {
        println!("\n{}. {title}", i + 1);
        if let Err(error) = step(&tour) {
            println!("   ✗ {error:#}");
            return Ok(ExitCode::from(1));
        }
        println!("   ✓");
    }
    println!("\nEvery step did exactly what it must ({:.1} s).", started.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

type Step = fn(&Tour<'_>) -> anyhow::Result<()>;

struct Tour<'a> {
    stage: &'a Stage,
    runtime: &'a Runtime,
    token: String,
}

fn show(text: &str) {
    for line in text.lines() {
        println!("   │ {line}");
    }
}

impl Tour<'_> {
    fn psql(&self, sql: &str) -> Command {
        println!("   $ psql -c \"{sql}\"");
        let address = self.stage.gateway.postgres_address;
        let mut command = Command::new(self.stage.server.program_directory().join("psql"));
        command
            .args(["-X", "-c", sql])
            .arg(format!(
                "host={} port={} dbname=shop user=claude sslmode=require",
                address.ip(),
                address.port()
            ))
            .env("PGPASSWORD", &self.token)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn portcullis(&self, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
        println!("   $ portcullis {}", arguments.join(" "));
        let output = Command::new(std::env::current_exe()?)
            .arg("--config")
            .arg(self.stage.config_file())
            .args(arguments)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        Ok((output.status.success(), text))
    }

    /// What is true at the target, asked past the gateway.
    fn truth(&self, sql: &str) -> anyhow::Result<String> {
        Ok(self.stage.server.sql("shop", sql)?.trim().to_owned())
    }

    fn masked_read(&self) -> anyhow::Result<()> {
        let sql =
            "SELECT id, name, email, card_number AS harmless FROM customers ORDER BY id LIMIT 3";
        let output = self.psql(sql).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        show(&text);
        show(&String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "psql failed");
        let names = self.truth("SELECT name FROM customers ORDER BY id LIMIT 3")?;
        ensure!(names.lines().all(|name| text.contains(name)), "a name is missing");
        let hidden = "SELECT unnest(ARRAY[email, card_number]) FROM customers";
        let secrets = self.truth(hidden)?;
        ensure!(secrets.lines().count() == 400, "the sample data is not what it should be");
        ensure!(
            !secrets.lines().any(|secret| text.contains(secret)),
            "a masked value came through"
        );
        Ok(())
    }

    fn refused_drop(&self) -> anyhow::Result<()> {
        let output = self.psql("DROP TABLE payments").output()?;
        let text = String::from_utf8_lossy(&output.stderr);
        show(&text);
        ensure!(!output.status.success(), "psql did not fail");
        for part in ["portcullis: policy", "refused", "retrying or rephrasing will not help"] {
            ensure!(text.contains(part), "the refusal does not say `{part}`");
        }
        ensure!(self.truth("SELECT count(*) FROM payments")? == "800", "the table was touched");
        Ok(())
    }

    fn held_delete(&self) -> anyhow::Result<()> {
        let condition = "status = 'test' AND id > 800";
        let count = format!("SELECT count(*) FROM orders WHERE {condition}");
        let before: u32 = self.truth(&count)?.parse()?;
        ensure!(before > 0, "the sample data is not what it should be");
        let mut agent = self.psql(&format!("DELETE FROM orders WHERE {condition}")).spawn()?;
        let review = review_id(&mut agent)?;
        ensure!(self.truth(&count)? == before.to_string(), "rows went before anybody approved");
        let own = self.decide("claude", &review)?;
        ensure!(own == 403, "the agent could decide its own request (HTTP {own})");
        let person = self.decide("ana", &review)?;
        ensure!(person == 403 || person == 404, "whom it acts for could decide (HTTP {person})");
        println!(
            "   (the agent itself and the person it acts for may not approve; bo, a DBA, may)"
        );
        let (approved, text) = self.portcullis(&["review", "--as", "bo", "approve", &review])?;
        show(&text);
        ensure!(approved, "the approval failed");
        let output = agent.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        show(&text);
        ensure!(
            output.status.success(),
            "psql failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(text.contains(&format!("DELETE {before}")), "psql does not say DELETE {before}");
        ensure!(self.truth(&count)? == "0", "the rows are still there");
        Ok(())
    }

    /// Tries to approve as somebody; the HTTP status of the answer.
    fn decide(&self, name: &str, review: &str) -> anyhow::Result<u16> {
        self.runtime.block_on(async {
            let token = self.stage.token(name).await?;
            let api = self.stage.gateway.http_address;
            let url = format!("http://{api}/api/v1/reviews/{review}/approve");
            let request = reqwest::Client::new().post(url).bearer_auth(token).json(&json!({}));
            Ok(request.send().await?.status().as_u16())
        })
    }

    fn replay(&self) -> anyhow::Result<()> {
        let (listed, text) = self.portcullis(&["--json", "session", "list"])?;
        ensure!(listed, "session list failed: {text}");
        let sessions: Value = serde_json::from_str(&text).context("session list --json")?;
        let ids: Vec<&str> = sessions
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|s| s.get("session").and_then(Value::as_str))
            .collect();
        ensure!(ids.len() == 3, "three sessions were opened, {} are recorded", ids.len());
        let mut all = String::new();
        for id in ids {
            let (shown, text) =
                self.portcullis(&["session", "replay", id, "--speed", "1000", "--idle", "0.05"])?;
            ensure!(shown, "session replay failed: {text}");
            show(&text);
            all.push_str(&text);
        }
        for part in ["DROP TABLE payments", "DELETE FROM orders", "approved", "SELECT id, name"] {
            ensure!(all.contains(part), "the replay does not show `{part}`");
        }
        ensure!(!all.contains("@example.com"), "a masked value was recorded");
        Ok(())
    }

    fn verify(&self) -> anyhow::Result<()> {
        let (good, text) = self.portcullis(&["audit", "verify"])?;
        show(&text);
        ensure!(good, "the record does not verify");
        let copy = self.stage.directory().join("tampered");
        copy_tree(&self.stage.config.data_dir, &copy)?;
        tamper(&copy.join("journal"))?;
        match verify(&copy, &VerifyOptions::default()) {
            Ok(_) => bail!("an edited copy verifies as well"),
            Err(finding) => show(&format!("(one byte of a copy edited) {finding}")),
        }
        Ok(())
    }
}

/// Reads the agent's notices until one names the review.
fn review_id(agent: &mut Child) -> anyhow::Result<String> {
    let stderr = agent.stderr.take().context("psql has no stderr")?;
    let mut lines = BufReader::new(stderr);
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut line = String::new();
    while Instant::now() < deadline && lines.read_line(&mut line)? > 0 {
        show(&line);
        let found = line.split("review ").find_map(|rest| {
            let id: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            id.starts_with("rev_").then_some(id)
        });
        if let Some(id) = found {
            // Later notices are not needed, but psql must be able to write them.
            std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
            return Ok(id);
        }
        line.clear();
    }
    bail!("the DELETE was not held")
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Changes one letter in the middle of a copy of the journal.
fn tamper(journal: &std::path::Path) -> anyhow::Result<()> {
    let segment = std::fs::read_dir(journal)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .context("the journal has no segment")?;
    let text = std::fs::read_to_string(&segment)?;
    let edited = text.replacen("DROP TABLE payments", "DROP TABLE payment_", 1);
    ensure!(edited != text, "the refused DROP is not in the journal");
    Ok(std::fs::write(segment, edited)?)
}
