//! What one backup consists of: the file `BACKUP.json`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use zepto_common::names::is_file_name;
use zepto_common::{Error, ErrorCode, Result};

/// The form of the document that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;
/// Bytes of a name.
const NAME_MAX: usize = 80;

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// [`FORMAT`].
    pub format: u32,
    /// Its name.
    pub name: String,
    /// When it was asked for, nanoseconds since 1970 by the wall clock of whoever asked.
    pub created_nanos: i64,
    /// Version of the program that made it.
    pub program: String,
    /// Partitions of the cluster.
    pub partitions: u16,
    /// One snapshot for each storage node that has a part in it, by node.
    pub nodes: Vec<NodePart>,
}

/// A storage node's snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePart {
    /// The node's id.
    pub node: u32,
    /// Version of its catalog.
    pub catalog_version: u64,
    /// The partitions that are read from this snapshot, ascending; each partition from one.
    pub partitions: Vec<u16>,
    /// The files `CATALOG` and `MANIFEST`.
    pub catalog: StoredFile,
    /// See there.
    pub manifest: StoredFile,
    /// The segments, by their place in the snapshot.
    pub segments: BTreeMap<String, StoredFile>,
}

/// A file of the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Where it lies below the root.
    pub at: String,
    /// Bytes of it.
    pub bytes: u64,
    /// XXH3-128 of its content, 32 hex digits.
    pub xxh3: String,
}

impl Backup {
    /// All files, segments among them, each once.
    #[must_use]
    pub fn files(&self) -> Vec<&StoredFile> {
        let all = self
            .nodes
            .iter()
            .flat_map(|node| [&node.catalog, &node.manifest].into_iter().chain(node.segments.values()));
        let mut seen = BTreeSet::new();
        all.filter(|file| seen.insert(&file.at)).collect()
    }

    /// The segments of all nodes, each once.
    #[must_use]
    pub fn segments(&self) -> Vec<&StoredFile> {
        let mut seen = BTreeSet::new();
        let all = self.nodes.iter().flat_map(|node| node.segments.values());
        all.filter(|file| seen.insert(&file.at)).collect()
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files().iter().map(|file| file.bytes).sum()
    }

    /// Reads a document; `from` names it in errors.
    ///
    /// # Errors
    /// `CorruptedData` for what is none, and for one that a newer program wrote.
    pub fn decode(bytes: &[u8], from: &str) -> Result<Self> {
        let damaged = |what: String| Error::new(ErrorCode::CorruptedData, format!("{from}: {what}"));
        let backup: Self = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if backup.format != FORMAT {
            return Err(damaged(format!("it has format {}, this program reads {FORMAT}", backup.format)));
        }
        let listed: Vec<u16> = backup.nodes.iter().flat_map(|node| node.partitions.iter().copied()).collect();
        let distinct: BTreeSet<u16> = listed.iter().copied().collect();
        if listed.len() != distinct.len() || !distinct.iter().copied().eq(0..backup.partitions) {
            return Err(damaged("it does not have every partition once".to_owned()));
        }
        Ok(backup)
    }

    /// The document's bytes.
    ///
    /// # Errors
    /// A broken invariant.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes =
            serde_json::to_vec_pretty(self).map_err(|error| Error::internal(error.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// Whether a backup may have this name.
///
/// # Errors
/// `BadArguments`.
pub fn check_name(name: &str) -> Result<()> {
    if !is_file_name(name, NAME_MAX) {
        let message = format!(
            "a backup's name has 1 to {NAME_MAX} letters, digits, '-', '_' and '.', and does not begin with '.'"
        );
        return Err(Error::new(ErrorCode::BadArguments, message));
    }
    Ok(())
}

/// Which snapshot gives which partition: of those that have it whole the node that has fewest so far, so that a restore reads from all
/// alike. `whole`: by node; None for a node that stands alone.
///
/// # Errors
/// The partitions that no snapshot has whole, ascending.
pub fn assign(
    partitions: u16,
    whole: &BTreeMap<u32, Option<BTreeSet<u16>>>,
) -> std::result::Result<BTreeMap<u32, Vec<u16>>, Vec<u16>> {
    let mut given: BTreeMap<u32, Vec<u16>> = whole.keys().map(|node| (*node, Vec::new())).collect();
    let mut missing = Vec::new();
    for partition in 0..partitions {
        let has = |node: &u32| whole[node].as_ref().is_none_or(|it| it.contains(&partition));
        let least = given.iter_mut().filter(|(node, _)| has(node)).min_by_key(|(_, list)| list.len());
        match least {
            Some((_, list)) => list.push(partition),
            None => missing.push(partition),
        }
    }
    if missing.is_empty() { Ok(given) } else { Err(missing) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(at: &str, bytes: u64) -> StoredFile {
        StoredFile { at: at.to_owned(), bytes, xxh3: "0".repeat(32) }
    }

    fn backup() -> Backup {
        let node = |node, partitions: &[u16]| NodePart {
            node,
            catalog_version: 7,
            partitions: partitions.to_vec(),
            catalog: file(&format!("backups/b/{node}/CATALOG"), 10),
            manifest: file(&format!("backups/b/{node}/MANIFEST"), 20),
            segments: BTreeMap::from([(
                "segments/0000000000000001.parquet".to_owned(),
                file("segments/d-1", 100),
            )]),
        };
        Backup {
            format: FORMAT,
            name: "b".to_owned(),
            created_nanos: 1_700_000_000_000_000_000,
            program: "0.1.0".to_owned(),
            partitions: 3,
            nodes: vec![node(0, &[0, 2]), node(1, &[1])],
        }
    }

    #[test]
    fn a_document_is_read_as_it_was_written_and_keeps_its_form() {
        let written = backup().encode().expect("a document");
        assert_eq!(Backup::decode(&written, "x").expect("reads"), backup());
        assert_eq!(String::from_utf8(written).expect("text"), include_str!("golden/BACKUP.json"));
    }

    #[test]
    fn a_document_of_another_form_or_without_a_partition_is_refused() {
        let refused = |change: fn(&mut Backup)| {
            let mut backup = backup();
            change(&mut backup);
            let bytes = backup.encode().expect("a document");
            Backup::decode(&bytes, "x").expect_err("is refused").message
        };
        assert!(refused(|it| it.format = 2).contains("format 2"));
        assert!(refused(|it| it.nodes[1].partitions.clear()).contains("every partition once"));
        assert!(refused(|it| it.nodes[1].partitions.push(2)).contains("every partition once"));
        assert!(refused(|it| it.partitions = 4).contains("every partition once"));
    }

    #[test]
    fn a_segment_that_two_nodes_have_counts_once() {
        assert_eq!((backup().files().len(), backup().bytes()), (5, 160));
    }

    #[test]
    fn each_partition_comes_from_a_snapshot_that_has_it_whole() {
        let whole = |lists: &[(u32, &[u16])]| {
            let of = |(node, list): &(u32, &[u16])| (*node, Some(list.iter().copied().collect()));
            lists.iter().map(of).collect::<BTreeMap<_, _>>()
        };
        let given = assign(4, &whole(&[(0, &[0, 1, 2, 3]), (1, &[1, 2, 3])])).expect("all are there");
        assert_eq!(given, BTreeMap::from([(0, vec![0, 2]), (1, vec![1, 3])]));
        assert_eq!(assign(4, &whole(&[(0, &[0]), (1, &[2])])), Err(vec![1, 3]));
        assert_eq!(assign(2, &BTreeMap::from([(5, None)])), Ok(BTreeMap::from([(5, vec![0, 1])])));
    }
}
