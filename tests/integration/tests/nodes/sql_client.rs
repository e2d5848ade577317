//! `zepto sql` as people and scripts use it: on a terminal, from a pipe, from a file, with `-q`.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use zepto_harness::{Node, node};
use zepto_integration::place::Place;
use zepto_integration::terminal::Terminal;

const PROMPT: &str = "zepto> ";

fn client(node: &Node, place: &Place) -> Result<Command> {
    client_of(&format!("http://{}", node.address()), place)
}

fn client_of(url: &str, place: &Place) -> Result<Command> {
    let program: PathBuf = node::program_beside_this()?.with_file_name("zepto");
    let mut command = Command::new(program);
    command.args(["sql", "--url", url]);
    command.arg("--history").arg(place.path().join("history"));
    for name in
        ["URL", "USER", "PASSWORD", "KEY", "CA", "CLIENT_CERT", "CLIENT_KEY"].map(|n| format!("ZEPTO_{n}"))
    {
        command.env_remove(name);
    }
    Ok(command)
}

fn start() -> Result<(Place, Node)> {
    let place = crate::place()?;
    let node = place.launch().start()?;
    let mut connection = node.connect()?;
    connection.query(
        "CREATE TABLE weather_reports (place LowCardinality(String), ts DateTime64(9), degrees Float64) \
         ENGINE = MergeTree ORDER BY (place, ts)",
    )?;
    connection.query(
        "INSERT INTO weather_reports VALUES ('Rome', '2024-01-02 10:00:00', 12.5), ('Oslo', '2024-01-02 10:00:00', -4)",
    )?;
    Ok((place, node))
}

/// Types a line and gives what the terminal shows up to the next prompt behind `until`.
fn say(terminal: &mut Terminal, line: &str, until: &str) -> Result<String> {
    terminal.press(&format!("{line}\r"))?;
    let shown = terminal.wait_for(until).with_context(|| format!("after `{line}`"))?;
    Ok(shown + &terminal.wait_for(PROMPT)?)
}

#[test]
fn a_person_talks_to_a_node_through_a_terminal() -> Result<()> {
    let (place, node) = start()?;
    let mut terminal = Terminal::start(&mut client(&node, &place)?)?;
    terminal.wait_for("\\? for help")?;
    terminal.wait_for(PROMPT)?;

    // A statement of three lines, with Tab for the table's name; the time is shown on a terminal.
    terminal.press("SELECT place, degrees\rFROM weather_re\t")?;
    terminal.wait_for("weather_reports")?;
    terminal.press("\rORDER BY place;\r")?;
    let table = terminal.wait_for("Elapsed:")?;
    ensure!(table.contains("┌─place─┬─degrees─┐") && table.contains("│ Rome  │    12.5 │"), "{table}");
    terminal.wait_for(PROMPT)?;

    say(&mut terminal, "\\timing", "timing is off")?;
    let columns = say(&mut terminal, "\\d weather_reports", "DateTime64(9)")?;
    ensure!(columns.contains("LowCardinality(String)") && !columns.contains("Elapsed"), "{columns}");
    let error = say(&mut terminal, "SELECT 1 FROM nowhere;", "UNKNOWN_TABLE")?;
    ensure!(error.contains("Code: 60. DB::Exception:"), "{error}");
    say(&mut terminal, "\\x", "expanded output is on")?;
    let upright = say(&mut terminal, "SELECT 7 * 6 AS answer;", "42")?;
    ensure!(upright.contains("Row 1:") && upright.contains("answer: 42"), "{upright}");
    say(&mut terminal, "\\nonsense", "there is no command \\nonsense")?;

    // Arrow up twice: the statement before the unknown command runs again, in another format.
    say(&mut terminal, "\\format CSV", "format is CSV")?;
    terminal.press("\x1b[A\x1b[A\x1b[A")?;
    terminal.wait_for("SELECT 7 * 6 AS answer;")?;
    terminal.press("\r")?;
    terminal.wait_for("\n42\r\n")?;
    terminal.wait_for(PROMPT)?;

    // A statement without an end shows how far it is, and Ctrl-C stops it on the server.
    terminal.press("SELECT count() FROM system.numbers WHERE number < 0;\r")?;
    terminal.wait_for("rows read")?;
    terminal.interrupt()?;
    terminal.wait_for("cancelled")?;
    terminal.wait_for(PROMPT)?;
    let running = node.connect()?.query("SELECT count() FROM system.processes WHERE query LIKE '%system.numbers%' AND query NOT LIKE '%processes%'")?;
    ensure!(running.trim() == "0", "{running} statements still run");

    terminal.press("\\q\r")?;
    ensure!(terminal.end()?.success());
    let history = std::fs::read_to_string(place.path().join("history"))?;
    ensure!(history.contains("ORDER BY place") && history.contains("\\\\d weather_reports"), "{history}");
    Ok(())
}

const SCRIPT: &str = "\\timing\n\\format CSVWithNames\n-- a comment\nSELECT place FROM weather_reports\nORDER BY place;\n\
    \\x\nSELECT 1 AS one, ';' AS two;\n\\x off\n\\d weather_reports\nSELECT 2;\n";

