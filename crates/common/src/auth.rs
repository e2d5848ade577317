//! Who is asking: API keys, their file, and the check of what a request brought.
//!
//! A key is `zk_` and 43 characters of base64url (256 random bits). Its first eight characters are its *id* and
//! may be shown; the rest is the secret. The key file holds one JSON object per line with the salted SHA-256 of
//! the whole key, never the key. Promises: the comparison takes the same time for a right and a wrong key, an
//! unknown id costs as much as a known one, and a file that cannot be read whole changes nothing.

mod file;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, ErrorCode, Result};
use crate::service::Role;

pub use file::{FileStamp, append_key};

/// Every key begins with this.
pub const KEY_PREFIX: &str = "zk_";
/// Characters after the prefix that name the key.
const ID_CHARS: usize = 8;
/// Characters after the prefix in all: 32 bytes as base64url without padding.
const KEY_CHARS: usize = 43;
/// The user that ClickHouse's clients send when none is configured.
pub const DEFAULT_USER: &str = "default";

/// What a request brought to say who it is. `Debug` hides the secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing at all.
    None,
    /// `Authorization: Bearer`.
    Bearer(String),
    /// A name with a password: Basic, the ClickHouse headers, or the URL.
    Password {
        /// The name; empty means [`DEFAULT_USER`].
        user: String,
        /// The password: an API key, or empty.
        password: String,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bearer(_) => f.write_str("Bearer(<hidden>)"),
            Self::Password { user, .. } => write!(f, "Password {{ user: {user:?}, password: <hidden> }}"),
        }
    }
}

/// Someone who has been recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The key's name, or [`DEFAULT_USER`] on a node without keys.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// One line of the key file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// First characters of the key after its prefix; unique in the file.
    pub id: String,
    /// Whom the key stands for; also the user name where a client wants one.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// 16 random bytes, hexadecimal.
    pub salt: String,
    /// SHA-256 of the salt's bytes followed by the key's text, hexadecimal.
    pub hash: String,
    /// When it was made, RFC 3339, for people.
    #[serde(default)]
    pub created: String,
    /// Refused while true.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
}

impl KeyRecord {
    fn parse(line: &str) -> serde_json::Result<Self> {
        serde_json::from_str(line)
    }
}

/// What may be shown of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// First characters of the key after its prefix.
    pub id: String,
    /// Whom the key stands for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made, RFC 3339; may be empty.
    pub created: String,
    /// Refused while true.
    pub disabled: bool,
}

impl From<KeyRecord> for KeyInfo {
    fn from(record: KeyRecord) -> Self {
        let KeyRecord { id, name, role, created, disabled, salt: _, hash: _ } = record;
        Self { id, name, role, created, disabled }
    }
}

/// Makes a key: its text, to be shown once, and the record to keep.
///
/// # Errors
/// `BadArguments` for a name that is empty, too long or has control characters.
pub fn create_key(name: &str, role: Role) -> Result<(String, KeyRecord)> {
    if name.is_empty() || name.len() > crate::limits::NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(Error::new(ErrorCode::BadArguments, "a key's name has 1 to 256 bytes of printable text"));
    }
    let secret: [u8; 32] = rand::random();
    let salt: [u8; 16] = rand::random();
    let text = URL_SAFE_NO_PAD.encode(secret);
    let record = KeyRecord {
        id: text[..ID_CHARS].to_owned(),
        name: name.to_owned(),
        role,
        salt: to_hex(&salt),
        hash: to_hex(&digest(&salt, &format!("{KEY_PREFIX}{text}"))),
        created: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        disabled: false,
    };
    Ok((format!("{KEY_PREFIX}{text}"), record))
}

/// A record with its hexadecimal fields decoded.
#[derive(Debug, Clone)]
struct Entry {
    name: String,
    role: Role,
    salt: [u8; 16],
    hash: [u8; 32],
    disabled: bool,
}

/// All keys of one file; immutable.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    by_id: HashMap<String, Entry>,
}

