//! Passwords of targets that are sealed or in Vault, with a real server: used to log in, changed while
//! the gateway runs, and nowhere to be read. And the store that holds them: damaged, in use, gone, backed
//! up and put back.

use portcullis_testkit::arena::{Arena, Setup, binary, contents_below, files_below, private_file};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

const FIRST: &str = "first-sealed-sentinel-5519";
const SECOND: &str = "second-sealed-sentinel-7731";
const IN_VAULT: &str = "vault-sentinel-password-9902";
const VAULT_TOKEN: &str = "hvs.vault-sentinel-token-1834";

/// A server that speaks Vault's KV version 2 for one secret, as far as a reader needs it.
struct Vault {
    address: String,
    /// Status and body it answers a good token with.
    answer: Mutex<(u16, String)>,
    asked: Mutex<Vec<String>>,
}

impl Vault {
    fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (answer, asked) = (Mutex::new((404, String::new())), Mutex::default());
        let vault = Arc::new(Self { address, answer, asked });
        let serving = vault.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serving.serve(stream);
            }
        });
        vault
    }

    fn holds(&self, password: &str) {
        let version = r#""metadata":{"version":3,"destroyed":false}"#;
        let body = format!(r#"{{"data":{{"data":{{"password":"{password}"}},{version}}}}}"#);
        *self.answer.lock().unwrap() = (200, body);
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap_or(0);
        let request = String::from_utf8_lossy(&request[..read]).into_owned();
        let line = request.lines().next().unwrap_or_default().to_owned();
        let token = request.lines().find_map(|line| line.strip_prefix("x-vault-token: "));
        let (status, body) = match token {
            Some(VAULT_TOKEN) => self.answer.lock().unwrap().clone(),
            // Some proxies say back what they were told.
            other => (403, format!(r#"{{"errors":["permission denied for {other:?}"]}}"#)),
        };
        self.asked.lock().unwrap().push(line);
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n");
        let length = body.len();
        let _ = write!(stream, "{head}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    }
}

struct Bench {
    arena: Arena,
    vault: Arc<Vault>,
    /// Everything any command has printed.
    said: Vec<u8>,
}

impl Bench {
    fn start() -> Self {
        let vault = Vault::start();
        let connection = |name: &str, reference: &str| {
            format!(
                "[connections.{name}]\nenvironment = \"test\"\ngroups = [\"agents\"]\n\
                 [connections.{name}.target]\nhost = \"127.0.0.1\"\nport = {{port}}\n\
                 database = \"shop\"\nuser = \"{name}_app\"\npassword_from = \"{reference}\"\n"
            )
        };
        let more = format!(
            "[secrets.master_key]\nfile = \"master.key\"\n[secrets.vault]\naddress = \"{}\"\n\
             token = \"file:vault.token\"\n{}{}",
            vault.address,
            connection("sealed", "sealed:app"),
            connection("vaulted", "vault:secret/databases/shop#password"),
        );
        let arena = Arena::start(&Setup { more, ..Setup::agent_safe() }).unwrap();
        private_file(&arena.directory().join("vault.token"), &format!("{VAULT_TOKEN}\n")).unwrap();
        let bench = Self { arena, vault, said: Vec::new() };
        bench.role("sealed_app", FIRST);
        bench.role("vaulted_app", IN_VAULT);
        bench
    }

    fn role(&self, role: &str, password: &str) {
        let made = format!(
            "DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN END $$;
             ALTER ROLE {role} PASSWORD '{password}'"
        );
        self.arena.server.sql("shop", &made).unwrap();
    }

    /// One command, with something on its standard input.
    fn run(&mut self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(binary());
        command.arg("--config").arg(self.arena.config()).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that reads nothing may be gone.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        self.said.extend_from_slice(&output.stdout);
        self.said.extend_from_slice(&output.stderr);
        output
    }

    /// The same, which has to end with this code; what it said.
    fn expect(&mut self, code: i32, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    /// Who the gateway is at the target of a connection, or what the client is told.
    fn session(&mut self, connection: &str) -> Result<String, String> {
        let psql = self.arena.server.program_directory().join("psql");
        let output = Command::new(psql)
            .args(["-X", "-A", "-t", "-c", "SELECT current_user"])
            .envs(self.arena.through("claude").unwrap())
            .env("PGDATABASE", connection)
            .output()
            .unwrap();
        self.said.extend_from_slice(&output.stdout);
        self.said.extend_from_slice(&output.stderr);
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.arena.log_file()).unwrap()
    }

    /// Starts the gateway, which has to refuse; what it said.
    fn refuses(&mut self) -> String {
        let output = self.run(&["serve"], "");
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        text(&output)
    }

    /// Looks for these in everything that was said, the log, and all files below `data_dir`.
    fn search(&self, secrets: &[&str]) {
        let mut places = vec![
            ("what commands said".to_owned(), self.said.clone()),
            ("the log".to_owned(), self.log().into_bytes()),
        ];
        for (file, bytes) in contents_below(&self.arena.data()) {
            places.push((file.display().to_string(), bytes));
        }
        assert!(places.len() > 5, "{}", places.len());
        for (place, bytes) in &places {
            for secret in secrets {
                let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
                assert!(!found, "{secret} is in {place}");
            }
        }
        // The search finds what is there.
        assert!(places[0].1.windows(3).any(|w| w == b"mk_"));
    }
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// Names, lengths and times of all files below a directory.
fn state(directory: &Path) -> BTreeMap<PathBuf, (u64, std::time::SystemTime)> {
    let look = |path: PathBuf| {
        let found = fs::metadata(&path).unwrap();
        (path, (found.len(), found.modified().unwrap()))
    };
    files_below(directory).into_iter().map(look).collect()
}

#[test]
fn a_sealed_password_is_used_changed_and_never_shown() {
    let mut bench = Bench::start();
    let key_file = bench.arena.directory().join("master.key");
    // Nothing makes a master key but the command that says so.
    assert!(bench.session("sealed").is_err());
    let said = bench.expect(2, &["secret", "set", "app"], FIRST);
    assert!(said.contains("portcullis secret init") && !key_file.exists(), "{said}");
    bench.expect(0, &["secret", "init"], "");
    let key = fs::read_to_string(&key_file).unwrap();
    let said = bench.expect(1, &["secret", "init"], "");
    assert!(said.contains("there already"), "{said}");
    assert_eq!(fs::read_to_string(&key_file).unwrap(), key);

    let said = bench.expect(0, &["secret", "set", "app"], &format!("{FIRST}\n"));
    assert!(said.contains("connection sealed"), "{said}");
    assert_eq!(bench.session("sealed").unwrap(), "sealed_app");
    // Changed at the server: the next session needs the new one, and gets it without a restart.
    bench.role("sealed_app", SECOND);
    assert!(bench.session("sealed").is_err());
    bench.expect(0, &["--json", "secret", "set", "app"], SECOND);
    assert_eq!(bench.session("sealed").unwrap(), "sealed_app");
    // What cannot be set.
    for (name, input) in [("app", ""), ("app", "\n"), ("nobody-names-it", "x"), ("../app", "x")] {
        assert_ne!(bench.run(&["secret", "set", name], input).status.code(), Some(0));
    }
    bench.expect(2, &["secret", "set", "app", "--connection", "shpo"], SECOND);
    bench.expect(1, &["secret", "set", "to-come", "--connection", "../reports"], SECOND);
    // For a connection that is to be a document.
    let said = bench.expect(0, &["secret", "set", "to-come", "--connection", "reports"], SECOND);
    assert!(said.contains("no connection reports yet"), "{said}");
    assert!(said.contains("sealed for connection reports"), "{said}");
    bench.expect(0, &["secret", "remove", "to-come"], "");
    bench.expect(1, &["secret", "remove", "other"], "");

    // Another master key, while the gateway runs.
    bench.expect(0, &["secret", "rotate-master"], "");
    let newer = fs::read_to_string(&key_file).unwrap();
    assert_ne!(newer, key);
    assert_eq!(bench.session("sealed").unwrap(), "sealed_app");
    let listed = bench.expect(0, &["secret", "list"], "");
    assert!(listed.contains("app  for sealed, under mk_"), "{listed}");
    bench.expect(0, &["--json", "secret", "list"], "");
    bench.expect(0, &["secret", "check"], "");
    // To a key from elsewhere, in two steps, and with either key between them.
    let other = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n";
    private_file(&bench.arena.directory().join("other.key"), other).unwrap();
    let to = format!("file:{}", bench.arena.directory().join("other.key").display());
    bench.expect(0, &["secret", "rotate-master", "--to", &to], "");
    assert_eq!(bench.session("sealed").unwrap(), "sealed_app");
    private_file(&key_file, other).unwrap();
    assert_eq!(bench.session("sealed").unwrap(), "sealed_app");
    bench.expect(0, &["secret", "rotate-master", "--finish"], "");
    assert_eq!(bench.session("sealed").unwrap(), "sealed_app");

    // The wrong key: nothing starts, and the doctor says why without touching anything.
    bench.arena.stop_gateway();
    private_file(&key_file, &key).unwrap();
    let said = bench.refuses();
    assert!(said.contains("needs the master key mk_") && said.contains("`app`"), "{said}");
    bench.expect(1, &["secret", "check"], "");
    let before = state(&bench.arena.data());
    let said = bench.expect(2, &["doctor"], "");
    assert!(said.contains("needs the master key mk_"), "{said}");
    fs::remove_file(&key_file).unwrap();
    let said = bench.expect(2, &["--json", "doctor"], "");
    assert!(said.contains("is missing: put it back"), "{said}");
    assert_eq!(state(&bench.arena.data()), before, "the doctor has written");
    private_file(&key_file, other).unwrap();
    bench.arena.start_gateway().unwrap();
    assert_eq!(bench.session("sealed").unwrap(), "sealed_app");
    bench.search(&[FIRST, SECOND, key.trim(), newer.trim(), other.trim()]);
}

#[test]
fn a_password_in_vault_is_fetched_at_every_log_in() {
    let mut bench = Bench::start();
    let log_has = |bench: &Bench, what: &str| assert!(bench.log().contains(what), "{what}");
    assert!(bench.session("vaulted").is_err());
    log_has(&bench, "Vault has no such secret");
    bench.vault.holds(IN_VAULT);
    assert_eq!(bench.session("vaulted").unwrap(), "vaulted_app");
    let asked = bench.vault.asked.lock().unwrap().last().cloned();
    assert_eq!(asked.as_deref(), Some("GET /v1/secret/data/databases/shop HTTP/1.1"));
    // Changed there, changed here.
    bench.role("vaulted_app", SECOND);
    assert!(bench.session("vaulted").is_err());
    bench.vault.holds(SECOND);
    assert_eq!(bench.session("vaulted").unwrap(), "vaulted_app");
    // Answers that are none; what they say is said nowhere.
    for (status, body, told) in [
        (200, format!("{{\"data\":{{\"data\":{{\"pw\":\"{IN_VAULT}\"}}}}}}"), "no such field"),
        (200, format!("{{\"password\":\"{IN_VAULT}\"}}"), "not that of a key-value store"),
        (
            200,
            format!("{{\"data\":{{\"data\":{{\"password\":[\"{IN_VAULT}\"]}}}}}}"),
            "no such field",
        ),
        (503, format!("sealed {IN_VAULT}"), "is sealed or in maintenance"),
        (302, IN_VAULT.to_owned(), "answered 302"),
    ] {
        *bench.vault.answer.lock().unwrap() = (status, body);
        let said = bench.session("vaulted").unwrap_err();
        assert!(said.contains("cannot log in to the target as configured"), "{said}");
        log_has(&bench, told);
    }
    bench.vault.holds(SECOND);
    let token = bench.arena.directory().join("vault.token");
    private_file(&token, "another-sentinel-token").unwrap();
    assert!(bench.session("vaulted").is_err());
    log_has(&bench, "Vault refuses the gateway's token");
    fs::write(&token, VAULT_TOKEN).unwrap();
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(bench.session("vaulted").is_err());
    log_has(&bench, "chmod 600");
    private_file(&token, VAULT_TOKEN).unwrap();
    assert_eq!(bench.session("vaulted").unwrap(), "vaulted_app");
    bench.expect(0, &["secret", "init"], "");
    bench.expect(2, &["doctor"], "");
    bench.search(&[SECOND, IN_VAULT, VAULT_TOKEN, "another-sentinel-token"]);
}

#[test]
fn a_store_is_backed_up_put_back_and_refused_when_it_is_not_whole() {
    let mut bench = Bench::start();
    bench.vault.holds(IN_VAULT);
    bench.expect(0, &["secret", "init"], "");
    let key = fs::read_to_string(bench.arena.directory().join("master.key")).unwrap();
    bench.expect(0, &["secret", "set", "app"], FIRST);
    // A gateway that runs: everything but the rights of the shop's superuser is as it should be.
    let said = bench.expect(1, &["doctor"], "");
    assert!(said.contains("has wide rights: SUPERUSER"), "{said}");
    assert!(said.contains("ok       secrets"), "{said}");
    assert!(!said.contains("failure "), "{said}");
    let file = bench.arena.directory().join("backup.tar");
    let path = file.to_str().unwrap().to_owned();
    let said = bench.expect(0, &["backup", &path], "");
    assert!(said.contains("need the master key mk_"), "{said}");
    let copied = fs::read(&file).unwrap();
    for secret in [FIRST, key.trim()] {
        assert!(!copied.windows(secret.len()).any(|w| w == secret.as_bytes()), "in the backup");
    }
    let said = bench.expect(2, &["restore", &path, "--force"], "");
    assert!(said.contains("in use by another process"), "{said}");
    bench.expect(0, &["secret", "remove", "app"], "");
    assert!(bench.session("sealed").is_err());

    bench.arena.stop_gateway();
    let said = bench.expect(2, &["restore", &path], "");
    assert!(said.contains("is not empty") && said.contains("--force"), "{said}");
    let said = bench.expect(0, &["restore", &path, "--force"], "");
    assert!(said.contains("what was there is in"), "{said}");
    let before = state(&bench.arena.data());
    bench.expect(1, &["doctor"], "");
    assert_eq!(state(&bench.arena.data()), before, "the doctor has written");
    bench.arena.start_gateway().unwrap();
    assert_eq!(bench.session("sealed").unwrap(), "sealed_app");

    // As after a crash: with a log that nobody has read yet.
    bench.arena.kill_gateway().unwrap();
    let before = state(&bench.arena.data());
    bench.expect(1, &["doctor"], "");
    assert_eq!(state(&bench.arena.data()), before, "the doctor has written");
    bench.arena.start_gateway().unwrap();
    bench.arena.stop_gateway();

    // Damaged.
    let store = bench.arena.data().join("portcullis.db");
    let whole = fs::read(&store).unwrap();
    let mut bad = whole.clone();
    bad.chunks_mut(4096).skip(1).for_each(|page| page[..64].fill(0x5a));
    fs::write(&store, bad).unwrap();
    let said = bench.refuses();
    let named = store.to_str().unwrap().to_owned();
    assert!(said.contains(&named) && said.contains("restore it from a backup"), "{said}");
    let said = bench.expect(2, &["doctor"], "");
    assert!(said.contains("damaged") && said.contains("portcullis restore"), "{said}");
    // A restore that was interrupted.
    fs::write(&store, &whole).unwrap();
    let mark = bench.arena.data().join("portcullis.db.restoring");
    fs::write(&mark, "before-restore-7").unwrap();
    let said = bench.refuses();
    assert!(said.contains("restore of the store") && said.contains("interrupted"), "{said}");
    bench.expect(0, &["restore", &path, "--force"], "");
    // Gone, beside a journal: a new one is made for a gateway, and the doctor says what is lost.
    fs::remove_file(&store).unwrap();
    let said = bench.expect(2, &["doctor"], "");
    assert!(said.contains("there was a store"), "{said}");
    bench.expect(2, &["backup", bench.arena.directory().join("b").to_str().unwrap()], "");
    bench.search(&[FIRST, key.trim(), IN_VAULT, VAULT_TOKEN]);
}
