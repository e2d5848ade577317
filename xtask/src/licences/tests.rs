use super::*;
use crate::metadata::Package;

const POLICY_TEXT: &str = r#"
[licenses]
allow = [
    "MIT", # a comment
    "Apache-2.0",
]
exceptions = [
    { name = "roots", allow = ["CDLA-Permissive-2.0"] },
]
[bans]
deny = [
    { name = "openssl", reason = "rustls" },
    { name = "arrow", deny-multiple-versions = true },
]
"#;

fn package(name: &str, version: &str, licence: Option<&str>, source: &str) -> Package {
    Package {
        name: name.to_owned(),
        version: version.to_owned(),
        licence: licence.map(str::to_owned),
        source: Some(source.to_owned()),
        ..Package::default()
    }
}

fn findings(packages: Vec<Package>) -> Vec<String> {
    let mut metadata = Metadata::default();
    for (i, package) in packages.into_iter().enumerate() {
        metadata.packages.insert(i.to_string(), package);
    }
    judge(&parse(POLICY_TEXT), &metadata).iter().map(ToString::to_string).collect()
}

#[test]
fn allowed_licences_and_exceptions_pass() {
    let found = findings(vec![
        package("a", "1.0.0", Some("MIT OR GPL-3.0"), "registry+x"),
        package("roots", "1.0.0", Some("CDLA-Permissive-2.0"), "registry+x"),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_planted_licence_is_caught() {
    let found = findings(vec![package("a", "1.0.0", Some("MIT AND GPL-3.0"), "registry+x")]);
    assert_eq!(found, ["a 1.0.0: licence `MIT AND GPL-3.0` is not allowed by deny.toml"]);
    assert_eq!(findings(vec![package("a", "1.0.0", None, "registry+x")]), ["a 1.0.0: states no licence"]);
    let elsewhere = package("b", "1.0.0", Some("CDLA-Permissive-2.0"), "registry+x");
    assert_eq!(findings(vec![elsewhere]).len(), 1);
}

#[test]
fn a_banned_package_a_second_version_and_a_git_source_are_caught() {
    let found = findings(vec![
        package("openssl", "0.10.0", Some("Apache-2.0"), "registry+x"),
        package("arrow", "59.0.0", Some("Apache-2.0"), "registry+x"),
        package("arrow", "60.0.0", Some("Apache-2.0"), "registry+x"),
        package("b", "1.0.0", Some("MIT"), "git+x"),
    ]);
    assert_eq!(
        found,
        [
            "openssl 0.10.0: is banned by deny.toml",
            "b 1.0.0: does not come from a registry",
            "arrow: stands in the tree in 2 versions: {\"59.0.0\", \"60.0.0\"}",
        ]
    );
}

#[test]
fn licence_expressions_follow_their_grammar() {
    let mit = |licence: &str| licence == "MIT";
    let holds = |text| expression::holds(text, &mit);
    assert_eq!(holds("MIT"), Some(true));
    assert_eq!(holds("GPL-3.0"), Some(false));
    assert_eq!(holds("GPL-3.0 OR MIT"), Some(true));
    assert_eq!(holds("GPL-3.0/MIT"), Some(true));
    assert_eq!(holds("MIT AND GPL-3.0 OR ISC"), Some(false));
    assert_eq!(holds("(GPL-3.0 OR MIT) AND MIT"), Some(true));
    assert_eq!(holds("MIT WITH some-exception"), Some(true));
    assert_eq!(holds(""), None);
    assert_eq!(holds("MIT OR"), None);
    assert_eq!(holds("(MIT"), None);
    assert_eq!(holds("MIT MIT"), None);
}
