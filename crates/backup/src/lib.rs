//! Backups: segment files of the storage nodes' snapshots and manifests that name them, in a folder or in S3.
