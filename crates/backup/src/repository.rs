//! Where backups lie: a folder, or a bucket of S3.

mod lock;
mod prune;

use std::io::Read;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    ClientConfigKey, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, WriteMultipart,
};
use tokio::io::AsyncWriteExt;
use xxhash_rust::xxh3::Xxh3;
use zepto_common::{Error, ErrorCode, Result};

use crate::document::{Backup, StoredFile};

pub use lock::Lock;
pub use prune::Pruned;

/// The folder of the documents.
const BACKUPS: &str = "backups";
/// The folder of the segments.
const SEGMENTS: &str = "segments";
/// The name of a document.
const DOCUMENT: &str = "BACKUP.json";
/// Bytes of a file that is read whole.
const SMALL_MAX: u64 = 256 << 20;
/// Bytes of one part of an upload; S3 takes no smaller ones, and 10,000 of them.
const PART: usize = 16 << 20;
/// Parts on their way at once.
const PARTS: usize = 2;
/// How long a connection to S3 may take, as the client's settings are written.
const S3_CONNECT_TIME: &str = "10 seconds";
/// How long one request may take; the library tries it ten times within three minutes, and goes on reading where it was cut.
const S3_REQUEST_TIME: &str = "5 minutes";
/// Bytes read at once.
const PIECE: usize = 256 << 10;

/// How S3 is reached, beside what the environment says (`AWS_…`, a web identity, the machine's role).
#[derive(Debug, Clone, Default)]
pub struct S3Options {
    /// Another server than Amazon's.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
}

/// A place for backups.
#[derive(Debug, Clone)]
pub struct Repository {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// As it was named.
    root: String,
    /// Of one that is a folder.
    folder: Option<PathBuf>,
}

