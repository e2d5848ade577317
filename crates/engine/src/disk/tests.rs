//! Laws of the simulated disk, and that the real one obeys the same where it can be seen.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::sim::{CrashImage, Fault};
use super::{Disk, RealDisk, SimDisk, Space, read_file, replace_file};

const SEEDS: std::ops::Range<u64> = 0..200;

fn contents(disk: &dyn Disk, path: &str) -> Option<Vec<u8>> {
    read_file(disk, Path::new(path), 1 << 20).ok()
}

fn write(disk: &dyn Disk, path: &str, data: &[u8]) -> Arc<dyn super::DiskFile> {
    let file = disk.create(Path::new(path)).unwrap();
    file.write_at(data, 0).unwrap();
    file
}

fn sim() -> Arc<SimDisk> {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk
}

#[test]
fn unsynced_bytes_may_go_and_synced_ones_may_not() {
    let disk = sim();
    let file = write(disk.as_ref(), "/d/a", b"first");
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file.write_at(b"SECOND", 0).unwrap();
    let now = disk.now();
    let image = |kind| contents(now.image(kind).as_ref(), "/d/a").unwrap();
    assert_eq!(image(CrashImage::DurableOnly), b"first");
    assert_eq!(image(CrashImage::WritesLost), b"first");
    assert_eq!(image(CrashImage::Everything), b"SECOND");
    file.sync_data().unwrap();
    assert_eq!(contents(disk.now().image(CrashImage::DurableOnly).as_ref(), "/d/a").unwrap(), b"SECOND");
}

#[test]
fn a_created_name_may_go_until_its_folder_is_synced_even_if_the_file_is() {
    let disk = sim();
    write(disk.as_ref(), "/d/a", b"x").sync_data().unwrap();
    assert_eq!(contents(disk.now().image(CrashImage::DurableOnly).as_ref(), "/d/a"), None);
    assert_eq!(contents(disk.now().image(CrashImage::NamesLost).as_ref(), "/d/a"), None);
    disk.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(contents(disk.now().image(CrashImage::DurableOnly).as_ref(), "/d/a").unwrap(), b"x");
}

#[test]
fn a_rename_or_remove_may_be_undone_until_the_folder_is_synced() {
    let disk = sim();
    for name in ["/d/a", "/d/b", "/d/c"] {
        write(disk.as_ref(), name, name.as_bytes()).sync_data().unwrap();
    }
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
    disk.remove(Path::new("/d/c")).unwrap();
    let lost = disk.now().image(CrashImage::NamesLost);
    assert_eq!(lost.list(Path::new("/d")).unwrap(), ["a", "b", "c"]);
    assert_eq!(contents(lost.as_ref(), "/d/b").unwrap(), b"/d/b");
    disk.sync_dir(Path::new("/d")).unwrap();
    let kept = disk.now().image(CrashImage::DurableOnly);
    assert_eq!(kept.list(Path::new("/d")).unwrap(), ["b"]);
    assert_eq!(contents(kept.as_ref(), "/d/b").unwrap(), b"/d/a");
}

#[test]
fn a_torn_write_leaves_any_prefix_and_any_selection_of_sectors() {
    let disk = sim();
    let file = write(disk.as_ref(), "/d/a", &[0; 4096]);
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file.write_at(&[1; 4096], 0).unwrap();
    let now = disk.now();
    let (mut prefixes, mut holes, mut unaligned) = (0, 0, 0);
    for seed in SEEDS {
        let bytes = contents(now.image(CrashImage::Torn { seed }).as_ref(), "/d/a").unwrap();
        let edges: Vec<usize> = (1..4096).filter(|&i| bytes[i - 1] != bytes[i]).collect();
        prefixes += usize::from(edges.len() == 1 && bytes[0] == 1);
        holes += usize::from(edges.len() > 1);
        unaligned += usize::from(edges.iter().any(|edge| edge % 512 != 0));
    }
    assert!(prefixes > 10 && holes > 10 && unaligned > 10, "{prefixes} {holes} {unaligned}");
}

#[test]
fn after_a_failed_sync_the_bytes_are_shown_and_never_become_durable() {
    let disk = sim();
    let file = write(disk.as_ref(), "/d/a", b"old");
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file.write_at(b"new", 0).unwrap();
    disk.fail(Fault::SyncFails);
    file.sync_data().unwrap_err();
    disk.heal();
    file.sync_data().unwrap();
    assert_eq!(contents(disk.as_ref(), "/d/a").unwrap(), b"new");
    assert_eq!(contents(disk.now().image(CrashImage::DurableOnly).as_ref(), "/d/a").unwrap(), b"old");
}

#[test]
fn a_frozen_disk_does_nothing_more() {
    let disk = sim();
    let file = write(disk.as_ref(), "/d/a", b"x");
    disk.freeze_at(disk.syncs() + 1);
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap_err();
    assert!(disk.is_frozen());
    file.write_at(b"y", 0).unwrap_err();
    disk.create(Path::new("/d/b")).unwrap_err();
    assert_eq!(contents(disk.now().image(CrashImage::Everything).as_ref(), "/d/a").unwrap(), b"x");
    assert_eq!(contents(disk.now().image(CrashImage::DurableOnly).as_ref(), "/d/a"), None);
}

#[test]
fn replacing_a_file_leaves_the_old_or_the_new_content_whenever_the_power_goes() {
    let disk = sim();
    let path = Path::new("/d/MANIFEST");
    replace_file(disk.as_ref(), path, &[1; 3000]).unwrap();
    disk.record();
    replace_file(disk.as_ref(), path, &[2; 5000]).unwrap();
    let after = disk.syncs();
    for boundary in disk.boundaries() {
        for (kind, image) in boundary.images(100) {
            let found = contents(image.as_ref(), "/d/MANIFEST").unwrap();
            let whole = found == [2; 5000] || found == [1; 3000] && boundary.number() < after;
            assert!(whole, "{} {kind:?}: {} bytes", boundary.number(), found.len());
            replace_file(image.as_ref(), path, b"next").unwrap();
        }
    }
}

