//! PostgreSQL's own suites, once direct and once through a gateway that allows everything: the
//! regression suite, the isolation suite, and libpq's tests of pipelines. What comes of them must be
//! the same, but for what `regress-exceptions.txt` lists for the server's version; and what is listed
//! there must differ, so that the list only shrinks.

use portcullis_sandbox::postgres::{Options, Postgres};
use portcullis_testkit::arena::{APP_PASSWORD, Arena, SUPERUSER_PASSWORD, Setup};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const EXCEPTIONS: &str = include_str!("../regress-exceptions.txt");
const DATABASE: &str = "regression";
/// What one run may take, in seconds: far more than it does on a machine that is not busy.
const PATIENCE: &str = "1800";
/// Run alone: locks tables without waiting, and the definitions of views over them may be read at that
/// moment for another test.
const ALONE: &str = "lock";
/// So are tests with transactions that see the past, in which changes of definitions by others cannot
/// be looked up (`current-definitions`).
const OF_THE_PAST: [&str; 2] = ["serializable", "repeatable read"];
/// The regression suite ends behind the group with this test, unless all of it is asked for: what comes
/// after it takes twice as long as all before, because each change of a definition has the gateway read
/// the definitions of ever more objects.
const LAST: &str = "rowsecurity";
/// Asks for all of it: `./dev matrix` does.
const ALL: &str = "PORTCULLIS_REGRESS";
/// Where programs find the libpq they were built with, where it is not that of the system.
const LIBRARIES: &str = "LD_LIBRARY_PATH";
/// How many tests the suites have, at the least.
const FEWEST: [(&str, usize); 3] = [("regression", 200), ("isolation", 100), ("pipeline", 10)];
/// And those of PostgreSQL 13.
const FEWEST_OF_13: [(&str, usize); 2] = [("regression", 190), ("isolation", 90)];
/// And those of the part of the regression suite.
const FEWEST_OF_PART: [(&str, usize); 1] = [("regression", 120)];

