use super::*;

fn file_with(keys: &[(&str, Role)]) -> (tempfile::TempDir, PathBuf, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let mut texts = Vec::new();
    for (name, role) in keys {
        let (text, record) = create_key(name, *role).unwrap();
        append_key(&path, &record).unwrap();
        texts.push(text);
    }
    (dir, path, texts)
}

fn password(user: &str, password: &str) -> Credentials {
    Credentials::Password { user: user.to_owned(), password: password.to_owned() }
}

#[test]
fn a_key_is_recognised_as_bearer_and_as_password_of_its_name() {
    let (_dir, path, keys) = file_with(&[("grafana", Role::Reader), ("loader", Role::Writer)]);
    let auth = Authenticator::from_file(&path).unwrap();
    let loader = Subject { name: "loader".into(), role: Role::Writer };
    assert_eq!(auth.authenticate(&Credentials::Bearer(keys[1].clone())).unwrap(), loader);
    assert_eq!(auth.authenticate(&password("loader", &keys[1])).unwrap(), loader);
    assert_eq!(auth.authenticate(&password("", &keys[1])).unwrap(), loader);
    assert_eq!(auth.authenticate(&password("default", &keys[1])).unwrap(), loader);
    let wrong = auth.authenticate(&password("grafana", &keys[1])).unwrap_err();
    assert_eq!(wrong.code, ErrorCode::AuthenticationFailed);
}

#[test]
fn a_key_changed_in_any_character_is_refused() {
    let (_dir, path, keys) = file_with(&[("a", Role::Admin)]);
    let auth = Authenticator::from_file(&path).unwrap();
    for index in 0..keys[0].len() {
        let mut bytes = keys[0].clone().into_bytes();
        bytes[index] = if bytes[index] == b'x' { b'y' } else { b'x' };
        let key = String::from_utf8(bytes).unwrap();
        assert!(auth.authenticate(&Credentials::Bearer(key)).is_err(), "character {index}");
    }
    for odd in ["", "zk_", "zk_ümläut", "default", &keys[0][..20], &format!("{} ", keys[0])] {
        assert!(auth.authenticate(&Credentials::Bearer(odd.into())).is_err(), "{odd}");
        assert!(auth.authenticate(&password("default", odd)).is_err(), "{odd}");
    }
}

#[test]
fn the_default_user_needs_no_password_only_without_a_key_file() {
    let open = Authenticator::open();
    assert_eq!(open.authenticate(&password("default", "")).unwrap().role, Role::Admin);
    assert_eq!(open.authenticate(&Credentials::None).unwrap().role, Role::Admin);
    assert!(open.authenticate(&password("default", "guess")).is_err());
    assert!(open.authenticate(&password("root", "")).is_err());
    assert!(open.authenticate(&Credentials::Bearer("zk_x".into())).is_err());
    let (_dir, path, _) = file_with(&[("a", Role::Admin)]);
    let keyed = Authenticator::from_file(&path).unwrap();
    assert_eq!(keyed.authenticate(&password("default", "")).unwrap_err().code.http_status(), 403);
    assert_eq!(keyed.authenticate(&Credentials::None).unwrap_err().code.http_status(), 401);
}

#[test]
fn an_empty_key_file_lets_nobody_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    std::fs::write(&path, "# nobody yet\n\n").unwrap();
    let auth = Authenticator::from_file(&path).unwrap();
    assert!(!auth.is_open());
    assert!(auth.authenticate(&password("default", "")).is_err());
}

#[test]
fn a_changed_file_is_in_force_after_refresh_and_a_broken_one_changes_nothing() {
    let (_dir, path, keys) = file_with(&[("a", Role::Admin)]);
    let auth = Authenticator::from_file(&path).unwrap();
    assert!(!auth.refresh().unwrap());
    let (second, record) = create_key("b", Role::Reader).unwrap();
    append_key(&path, &record).unwrap();
    assert!(auth.refresh().unwrap());
    assert_eq!(auth.authenticate(&Credentials::Bearer(second.clone())).unwrap().name, "b");
    std::fs::write(&path, "{ not a record").unwrap();
    assert!(auth.refresh().unwrap_err().message.contains("line 1"));
    assert!(!auth.refresh().unwrap(), "the fault is told once");
    assert!(auth.authenticate(&Credentials::Bearer(keys[0].clone())).is_ok());
    std::fs::remove_file(&path).unwrap();
    assert!(auth.refresh().is_err());
    assert!(auth.authenticate(&Credentials::Bearer(second)).is_ok());
}

#[test]
fn a_disabled_key_is_refused() {
    let (text, mut record) = create_key("a", Role::Admin).unwrap();
    record.disabled = true;
    let ring = Keyring::parse(&serde_json::to_string(&record).unwrap()).unwrap();
    assert_eq!((ring.len(), ring.is_empty()), (1, false));
    assert!(ring.find(&text, None).is_none());
}