impl Keyring {
    /// Reads a key file's text. Empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// `InvalidConfigParameter` naming the line, for anything that is not a record, and for an id that comes twice.
    pub fn parse(text: &str) -> Result<Self> {
        let mut by_id = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fault = |what: &str| {
                Error::new(ErrorCode::InvalidConfigParameter, format!("key file, line {}: {what}", index + 1))
            };
            let record = KeyRecord::parse(line).map_err(|error| fault(&error.to_string()))?;
            let salt = from_hex(&record.salt).ok_or_else(|| fault("salt is not 16 bytes of hexadecimal"))?;
            let hash = from_hex(&record.hash).ok_or_else(|| fault("hash is not 32 bytes of hexadecimal"))?;
            let entry = Entry { name: record.name, role: record.role, salt, hash, disabled: record.disabled };
            if by_id.insert(record.id, entry).is_some() {
                return Err(fault("this id stands in the file already"));
            }
        }
        Ok(Self { by_id })
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The subject of a key, or None. With a `user` the key must also be of that name.
    #[must_use]
    pub fn find(&self, key: &str, user: Option<&str>) -> Option<Subject> {
        let text = key.strip_prefix(KEY_PREFIX).filter(|text| text.len() == KEY_CHARS && text.is_ascii());
        let entry = text.and_then(|text| self.by_id.get(&text[..ID_CHARS]));
        // A stranger's key is hashed like a known one, so that the time does not tell which ids exist.
        let (salt, expected) = entry.map_or(([0; 16], [0; 32]), |entry| (entry.salt, entry.hash));
        let same = bool::from(digest(&salt, key).ct_eq(&expected));
        let entry = entry.filter(|entry| same && !entry.disabled)?;
        if user.is_some_and(|user| user != entry.name) {
            return None;
        }
        Some(Subject { name: entry.name.clone(), role: entry.role })
    }
}

/// Recognises subjects: by a key file that may change while the process runs, or not at all.
#[derive(Debug)]
pub struct Authenticator {
    keys: Option<KeyFile>,
}

#[derive(Debug)]
struct KeyFile {
    path: PathBuf,
    ring: ArcSwap<Keyring>,
    /// Held while the file is read or changed.
    seen: Mutex<Option<FileStamp>>,
}

impl KeyFile {
    /// Changes the file; the keys in it are in force when this returns.
    fn change(&self, edit: impl FnOnce(&str) -> Result<Option<String>>) -> Result<()> {
        let mut seen = self.seen.lock();
        let text = file::change(&self.path, edit)?;
        // Another process may have changed the file before the stamp was taken: the next look reads it again.
        *seen = None;
        self.ring.store(Arc::new(Keyring::parse(&text)?));
        Ok(())
    }
}

impl Authenticator {
    /// Without keys: [`DEFAULT_USER`] with an empty password, or nobody in particular, is admin.
    #[must_use]
    pub fn open() -> Self {
        Self { keys: None }
    }

    /// With the keys of this file.
    ///
    /// # Errors
    /// `InvalidConfigParameter` for a file that cannot be read or is not a key file.
    pub fn from_file(path: &Path) -> Result<Self> {
        let seen = FileStamp::of(path);
        let ring = Keyring::parse(&file::read(path)?)?;
        let keys =
            KeyFile { path: path.to_owned(), ring: ArcSwap::from_pointee(ring), seen: Mutex::new(seen) };
        Ok(Self { keys: Some(keys) })
    }

