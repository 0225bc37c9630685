mod common;
#[test]
fn print() {
    let catalog = common::shop();
    let text = std::fs::read_to_string("/tmp/sqls.txt").unwrap();
    let mut out = String::new();
    for sql in text.split("\n").filter(|l| !l.is_empty()) {
        out += &format!("    (r##\"{sql}\"##,\n     r##\"{}\"##),\n", common::facts(sql, &catalog));
    }
    std::fs::write("/tmp/out.txt", out).unwrap();
}