impl Repository {
    /// A place, by its address: `s3://bucket/prefix`, or a folder, which is made if `make`.
    ///
    /// # Errors
    /// `BadArguments` for an address that is none; `CannotOpenFile` for a folder that is not there or cannot be made.
    pub fn open(root: &str, options: &S3Options, make: bool) -> Result<Self> {
        if let Some(rest) = root.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let mut builder = AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), S3_CONNECT_TIME)
                .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), S3_REQUEST_TIME);
            if let Some(endpoint) = &options.endpoint {
                builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
            }
            if let Some(region) = &options.region {
                builder = builder.with_region(region);
            }
            let bad = |error: &dyn std::fmt::Display| {
                Error::new(ErrorCode::BadArguments, format!("{root}: {error}"))
            };
            let store = builder.build().map_err(|error| bad(&error))?;
            let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| bad(&error))?;
            return Ok(Self { store: Arc::new(store), prefix, root: root.to_owned(), folder: None });
        }
        let path = root.strip_prefix("file://").unwrap_or(root);
        if path.contains("://") {
            let message = format!("{root}: backups lie in a folder or below s3://bucket/prefix");
            return Err(Error::new(ErrorCode::BadArguments, message));
        }
        let cannot =
            |error: &dyn std::fmt::Display| Error::new(ErrorCode::CannotOpenFile, format!("{root}: {error}"));
        if make {
            std::fs::create_dir_all(path).map_err(|error| cannot(&error))?;
        }
        let folder = std::fs::canonicalize(path).map_err(|error| cannot(&error))?;
        let store = LocalFileSystem::new_with_prefix(&folder).map_err(|error| cannot(&error))?;
        Ok(Self {
            store: Arc::new(store),
            prefix: Path::default(),
            root: root.to_owned(),
            folder: Some(folder),
        })
    }

    /// Where it is, as it was named.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    fn place(&self, at: &str) -> Path {
        let parts = self.prefix.parts().map(|part| part.as_ref().to_owned());
        Path::from_iter(parts.chain(at.split('/').map(str::to_owned)))
    }

    fn fault(&self, code: ErrorCode, at: &str, error: &dyn std::fmt::Display) -> Error {
        Error::new(code, format!("{}/{at}: {error}", self.root))
    }

    /// Where the document of a backup lies.
    fn document(name: &str) -> String {
        format!("{BACKUPS}/{name}/{DOCUMENT}")
    }

    /// Where a segment lies, by its key.
    #[must_use]
    pub fn segment_at(key: &str) -> String {
        format!("{SEGMENTS}/{key}.parquet")
    }

    /// All backups, the oldest first.
    ///
    /// # Errors
    /// The store's; `CorruptedData` for a document that cannot be read.
    pub async fn backups(&self) -> Result<Vec<Backup>> {
        let listed = self.store.list_with_delimiter(Some(&self.place(BACKUPS))).await;
        let listed = listed.map_err(|error| self.fault(ErrorCode::CannotReadAllData, BACKUPS, &error))?;
        let mut backups = Vec::new();
        for folder in listed.common_prefixes {
            let Some(name) = folder.filename() else { continue };
            match self.backup(name).await {
                Ok(backup) => backups.push(backup),
                // One that is being written, or was given up.
                Err(error) if error.code == ErrorCode::BadArguments => {}
                Err(error) => return Err(error),
            }
        }
        backups.sort_by(|one, other| (one.created_nanos, &one.name).cmp(&(other.created_nanos, &other.name)));
        Ok(backups)
    }

    /// One backup.
    ///
    /// # Errors
    /// `BadArguments` when there is none of this name; the store's; `CorruptedData`.
    pub async fn backup(&self, name: &str) -> Result<Backup> {
        crate::document::check_name(name)?;
        let at = Self::document(name);
        let bytes = match self.store.get(&self.place(&at)).await {
            Ok(found) => found.bytes().await,
            Err(object_store::Error::NotFound { .. }) => {
                let message = format!("{} has no backup {name}", self.root);
                return Err(Error::new(ErrorCode::BadArguments, message));
            }
            Err(error) => Err(error),
        };
        let bytes = bytes.map_err(|error| self.fault(ErrorCode::CannotReadAllData, &at, &error))?;
        Backup::decode(&bytes, &format!("{}/{at}", self.root))
    }

    /// Makes a backup exist, whose files are all there.
    ///
    /// # Errors
    /// `BadArguments` when there is one of this name; the store's.
    pub async fn publish(&self, backup: &Backup) -> Result<()> {
        let at = Self::document(&backup.name);
        let options = PutOptions::from(PutMode::Create);
        let put = self.store.put_opts(&self.place(&at), PutPayload::from(backup.encode()?), options).await;
        match put {
            Ok(_) => self.make_durable(&at),
            Err(object_store::Error::AlreadyExists { .. }) => {
                let message = format!("{} has a backup {} already", self.root, backup.name);
                Err(Error::new(ErrorCode::BadArguments, message))
            }
            Err(error) => Err(self.fault(ErrorCode::CannotWriteToFileDescriptor, &at, &error)),
        }
    }

    /// Writes a small file of a backup, in place of one of the same name.
    ///
    /// # Errors
    /// The store's.
    pub async fn put(&self, at: &str, content: Vec<u8>) -> Result<StoredFile> {
        let (bytes, mut digest) = (content.len() as u64, Digest::default());
        digest.add(&content);
        let put = self.store.put(&self.place(at), PutPayload::from(content)).await;
        put.map_err(|error| self.fault(ErrorCode::CannotWriteToFileDescriptor, at, &error))?;
        self.make_durable(at)?;
        Ok(StoredFile { at: at.to_owned(), bytes, xxh3: digest.text() })
    }

    /// Writes a file of this length from a reader, which may block; `seen` is told of the bytes that went. Of a reader that
    /// breaks, or has another length, nothing is left.
    ///
    /// # Errors
    /// The reader's and the store's.
    pub async fn put_from(
        &self,
        at: &str,
        bytes: u64,
        reader: &mut (dyn Read + Send),
        seen: &mut (dyn FnMut(u64) + Send),
    ) -> Result<StoredFile> {
        let fault =
            |error: &dyn std::fmt::Display| self.fault(ErrorCode::CannotWriteToFileDescriptor, at, error);
        let upload = self.store.put_multipart(&self.place(at)).await.map_err(|error| fault(&error))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        let (mut digest, mut read) = (Digest::default(), 0);
        let copied = loop {
            let piece = tokio::task::block_in_place(|| next_piece(reader));
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => break Err(fault(&error)),
            };
            if piece.is_empty() {
                break Ok(());
            }
            digest.add(&piece);
            read += piece.len() as u64;
            seen(piece.len() as u64);
            if let Err(error) = upload.wait_for_capacity(PARTS).await {
                break Err(fault(&error));
            }
            upload.put(piece);
        };
        let copied = match copied {
            Ok(()) if read != bytes => Err(fault(&format!("{read} bytes came instead of {bytes}"))),
            other => other,
        };
        if let Err(error) = copied {
            // What cannot be taken back now is no file yet, and a bucket's own rules remove it.
            let _ = upload.abort().await;
            return Err(error);
        }
        upload.finish().await.map_err(|error| fault(&error))?;
        self.make_durable(at)?;
        Ok(StoredFile { at: at.to_owned(), bytes, xxh3: digest.text() })
    }

    /// A folder's files are durable when they and the folders that name them are; S3's are when they are answered.
    fn make_durable(&self, at: &str) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let synced = || -> std::io::Result<()> {
            let path = folder.join(at);
            std::fs::File::open(&path)?.sync_all()?;
            for above in path.ancestors().skip(1).take_while(|above| above.starts_with(folder)) {
                std::fs::File::open(above)?.sync_all()?;
            }
            Ok(())
        };
        tokio::task::block_in_place(synced).map_err(|error| self.fault(ErrorCode::CannotFsync, at, &error))
    }

    /// A small file, whose digest is verified.
    ///
    /// # Errors
    /// The store's; `CorruptedData` for another content than was written.
    pub async fn get(&self, file: &StoredFile) -> Result<Bytes> {
        if file.bytes > SMALL_MAX {
            return Err(self.fault(ErrorCode::CorruptedData, &file.at, &"larger than such a file can be"));
        }
        let found = self.store.get(&self.place(&file.at)).await;
        let found = found.map_err(|error| self.fault(ErrorCode::CannotReadAllData, &file.at, &error))?;
        let bytes = found.bytes().await;
        let bytes = bytes.map_err(|error| self.fault(ErrorCode::CannotReadAllData, &file.at, &error))?;
        let mut digest = Digest::default();
        digest.add(&bytes);
        self.check(file, bytes.len() as u64, &digest)?;
        Ok(bytes)
    }

    /// A file on the local disk, whose digest is verified: the one in the folder, or one that is fetched into `aside` under
    /// its own name.
    ///
    /// # Errors
    /// The store's; the disk's; `CorruptedData` for another content than was written.
    pub async fn fetch(
        &self,
        file: &StoredFile,
        aside: &FilePath,
        seen: &mut (dyn FnMut(u64) + Send),
    ) -> Result<PathBuf> {
        let cannot =
            |error: &dyn std::fmt::Display| self.fault(ErrorCode::CannotReadAllData, &file.at, error);
        let path = match &self.folder {
            Some(folder) => folder.join(&file.at),
            None => aside.join(file.at.rsplit('/').next().unwrap_or(&file.at)),
        };
        let found = self.store.get(&self.place(&file.at)).await.map_err(|error| cannot(&error))?;
        let mut copy = match &self.folder {
            Some(_) => None,
            None => Some(tokio::fs::File::create(&path).await.map_err(|error| cannot(&error))?),
        };
        let (mut digest, mut read, mut pieces) = (Digest::default(), 0, found.into_stream());
        while let Some(piece) = pieces.try_next().await.map_err(|error| cannot(&error))? {
            digest.add(&piece);
            read += piece.len() as u64;
            seen(piece.len() as u64);
            if let Some(copy) = &mut copy {
                copy.write_all(&piece).await.map_err(|error| cannot(&error))?;
            }
        }
        if let Some(mut copy) = copy {
            copy.flush().await.map_err(|error| cannot(&error))?;
        }
        self.check(file, read, &digest)?;
        Ok(path)
    }

    /// Whether files that were fetched are copies, which the caller removes.
    #[must_use]
    pub fn fetches_copies(&self) -> bool {
        self.folder.is_none()
    }

    fn check(&self, file: &StoredFile, bytes: u64, digest: &Digest) -> Result<()> {
        if bytes != file.bytes || digest.text() != file.xxh3 {
            let what = format!(
                "it has {bytes} bytes and XXH3 {}, the backup says {} and {}",
                digest.text(),
                file.bytes,
                file.xxh3
            );
            return Err(self.fault(ErrorCode::CorruptedData, &file.at, &what));
        }
        Ok(())
    }
}

fn next_piece(reader: &mut (dyn Read + Send)) -> std::io::Result<Bytes> {
    let mut piece = Vec::with_capacity(PIECE);
    reader.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(Bytes::from(piece))
}

/// XXH3-128 of what went by.
#[derive(Default)]
struct Digest(Xxh3);

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn text(&self) -> String {
        format!("{:032x}", self.0.digest128())
    }
}