    /// Whether nobody needs a key.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.keys.is_none()
    }

    /// Reads the key file again if it was changed; true if the keys in force are new ones. Blocks on the disk.
    ///
    /// # Errors
    /// As [`Self::from_file`]; the keys in force stay.
    pub fn refresh(&self) -> Result<bool> {
        let Some(keys) = &self.keys else { return Ok(false) };
        let mut seen = keys.seen.lock();
        let now = FileStamp::of(&keys.path);
        if *seen == now {
            return Ok(false);
        }
        // Noted before the file is read: a fault is told once, and a change during the read is seen next time.
        *seen = now;
        keys.ring.store(Arc::new(Keyring::parse(&file::read(&keys.path)?)?));
        Ok(true)
    }

    fn keys(&self) -> Result<&KeyFile> {
        let none = "this node has no file of API keys: start it with --api-keys-file";
        self.keys.as_ref().ok_or_else(|| Error::new(ErrorCode::BadArguments, none))
    }

    /// The keys that stand in the file now, in its order. Blocks on the disk.
    ///
    /// # Errors
    /// `BadArguments` on a node without a key file; as [`Self::from_file`].
    pub fn list(&self) -> Result<Vec<KeyInfo>> {
        let text = file::read(&self.keys()?.path)?;
        Keyring::parse(&text)?;
        Ok(text.lines().filter_map(|line| KeyRecord::parse(line.trim()).ok()).map(KeyInfo::from).collect())
    }

    /// Makes a key and puts it in force: its text, to be shown once, and what may be shown again. Blocks on the disk.
    ///
    /// # Errors
    /// `BadArguments` on a node without a key file and for a bad name; as [`append_key`].
    pub fn create(&self, name: &str, role: Role) -> Result<(String, KeyInfo)> {
        let keys = self.keys()?;
        let (text, record) = create_key(name, role)?;
        let line = serde_json::to_string(&record).map_err(|error| Error::internal(error.to_string()))?;
        keys.change(|before| {
            let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
            Ok(Some(format!("{before}{gap}{line}\n")))
        })?;
        Ok((text, record.into()))
    }

    /// Takes a key out of the file and out of force; false if there is none of this id. Blocks on the disk.
    ///
    /// # Errors
    /// `BadArguments` on a node without a key file, and for the last admin key, without which nobody could make
    /// another; as [`append_key`].
    pub fn revoke(&self, id: &str) -> Result<bool> {
        let mut found = false;
        self.keys()?.change(|before| {
            let record = |line: &str| KeyRecord::parse(line.trim()).ok();
            let (gone, kept): (Vec<&str>, Vec<&str>) = before
                .split_inclusive('\n')
                .partition(|line| record(line).is_some_and(|record| record.id == id));
            found = !gone.is_empty();
            let is_admin =
                |line: &&str| record(line).is_some_and(|key| key.role == Role::Admin && !key.disabled);
            if gone.iter().any(is_admin) && !kept.iter().any(is_admin) {
                let text = "this is the last admin key: make another one first";
                return Err(Error::new(ErrorCode::BadArguments, text));
            }
            Ok(found.then(|| kept.concat()))
        })?;
        Ok(found)
    }

    /// Who this is.
    ///
    /// # Errors
    /// `RequiredPassword` (401) when nothing was brought and a key is needed, else `AuthenticationFailed` (403).
    pub fn authenticate(&self, credentials: &Credentials) -> Result<Subject> {
        let found = match (&self.keys, credentials) {
            (None, Credentials::None) => Some(open_subject()),
            (None, Credentials::Password { user, password }) => {
                (password.is_empty() && (user.is_empty() || user == DEFAULT_USER)).then(open_subject)
            }
            (None, Credentials::Bearer(_)) => None,
            (Some(_), Credentials::None) => {
                return Err(Error::new(ErrorCode::RequiredPassword, "this node needs an API key"));
            }
            (Some(keys), Credentials::Bearer(key)) => keys.ring.load().find(key, None),
            (Some(keys), Credentials::Password { user, password }) => {
                // Many tools cannot leave the user name out: `default` stands for whoever the key names.
                let user = Some(user.as_str()).filter(|user| !user.is_empty() && *user != DEFAULT_USER);
                keys.ring.load().find(password, user)
            }
        };
        found.ok_or_else(|| {
            let who = match credentials {
                Credentials::Password { user, .. } if !user.is_empty() => user,
                _ => DEFAULT_USER,
            };
            let text = "Authentication failed: password is incorrect, or there is no user with such name";
            Error::new(ErrorCode::AuthenticationFailed, format!("{}: {text}", who.escape_debug()))
        })
    }
}

fn open_subject() -> Subject {
    Subject { name: DEFAULT_USER.to_owned(), role: Role::Admin }
}

fn digest(salt: &[u8; 16], key: &str) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(key.as_bytes()).finalize().into()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}