type Environment = Vec<(&'static str, String)>;
/// What came of each test.
type Results = BTreeMap<String, String>;

/// Where `./dev` puts the suites' files, for the installed server or for that of the matrix; `None`
/// where they could not be had, which is an error where all tests are asked for.
fn suites() -> Option<PathBuf> {
    let tools = std::env::var_os("PORTCULLIS_TOOLS").expect("run by `./dev test`, which sets it");
    let suites = std::env::var_os("PORTCULLIS_SUITES").filter(|named| !named.is_empty());
    let suites = suites.map_or_else(|| PathBuf::from(tools).join("postgres"), PathBuf::from);
    if suites.join("ready").exists() {
        return Some(suites);
    }
    let required = ["PORTCULLIS_REQUIRE_ALL", "CI"].iter().any(|v| std::env::var_os(v).is_some());
    assert!(!required, "the files of PostgreSQL's own suites are missing: run `./dev suites`");
    eprintln!(
        "\n*** SKIPPED: the files of PostgreSQL's own suites are missing (`./dev suites`) ***\n"
    );
    None
}

/// Whether all of the regression suite is asked for.
fn is_all() -> bool {
    std::env::var(ALL).is_ok_and(|asked| asked == "all")
}

/// A server to be asked directly, and one behind a gateway, each with a fresh database.
struct Pair {
    direct: Postgres,
    arena: Arena,
    suites: PathBuf,
    directory: TempDir,
}

impl Pair {
    fn start(suites: PathBuf) -> Self {
        let settings: &[&str] =
            &["fsync = off", "max_prepared_transactions = 2", "log_statement = none"];
        let setup = Setup {
            databases: &[DATABASE],
            settings,
            log: "warn",
            in_memory: true,
            target: "application_name = \"client\"\n",
            ..Setup::allow_all()
        };
        let arena = Arena::start(&setup).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let options =
            Options { settings: settings.iter().map(|&s| s.to_owned()).collect(), hba: Vec::new() };
        let direct = Postgres::start(directory.path(), SUPERUSER_PASSWORD, &options).unwrap();
        let owner = format!("CREATE ROLE owner SUPERUSER LOGIN PASSWORD '{APP_PASSWORD}'");
        direct.sql("postgres", &owner).unwrap();
        // As pg_regress makes its database.
        for server in [&direct, &arena.server] {
            server.sql("postgres", &format!("DROP DATABASE IF EXISTS {DATABASE}")).unwrap();
            let create = format!("CREATE DATABASE {DATABASE} TEMPLATE template0");
            server.sql("postgres", &create).unwrap();
            for setting in [
                "lc_messages TO 'C'",
                "lc_monetary TO 'C'",
                "lc_numeric TO 'C'",
                "lc_time TO 'C'",
                "bytea_output TO 'hex'",
                "timezone_abbreviations TO 'Default'",
            ] {
                let alter = format!("ALTER DATABASE {DATABASE} SET {setting}");
                server.sql("postgres", &alter).unwrap();
            }
        }
        Self { direct, arena, suites, directory }
    }

    /// libpq's environment for both ways, with the same names.
    fn ways(&self) -> [(&'static str, Environment); 2] {
        let environment = |port: u16, password: String| {
            vec![
                ("PGHOST", "127.0.0.1".to_owned()),
                ("PGPORT", port.to_string()),
                ("PGUSER", "owner".to_owned()),
                ("PGPASSWORD", password),
                ("PGSSLMODE", "disable".to_owned()),
            ]
        };
        let token = self.arena.token("claude").unwrap();
        [
            ("direct", environment(self.direct.port(), APP_PASSWORD.to_owned())),
            ("through", environment(self.arena.postgres.port(), token)),
        ]
    }

    /// A directory the servers can write in too, whoever they run as.
    fn output(&self, way: &str) -> PathBuf {
        fs::set_permissions(self.directory.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let output = self.directory.path().join(way);
        // Up to PostgreSQL 14 some tests are made of templates, there.
        for part in ["", "results", "testtablespace", "sql", "expected"] {
            let directory = output.join(part);
            fs::create_dir_all(&directory).unwrap();
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        }
        output
    }

    /// The suite's files where the servers can read them.
    fn input(&self, suite: &str) -> PathBuf {
        let input = self.directory.path().join("input");
        fs::create_dir_all(&input).unwrap();
        for part in [self.suites.join("src/test").join(suite), self.suites.join("lib")] {
            let done = Command::new("cp").arg("-r").arg(&part).arg(&input).status().unwrap();
            assert!(done.success());
        }
        input
    }

    /// The schedule, with some tests after their group and not in it, and not longer than asked for.
    fn schedule(&self, input: &Path, name: &str) -> PathBuf {
        let mut schedule = String::new();
        let mut left = false;
        for line in fs::read_to_string(input.join(name)).unwrap().lines() {
            let (others, alone): (Vec<&str>, Vec<&str>) =
                line.split(' ').partition(|word| !runs_alone(&input.join("sql"), word));
            writeln!(schedule, "{}", others.join(" ")).unwrap();
            if line.starts_with("test:") {
                for test in alone {
                    writeln!(schedule, "test: {test}").unwrap();
                }
            }
            left |= line.starts_with("test:") && line.split(' ').any(|word| word == LAST);
            if left && !is_all() {
                break;
            }
        }
        let file = self.directory.path().join("schedule");
        fs::write(&file, schedule).unwrap();
        file
    }

    /// The directory of the suites' `psql`: their own, where they are not of the installed version.
    fn programs(&self) -> PathBuf {
        let own = self.suites.join("bin");
        if own.is_dir() { own } else { self.direct.program_directory().to_owned() }
    }

    /// Runs one of PostgreSQL's own drivers of tests both ways at once.
    fn run(&self, suite: &str, driver: &str, schedule: &str) -> [Results; 2] {
        let input = self.input(suite);
        let schedule = self.schedule(&input.join(suite), schedule);
        let programs = self.programs();
        let libraries = programs.join("../lib/pgxs/src/test");
        let library = if suite == "isolation" { "isolation" } else { "regress" };
        let driver = libraries.join(library).join(driver);
        let runs = self.ways().map(|(way, environment)| {
            let output = self.output(way);
            let mut command = Command::new("timeout");
            command.arg(PATIENCE).arg(&driver);
            command
                .args(["--use-existing", "--max-concurrent-tests=20", "--outputdir=."])
                .arg(format!("--dbname={DATABASE}"))
                .arg(format!("--bindir={}", programs.display()))
                .arg(format!("--dlpath={}", input.join("lib").display()))
                .arg(format!("--inputdir={}", input.join(suite).display()))
                .arg(format!("--schedule={}", schedule.display()))
                .envs(environment)
                .current_dir(&output)
                .stdin(Stdio::null())
                .stdout(fs::File::create(output.join("said")).unwrap())
                .stderr(Stdio::null());
            (command.spawn().unwrap(), output)
        });
        runs.map(|(mut child, output)| {
            child.wait().unwrap();
            results(&output.join("results"), ".out")
        })
    }
}

/// Whether a test of the schedule does not run beside the others of its group.
fn runs_alone(sources: &Path, test: &str) -> bool {
    let Ok(source) = fs::read(sources.join(format!("{test}.sql"))) else { return false };
    let source = String::from_utf8_lossy(&source).to_ascii_lowercase();
    test == ALONE || OF_THE_PAST.iter().any(|level| source.contains(level))
}

/// What the tests said, with one name for the place they ran in, because errors may quote it.
fn results(directory: &Path, ending: &str) -> Results {
    let place = directory.parent().unwrap().to_str().unwrap();
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter_map(|file| {
            let name = file.file_name()?.to_str()?.strip_suffix(ending)?.to_owned();
            let said = fs::read(&file).ok()?;
            Some((name, String::from_utf8_lossy(&said).replace(place, "PLACE")))
        })
        .collect()
}

/// What may differ of a suite with that version of the server: by test, in how many lines.
fn exceptions(suite: &str, version: u32) -> BTreeMap<&'static str, usize> {
    let lines = EXCEPTIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut found = BTreeMap::new();
    for line in lines {
        let (name, rest) = line.split_once(' ').expect("a test and more");
        let counts = rest.split(' ').map_while(|word| {
            let (version, count) = word.split_once(':')?;
            Some((version.parse::<u32>().ok()?, count.parse::<usize>().ok()?))
        });
        let counts = counts.collect::<Vec<_>>();
        assert!(!counts.is_empty(), "{name}: no version is named");
        let words = rest.split(' ').count();
        assert!(words > counts.len(), "no reason is given for {name}");
        let count = counts.iter().find(|(of, _)| *of == version);
        if let (Some((of, test)), Some((_, count))) = (name.split_once('/'), count)
            && of == suite
        {
            assert!(found.insert(test, *count).is_none(), "{name} is listed twice");
        }
    }
    found
}

/// The lines that differ, as `diff` shows them.
fn difference(direct: &str, through: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let files = [("direct", direct), ("through", through)].map(|(name, text)| {
        let file = directory.path().join(name);
        fs::write(&file, text).unwrap();
        file
    });
    let output = Command::new("diff").arg("-a").args(&files).output().unwrap();
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    lines.lines().filter(|l| l.starts_with(['<', '>'])).map(str::to_owned).collect()
}

fn compare(suite: &str, version: u32, direct: &Results, through: &Results) {
    let mut excepted = exceptions(suite, version);
    let (mut wrong, mut equal, mut known) = (String::new(), 0, 0);
    for (name, direct) in direct {
        let through = through.get(name).map_or("", String::as_str);
        let differs = difference(direct, through);
        let allowed = excepted.remove(&**name).unwrap_or(0);
        match differs.len() {
            0 if allowed == 0 => equal += 1,
            n if n == allowed => known += 1,
            n => {
                let shown =
                    differs.iter().take(60).map(|l| l.chars().take(300).collect::<String>());
                let shown = shown.collect::<Vec<_>>().join("\n");
                writeln!(wrong, "== {suite}/{name}: {n} lines differ, listed: {allowed}\n{shown}")
                    .unwrap();
            }
        }
    }
    let is_part = suite == "regression" && !is_all();
    for name in excepted.keys().filter(|_| !is_part) {
        writeln!(wrong, "== {suite}/{name} is listed, and there is no such test").unwrap();
    }
    eprintln!("{suite}: {equal} equal, {known} differ as listed");
    assert!(wrong.is_empty(), "{wrong}");
    let older: &[(&str, usize)] = match () {
        () if is_part => &FEWEST_OF_PART,
        () if version < 14 => &FEWEST_OF_13,
        () => &[],
    };
    let fewest = older.iter().chain(&FEWEST).find(|(of, _)| *of == suite).map_or(1, |(_, n)| *n);
    assert!(direct.len() >= fewest, "only {} tests ran", direct.len());
}

/// That the suite works here at all: direct, it gives what its authors expect.
fn assert_expected(pair: &Pair, most: usize) {
    let said = fs::read_to_string(pair.output("direct").join("said")).unwrap();
    // Before PostgreSQL 16, and since.
    let failed = |line: &&str| line.contains("... FAILED") || line.starts_with("not ok");
    let failed = said.lines().filter(failed).count();
    assert!(failed <= most, "run direct, {failed} tests fail:\n{said}");
}

#[test]
fn regression_suite() {
    let Some(suites) = suites() else { return };
    let pair = Pair::start(suites);
    let [direct, through] = pair.run("regress", "pg_regress", "parallel_schedule");
    assert_expected(&pair, 5);
    compare("regression", pair.direct.version(), &direct, &through);
}

#[test]
fn isolation_suite() {
    let Some(suites) = suites() else { return };
    let pair = Pair::start(suites);
    let [direct, through] = pair.run("isolation", "pg_isolation_regress", "isolation_schedule");
    assert_expected(&pair, 5);
    compare("isolation", pair.direct.version(), &direct, &through);
}

#[test]
fn pipelines_of_libpq() {
    let Some(suites) = suites() else { return };
    let program = suites.join("libpq_pipeline");
    let libraries = suites.join("lib");
    if !program.exists() {
        eprintln!("PostgreSQL 13 has no tests of pipelines");
        return;
    }
    let pair = Pair::start(suites);
    let names =
        Command::new(&program).arg("tests").env(LIBRARIES, &libraries).output().unwrap().stdout;
    let names = String::from_utf8(names).unwrap();
    let [direct, through] = pair.ways().map(|(way, environment)| {
        let output = pair.output(way);
        let mut results = Results::new();
        for name in names.split_whitespace() {
            let trace = output.join(name);
            let ran = Command::new("timeout")
                .arg(PATIENCE)
                .arg(&program)
                .args(["-r", "700", "-t"])
                .arg(&trace)
                .args([name, "dbname=regression"])
                .envs(environment.clone())
                .env(LIBRARIES, &libraries)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            let mut result = format!("{}\n", ran.status);
            // Those fill the socket: how far they come before is up to the system.
            if !["pipelined_insert", "uniqviol"].contains(&name) {
                result = said + &result + &fs::read_to_string(&trace).unwrap_or_default();
            }
            results.insert(name.to_owned(), result);
        }
        results
    });
    let succeeded = direct.values().filter(|r| r.contains("exit status: 0")).count();
    assert_eq!(succeeded, direct.len(), "run direct, some fail");
    compare("pipeline", pair.direct.version(), &direct, &through);
}
