//! Sessions: what `SET` and `USE` said in one request holds for the later ones of the same user and `session_id`.
//!
//! Promises: one request at a time uses a session; the number of sessions and their settings are bounded, for all
//! and for each user; a session that nobody uses is forgotten after its time. A user that has too many loses
//! first those in which nothing was set, the oldest before the others: forgetting them changes no answer.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use zepto_common::limits::{
    SESSION_BYTES_MAX, SESSION_TIME_DEFAULT, SESSION_TIME_MAX, SESSIONS_MAX, SESSIONS_PER_USER_MAX,
};
use zepto_common::{Error, ErrorCode, Result};

use crate::params::Parameters;
use crate::settings::ID_BYTES_MAX;

/// Settings by name; the database that `USE` named is among them, as `database`.
pub(crate) type Remembered = BTreeMap<String, String>;

/// What a request says about its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    id: String,
    time: Duration,
    must_exist: bool,
    close: bool,
}

impl Wanted {
    /// The session that the parameters name; None without an id.
    ///
    /// # Errors
    /// `InvalidSessionTimeout`; `BadArguments` for an id that is too long.
    pub(crate) fn of(parameters: &Parameters) -> Result<Option<Self>> {
        let time = match parameters.get("session_timeout") {
            Some(text) => timeout(text)?,
            None => SESSION_TIME_DEFAULT,
        };
        let id = parameters.get("session_id").unwrap_or_default().to_owned();
        if id.is_empty() {
            return Ok(None);
        }
        if id.len() > ID_BYTES_MAX {
            let text = format!("session_id has at most {ID_BYTES_MAX} bytes");
            return Err(Error::new(ErrorCode::BadArguments, text));
        }
        let (must_exist, close) =
            (parameters.has_flag("session_check"), parameters.has_flag("close_session"));
        Ok(Some(Self { id, time, must_exist, close }))
    }
}

fn timeout(text: &str) -> Result<Duration> {
    let invalid = |what: String| Error::new(ErrorCode::InvalidSessionTimeout, what);
    let seconds: u64 =
        text.parse().map_err(|_| invalid(format!("Invalid session timeout: '{}'", text.escape_debug())))?;
    let most = SESSION_TIME_MAX.as_secs();
    if seconds > most {
        return Err(invalid(format!("Session timeout '{seconds}' is larger than {most}")));
    }
    Ok(Duration::from_secs(seconds))
}

#[derive(Debug, Default)]
struct Session {
    remembered: Arc<Remembered>,
    in_use: bool,
    /// When it is forgotten, unless it is in use.
    until: Option<Instant>,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        !self.in_use && self.until.is_none_or(|until| until <= now)
    }
}

#[derive(Default)]
struct Table {
    users: HashMap<String, HashMap<String, Session>>,
    count: usize,
}

/// The sessions of one door.
#[derive(Default)]
pub(crate) struct Sessions {
    table: Mutex<Table>,
}

impl Sessions {
    /// Takes a session for one request.
    ///
    /// # Errors
    /// `SessionNotFound` for one that must exist and does not, `SessionIsLocked` for one in use,
    /// `UserSessionLimitExceeded` when there is no room for another one.
    pub(crate) fn take(self: &Arc<Self>, user: &str, wanted: Wanted, now: Instant) -> Result<Lease> {
        let mut table = self.table.lock();
        table.forget(user, &wanted.id, now);
        let known = table.users.get_mut(user).and_then(|sessions| sessions.get_mut(&wanted.id));
        let remembered = match known {
            Some(session) if session.in_use => {
                let text = format!("Session {} is locked by a concurrent client", wanted.id.escape_debug());
                return Err(Error::new(ErrorCode::SessionIsLocked, text));
            }
            Some(session) => {
                session.in_use = true;
                session.remembered.clone()
            }
            None if wanted.must_exist => {
                let text = format!("Session {} not found", wanted.id.escape_debug());
                return Err(Error::new(ErrorCode::SessionNotFound, text));
            }
            None => {
                table.make_room(user)?;
                let sessions = table.users.entry(user.to_owned()).or_default();
                sessions.insert(wanted.id.clone(), Session { in_use: true, ..Session::default() });
                table.count += 1;
                Arc::default()
            }
        };
        drop(table);
        Ok(Lease { sessions: self.clone(), user: user.to_owned(), wanted, remembered })
    }

