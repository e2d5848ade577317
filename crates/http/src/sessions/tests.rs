use super::*;

fn wanted(query: &str) -> Result<Option<Wanted>> {
    Wanted::of(&Parameters::parse(query).unwrap())
}

fn take(sessions: &Arc<Sessions>, user: &str, query: &str, now: Instant) -> Result<Lease> {
    sessions.take(user, wanted(query).unwrap().unwrap(), now)
}

fn set(name: &str, value: &str) -> Remembered {
    [(name.to_owned(), value.to_owned())].into()
}

#[test]
fn what_was_set_holds_for_the_same_user_and_id_only() {
    let (sessions, now) = (Arc::new(Sessions::default()), Instant::now());
    take(&sessions, "u", "session_id=a", now).unwrap().remember(&set("x", "1")).unwrap();
    take(&sessions, "u", "session_id=a", now).unwrap().remember(&set("y", "2")).unwrap();
    let lease = take(&sessions, "u", "session_id=a", now).unwrap();
    assert_eq!((lease.remembered()["x"].as_str(), lease.remembered()["y"].as_str()), ("1", "2"));
    assert!(take(&sessions, "v", "session_id=a", now).unwrap().remembered().is_empty());
    assert!(take(&sessions, "u", "session_id=b", now).unwrap().remembered().is_empty());
}

#[test]
fn a_session_in_use_is_locked_until_its_request_ends() {
    let (sessions, now) = (Arc::new(Sessions::default()), Instant::now());
    let lease = take(&sessions, "u", "session_id=a", now).unwrap();
    assert_eq!(take(&sessions, "u", "session_id=a", now).err().unwrap().code, ErrorCode::SessionIsLocked);
    // Its time does not end while it is in use.
    let much_later = now + Duration::from_secs(10_000);
    sessions.expire(much_later);
    assert_eq!(
        take(&sessions, "u", "session_id=a", much_later).err().unwrap().code,
        ErrorCode::SessionIsLocked
    );
    drop(lease);
    assert!(take(&sessions, "u", "session_id=a", now).is_ok());
}

#[test]
fn a_check_finds_only_what_is_there_and_closing_forgets() {
    let (sessions, now) = (Arc::new(Sessions::default()), Instant::now());
    let check = "session_id=a&session_check=1";
    assert_eq!(take(&sessions, "u", check, now).err().unwrap().code, ErrorCode::SessionNotFound);
    assert_eq!(sessions.count(), 0);
    drop(take(&sessions, "u", "session_id=a", now).unwrap());
    assert!(take(&sessions, "u", check, now).is_ok());
    drop(take(&sessions, "u", "session_id=a&close_session=1", now).unwrap());
    assert_eq!(sessions.count(), 0);
    assert!(sessions.table.lock().users.is_empty());
    assert_eq!(take(&sessions, "u", check, now).err().unwrap().code, ErrorCode::SessionNotFound);
}

#[test]
fn a_session_is_forgotten_after_its_time_and_nothing_is_left_of_it() {
    let (sessions, now) = (Arc::new(Sessions::default()), Instant::now());
    take(&sessions, "u", "session_id=a&session_timeout=10", now).unwrap().remember(&set("x", "1")).unwrap();
    sessions.expire(now + Duration::from_secs(9));
    assert_eq!(sessions.count(), 1);
    // Found over by the request itself, without anyone having looked.
    let later = Instant::now() + Duration::from_secs(11);
    assert!(take(&sessions, "u", "session_id=a", later).unwrap().remembered().is_empty());
    sessions.expire(Instant::now() + Duration::from_secs(61));
    assert_eq!(sessions.count(), 0);
    assert!(sessions.table.lock().users.is_empty());
}

#[test]
fn the_number_is_bounded_and_those_without_settings_go_first() {
    let (sessions, now) = (Arc::new(Sessions::default()), Instant::now());
    take(&sessions, "u", "session_id=keep", now).unwrap().remember(&set("x", "1")).unwrap();
    for i in 0..3 * SESSIONS_PER_USER_MAX {
        take(&sessions, "u", &format!("session_id={i}"), now).unwrap();
    }
    assert_eq!(sessions.count(), SESSIONS_PER_USER_MAX);
    assert_eq!(take(&sessions, "u", "session_id=keep", now).unwrap().remembered()["x"], "1");
    // When something is set in all of them there is no room, but for another user there is.
    for i in 0..SESSIONS_PER_USER_MAX {
        let taken = take(&sessions, "u", &format!("session_id=s{i}"), now);
        if let Ok(lease) = taken {
            lease.remember(&set("x", "1")).unwrap();
        }
    }
    let refused = take(&sessions, "u", "session_id=one-more", now).err().unwrap();
    assert_eq!(refused.code, ErrorCode::UserSessionLimitExceeded);
    assert!(take(&sessions, "v", "session_id=a", now).is_ok());
    let lease = take(&sessions, "v", "session_id=b", now).unwrap();
    assert!(lease.remember(&set("log_comment", &"x".repeat(SESSION_BYTES_MAX))).is_err());
}

#[test]
fn timeouts_and_ids_that_cannot_be_are_refused() {
    assert_eq!(wanted("").unwrap(), None);
    assert_eq!(wanted("session_id=&session_check=1").unwrap(), None);
    for query in [
        "session_id=a&session_timeout=x",
        "session_id=a&session_timeout=-1",
        "session_id=a&session_timeout=3601",
        "session_timeout=",
    ] {
        assert_eq!(wanted(query).unwrap_err().code, ErrorCode::InvalidSessionTimeout, "{query}");
    }
    assert!(wanted("session_id=a&session_timeout=3600").is_ok());
    let long = format!("session_id={}", "x".repeat(129));
    assert_eq!(wanted(&long).unwrap_err().code, ErrorCode::BadArguments);
}