#[test]
fn commands_work_the_same_from_a_pipe_a_file_and_an_argument() -> Result<()> {
    let (place, node) = start()?;
    let file = place.path().join("script.sql");
    std::fs::write(&file, SCRIPT)?;
    let from_pipe = fed(&mut client(&node, &place)?, SCRIPT)?;
    let from_file = fed(client(&node, &place)?.arg("-f").arg(&file), "")?;
    let from_argument = fed(client(&node, &place)?.args(["-q", SCRIPT]), "")?;
    let text = String::from_utf8(from_pipe.stdout.clone())?;
    ensure!(from_pipe.status.success(), "{text}{}", String::from_utf8_lossy(&from_pipe.stderr));
    ensure!(text.starts_with("\"place\"\n\"Oslo\"\n\"Rome\"\n"), "{text}");
    ensure!(text.contains("one: 1\ntwo: ;\n") && text.contains("\"LowCardinality(String)\""), "{text}");
    ensure!(String::from_utf8_lossy(&from_pipe.stderr).matches("Elapsed:").count() == 4);
    ensure!(from_file.stdout == from_pipe.stdout && from_argument.stdout == from_pipe.stdout);
    Ok(())
}

#[test]
fn a_script_ends_at_its_first_fault_or_where_it_says_so() -> Result<()> {
    let (place, node) = start()?;
    for (script, success, shown, told) in [
        ("SELECT 1;\nSELECT 1 FROM nowhere;\nSELECT 3;", false, "1\n", "Code: 60."),
        ("SELECT 1;\n\\nonsense\nSELECT 3;", false, "1\n", "there is no command \\nonsense"),
        ("SELECT 1;\n\\q\nSELECT 3;", true, "1\n", ""),
        ("", true, "", ""),
    ] {
        let output = fed(&mut client(&node, &place)?, script)?;
        let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        ensure!(
            output.status.success() == success && out == shown && err.contains(told),
            "{script}: {out}{err}"
        );
    }
    let rows = "Bern,2024-01-02 10:00:00,1\nWien,2024-01-02 10:00:00,2\n";
    let insert = fed(client(&node, &place)?.args(["-q", "INSERT INTO weather_reports FORMAT CSV"]), rows)?;
    ensure!(insert.status.success(), "{}", String::from_utf8_lossy(&insert.stderr));
    let count = fed(
        client(&node, &place)?.args([
            "--format",
            "JSONEachRow",
            "-q",
            "SELECT count() AS c FROM weather_reports",
        ]),
        "",
    )?;
    ensure!(count.stdout == b"{\"c\":4}\n", "{}", String::from_utf8_lossy(&count.stdout));
    Ok(())
}

/// Writes a certificate of this authority, and its key.
fn certify(issuer: &Issuer<'_, KeyPair>, place: &Place, name: &str) -> Result<[PathBuf; 2]> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, issuer)?;
    let files = [place.path().join(format!("{name}.crt")), place.path().join(format!("{name}.key"))];
    std::fs::write(&files[0], certificate.pem())?;
    std::fs::write(&files[1], key.serialize_pem())?;
    Ok(files)
}

#[test]
fn a_server_with_a_private_authority_is_believed_when_that_is_named() -> Result<()> {
    let place = crate::place()?;
    let mut params = CertificateParams::new(vec![])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let ca = place.path().join("ca.crt");
    std::fs::write(&ca, params.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(params, key);
    let [server, server_key] = certify(&issuer, &place, "server")?;
    let [mine, my_key] = certify(&issuer, &place, "client")?;
    let node = place
        .launch()
        .flag("--tls-cert")
        .flag(&server)
        .flag("--tls-key")
        .flag(&server_key)
        .flag("--tls-client-ca")
        .flag(&ca)
        .start_listening()?;
    let url = format!("https://{}", node.address());
    let ask = |files: &[(&str, &PathBuf)]| -> Result<(bool, String)> {
        let mut command = client_of(&url, &place)?;
        for (flag, file) in files {
            command.arg(flag).arg(file);
        }
        let output = fed(command.args(["-q", "-- an answer\nSELECT 6 * 7"]), "")?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8(text)?))
    };
    let all = [("--ca", &ca), ("--client-cert", &mine), ("--client-key", &my_key)];
    ensure!(ask(&all)? == (true, "42\n".to_owned()), "{:?}", ask(&all)?);
    let (answered, told) = ask(&all[1..])?;
    ensure!(!answered && told.contains("UnknownIssuer"), "{told}");
    let (answered, told) = ask(&all[..1])?;
    ensure!(!answered && told.contains(&url), "without a certificate of one's own: {told}");
    let (answered, told) = ask(&[("--ca", &my_key)])?;
    ensure!(!answered && told.contains("has no certificate"), "{told}");
    Ok(())
}

fn fed(command: &mut Command, input: &str) -> Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // A program that does not read its input may be gone already.
    let _not_read = child.stdin.take().context("piped")?.write_all(input.as_bytes());
    Ok(child.wait_with_output()?)
}
