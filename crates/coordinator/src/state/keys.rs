//! API keys: made anywhere, known and revoked everywhere.

use zepto_common::auth::KeyRecord;
use zepto_common::service::Role;

use super::State;
use super::command::{Reason, Refusal};
use super::limits::KEYS_MAX;

impl State {
    pub(super) fn put_key(&mut self, record: &KeyRecord) -> Result<bool, Refusal> {
        if record.id.is_empty() || record.name.is_empty() {
            return Err(Refusal::new(Reason::BadRequest, "a key has an id and a name"));
        }
        if self.keys.get(&record.id) == Some(record) {
            return Ok(false);
        }
        if self.keys.len() >= KEYS_MAX && !self.keys.contains_key(&record.id) {
            return Err(Refusal::new(
                Reason::LimitReached,
                format!("there are {KEYS_MAX} keys, which is the most"),
            ));
        }
        if record.disabled || record.role != Role::Admin {
            self.require_other_admin(&record.id)?;
        }
        self.keys.insert(record.id.clone(), record.clone());
        self.keys_version += 1;
        Ok(true)
    }

    pub(super) fn revoke_key(&mut self, id: &str) -> Result<bool, Refusal> {
        if !self.keys.contains_key(id) {
            return Ok(false);
        }
        self.require_other_admin(id)?;
        self.keys.remove(id);
        self.keys_version += 1;
        Ok(true)
    }

    /// Without an admin key nobody could make another.
    fn require_other_admin(&self, id: &str) -> Result<(), Refusal> {
        let is_admin = |key: &KeyRecord| key.role == Role::Admin && !key.disabled;
        let was_admin = self.keys.get(id).is_some_and(is_admin);
        if was_admin && !self.keys.values().any(|key| key.id != id && is_admin(key)) {
            let message = "this is the last admin key: make another one first";
            return Err(Refusal::new(Reason::LastAdminKey, message));
        }
        Ok(())
    }
}