#[test]
fn a_file_with_a_fault_is_refused_by_line() {
    let (_, record) = create_key("a", Role::Admin).unwrap();
    let line = serde_json::to_string(&record).unwrap();
    let twice = format!("{line}\n{line}");
    for (text, part) in [
        (twice.as_str(), "line 2"),
        ("\n{}", "line 2"),
        (&line.replace("\"role\"", "\"rolle\""), "line 1"),
        (&line.replace(&record.salt, "00"), "salt"),
        (&line.replace(&record.hash, &record.hash.replace(|c: char| c.is_ascii_hexdigit(), "g")), "hash"),
        (&line.replace("admin", "emperor"), "emperor"),
    ] {
        let error = Keyring::parse(text).unwrap_err();
        assert!(error.message.contains(part), "{text}: {error}");
    }
}

#[test]
fn the_file_and_debug_output_never_show_a_secret() {
    let (_dir, path, keys) = file_with(&[("a", Role::Admin)]);
    assert!(!std::fs::read_to_string(&path).unwrap().contains(&keys[0][11..]));
    let shown = format!("{:?} {:?}", Credentials::Bearer(keys[0].clone()), password("u", &keys[0]));
    assert!(!shown.contains("zk_"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn two_keys_never_meet_and_bad_names_are_refused() {
    let (one, _) = create_key("a", Role::Admin).unwrap();
    let (two, _) = create_key("a", Role::Admin).unwrap();
    assert_ne!(one, two);
    assert_eq!(one.len(), KEY_PREFIX.len() + KEY_CHARS);
    for name in ["", "a\nb", &"x".repeat(300)] {
        assert!(create_key(name, Role::Reader).is_err());
    }
}

#[test]
fn a_made_key_and_a_revoked_one_are_in_force_at_once() {
    let (_dir, path, keys) = file_with(&[("root", Role::Admin)]);
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("# ours\n\n{}", before.trim_end())).unwrap();
    let auth = Authenticator::from_file(&path).unwrap();
    let (text, made) = auth.create("grafana", Role::Reader).unwrap();
    assert_eq!(auth.authenticate(&Credentials::Bearer(text.clone())).unwrap().name, "grafana");
    let listed = auth.list().unwrap();
    assert_eq!(listed.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["root", "grafana"]);
    assert_eq!(listed[1], made);
    assert!(text.starts_with(&format!("zk_{}", made.id)));
    let shown = serde_json::to_string(&listed).unwrap();
    assert!(!shown.contains("hash") && !shown.contains("salt") && !shown.contains(&text[12..]), "{shown}");

    assert!(auth.revoke(&made.id).unwrap());
    assert!(!auth.revoke(&made.id).unwrap(), "it is gone");
    assert!(auth.authenticate(&Credentials::Bearer(text)).is_err());
    assert!(auth.authenticate(&Credentials::Bearer(keys[0].clone())).is_ok());
    let after = std::fs::read_to_string(&path).unwrap();
    assert_eq!(after.trim_end(), format!("# ours\n\n{}", before.trim_end()), "other lines stay as they are");
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1,
        "nothing is left beside the file"
    );
}

#[test]
fn the_last_admin_key_stays_and_a_node_without_a_file_makes_no_keys() {
    let (_dir, path, keys) = file_with(&[("root", Role::Admin), ("loader", Role::Writer)]);
    let auth = Authenticator::from_file(&path).unwrap();
    let id = &keys[0]["zk_".len()..][..8];
    let error = auth.revoke(id).unwrap_err();
    assert!(error.message.contains("last admin"), "{error}");
    assert!(auth.authenticate(&Credentials::Bearer(keys[0].clone())).is_ok());
    auth.create("second", Role::Admin).unwrap();
    assert!(auth.revoke(id).unwrap());
    assert!(auth.authenticate(&Credentials::Bearer(keys[0].clone())).is_err());
    let open = Authenticator::open();
    for error in
        [open.list().unwrap_err(), open.create("a", Role::Reader).unwrap_err(), open.revoke("a").unwrap_err()]
    {
        assert_eq!(error.code, ErrorCode::BadArguments);
    }
}

#[test]
fn a_change_beside_anothers_change_is_refused_and_a_broken_file_is_not_overwritten() {
    let (dir, path, _) = file_with(&[("root", Role::Admin)]);
    let auth = Authenticator::from_file(&path).unwrap();
    let folder = std::fs::File::open(dir.path()).unwrap();
    folder.try_lock().unwrap();
    assert!(auth.create("a", Role::Reader).unwrap_err().message.contains("another process"));
    folder.unlock().unwrap();
    auth.create("a", Role::Reader).unwrap();
    std::fs::write(&path, "{ by hand").unwrap();
    assert!(auth.create("b", Role::Reader).is_err());
    assert!(auth.revoke("x").is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{ by hand");
}