#[test]
fn the_simulation_catches_a_replacement_without_its_syncs() {
    // Planted faults: the checker above must be able to fail.
    let replaced_badly = |sync_file: bool, sync_folder: bool| {
        let disk = sim();
        replace_file(disk.as_ref(), Path::new("/d/M"), &[1; 3000]).unwrap();
        let file = write(disk.as_ref(), "/d/M.new", &[2; 5000]);
        if sync_file {
            file.sync_data().unwrap();
        }
        disk.rename(Path::new("/d/M.new"), Path::new("/d/M")).unwrap();
        if sync_folder {
            disk.sync_dir(Path::new("/d")).unwrap();
        }
        let now = disk.now();
        now.images(50).any(|(_, image)| contents(image.as_ref(), "/d/M") != Some(vec![2; 5000]))
    };
    assert!(replaced_badly(false, true));
    assert!(replaced_badly(true, false));
    assert!(!replaced_badly(true, true));
}

#[test]
fn a_full_disk_takes_what_fits_and_is_free_again_after_a_removal() {
    let disk = sim();
    disk.set_capacity(10_000);
    let file = write(disk.as_ref(), "/d/a", &[1; 8000]);
    assert_eq!(file.write_at(&[2; 4000], 8000).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 10_000);
    assert_eq!(disk.space(Path::new("/d")).unwrap(), Space { free: 0, total: 10_000 });
    file.write_at(&[3; 10_000], 0).unwrap();
    let other = disk.create(Path::new("/d/b")).unwrap();
    assert_eq!(other.allocate(1).unwrap_err().kind(), ErrorKind::StorageFull);
    disk.remove(Path::new("/d/a")).unwrap();
    other.allocate(10_000).unwrap();
}

#[test]
fn a_hundred_boundaries_of_a_large_file_cost_little() {
    let disk = sim();
    let file = disk.create(Path::new("/d/a")).unwrap();
    file.allocate(64 << 20).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.record();
    for round in 0..100u64 {
        file.write_at(&[round as u8; 10_000], round * 10_000).unwrap();
        file.sync_data().unwrap();
    }
    let images: usize = disk.boundaries().iter().map(|boundary| boundary.images(4).count()).sum();
    assert_eq!(images, 808);
}

/// What a program can see must be the same on both disks.
fn seen(disk: &dyn Disk, root: &Path) -> Vec<String> {
    let mut seen = Vec::new();
    let dir = root.join("x/y");
    let kind = |outcome: std::io::Result<()>| outcome.map_err(|error| error.kind());
    disk.create_dir_all(&dir).unwrap();
    disk.create_dir_all(&dir).unwrap();
    let (a, b, c) = (dir.join("a"), dir.join("b"), dir.join("c"));
    let file = disk.create(&a).unwrap();
    seen.push(format!("{:?}", kind(disk.create(&a).map(drop))));
    seen.push(format!("{:?}", kind(disk.open(&b).map(drop))));
    file.write_at(b"hello", 3).unwrap();
    file.allocate(100).unwrap();
    file.allocate(50).unwrap();
    seen.push(format!("{:?}", file.len().unwrap()));
    let mut buffer = [9; 10];
    seen.push(format!("{:?} {buffer:?}", file.read_at(&mut buffer, 0).unwrap()));
    seen.push(format!("{:?}", file.read_at(&mut buffer, 100).unwrap()));
    file.set_len(5).unwrap();
    file.set_len(7).unwrap();
    seen.push(format!("{:?}", read_file(disk, &a, 100).unwrap()));
    seen.push(format!("{:?}", kind(read_file(disk, &a, 6).map(drop))));
    disk.hard_link(&a, &b).unwrap();
    seen.push(format!("{:?}", kind(disk.hard_link(&a, &b))));
    disk.remove(&a).unwrap();
    file.write_at(b"!", 0).unwrap();
    seen.push(format!("{:?}", read_file(disk, &b, 100).unwrap()));
    seen.push(format!("{:?}", kind(disk.remove(&a))));
    seen.push(format!("{:?}", kind(disk.rename(&a, &c))));
    disk.rename(&b, &c).unwrap();
    replace_file(disk, &c, b"new").unwrap();
    seen.push(format!("{:?} {:?}", disk.list(&dir).unwrap(), read_file(disk, &c, 100).unwrap()));
    file.sync_data().unwrap();
    disk.sync_dir(&dir).unwrap();
    seen.push(format!("{:?}", disk.list(&root.join("x")).unwrap()));
    disk.remove_dir_all(&root.join("x")).unwrap();
    seen.push(format!("{:?}", kind(disk.list(&dir).map(drop))));
    seen.push(format!("{:?}", kind(disk.create(&a).map(drop))));
    assert!(disk.space(root).unwrap().total >= disk.space(root).unwrap().free);
    seen
}

#[test]
fn both_disks_show_the_same() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(seen(&RealDisk, root.path()), seen(SimDisk::new().as_ref(), Path::new("/")));
}

#[test]
fn a_file_that_may_only_be_read_is_opened_and_refuses_writes() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a");
    std::fs::write(&path, b"x").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
    let file = RealDisk.open(&path).unwrap();
    assert_eq!(file.len().unwrap(), 1);
    // The superuser may write all the same.
    if let Err(error) = file.write_at(b"y", 0) {
        assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem);
    }
}