    /// Forgets the sessions whose time is over.
    pub(crate) fn expire(&self, now: Instant) {
        let mut table = self.table.lock();
        let table = &mut *table;
        table.users.retain(|_, sessions| {
            let before = sessions.len();
            sessions.retain(|_, session| !session.is_over(now));
            table.count -= before - sessions.len();
            !sessions.is_empty()
        });
    }

    /// Sessions that are remembered.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.table.lock().count
    }
}

impl Table {
    /// Forgets a session if its time is over.
    fn forget(&mut self, user: &str, id: &str, now: Instant) {
        if let Some(sessions) = self.users.get_mut(user)
            && sessions.get(id).is_some_and(|session| session.is_over(now))
        {
            sessions.remove(id);
            self.count -= 1;
        }
    }

    fn make_room(&mut self, user: &str) -> Result<()> {
        let sessions = self.users.get_mut(user);
        let own = sessions.as_ref().map_or(0, |sessions| sessions.len());
        if own < SESSIONS_PER_USER_MAX && self.count < SESSIONS_MAX {
            return Ok(());
        }
        let sessions = sessions.into_iter().flatten();
        let free = sessions.filter(|(_, session)| !session.in_use && session.remembered.is_empty());
        let oldest = free.min_by_key(|(_, session)| session.until).map(|(id, _)| id.clone());
        let removed =
            oldest.and_then(|id| self.users.get_mut(user).and_then(|sessions| sessions.remove(&id)));
        if removed.is_none() {
            let text =
                "Too many sessions are open; close some with close_session=1 or wait for their timeout";
            return Err(Error::new(ErrorCode::UserSessionLimitExceeded, text));
        }
        self.count -= 1;
        Ok(())
    }
}

/// A session in use by one request; free again when this is dropped.
pub(crate) struct Lease {
    sessions: Arc<Sessions>,
    user: String,
    wanted: Wanted,
    remembered: Arc<Remembered>,
}

impl Lease {
    /// The id that the client gave it.
    pub(crate) fn id(&self) -> &str {
        &self.wanted.id
    }

    /// What was set before this request.
    pub(crate) fn remembered(&self) -> &Remembered {
        &self.remembered
    }

    /// Sets these over what is remembered.
    ///
    /// # Errors
    /// `BadArguments` when the session's settings become too large.
    pub(crate) fn remember(&self, settings: &Remembered) -> Result<()> {
        let mut merged = (*self.remembered).clone();
        merged.extend(settings.clone());
        if merged.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > SESSION_BYTES_MAX {
            let text = format!("the settings of a session have more than {SESSION_BYTES_MAX} bytes");
            return Err(Error::new(ErrorCode::BadArguments, text));
        }
        let mut table = self.sessions.table.lock();
        let sessions = table.users.get_mut(&self.user);
        if let Some(session) = sessions.and_then(|sessions| sessions.get_mut(&self.wanted.id)) {
            session.remembered = Arc::new(merged);
        }
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut table = self.sessions.table.lock();
        let Some(sessions) = table.users.get_mut(&self.user) else { return };
        if self.wanted.close {
            let closed = sessions.remove(&self.wanted.id).is_some();
            let last = sessions.is_empty();
            table.count -= usize::from(closed);
            if last {
                table.users.remove(&self.user);
            }
        } else if let Some(session) = sessions.get_mut(&self.wanted.id) {
            session.in_use = false;
            session.until = Instant::now().checked_add(self.wanted.time);
        }
    }
}
