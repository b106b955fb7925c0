//! The store without HTTP: owners, ends, limits, two servers on one folder.

use super::*;

fn temporary() -> (Store, PathBuf) {
    let path = std::env::temp_dir().join(new_id("vlgate-test-"));
    (at(&path), path)
}

fn at(path: &Path) -> Store {
    Store::open(StoreConfig { path: Some(path.to_owned()), total_bytes: 1 << 20, ..StoreConfig::default() }).unwrap()
}

async fn keep(store: &Store, owner: &Owner, bytes: &[u8], seconds: Option<i64>) -> Result<FileRow, StoreError> {
    let mut incoming = store.incoming().await?;
    incoming.write(bytes).await?;
    let (name, purpose, mime) = ("a.txt".into(), "user_data".into(), "text/plain".into());
    store.keep(incoming, NewFile { owner: owner.clone(), name, purpose, mime, seconds }).await
}

async fn content(store: &Store, row: &FileRow) -> Result<String, StoreError> {
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut store.open_file(row).await?, &mut text).await?;
    Ok(text)
}

fn everything(path: &Path) -> usize {
    [bytes::KEPT, bytes::ARRIVING].iter().map(|f| std::fs::read_dir(path.join(f)).unwrap().count()).sum()
}

#[tokio::test]
async fn a_file_is_its_owners_alone_and_gone_when_it_is_deleted() {
    let (store, path) = temporary();
    let (mine, other) = (Owner::of_key("a"), Owner::of_key("b"));
    let row = keep(&store, &mine, b"hello", None).await.unwrap();
    assert_eq!(store.file(&mine, &row.id).await.unwrap(), row);
    assert_eq!(content(&store, &row).await.unwrap(), "hello");
    for nobody in [&other, &Owner::default()] {
        assert!(matches!(store.file(nobody, &row.id).await, Err(StoreError::NotFound)));
        assert!(matches!(store.delete_file(nobody, &row.id).await, Err(StoreError::NotFound)));
    }
    store.delete_file(&mine, &row.id).await.unwrap();
    assert!(matches!(content(&store, &row).await, Err(StoreError::NotFound)));
    assert_eq!(everything(&path), 0);
    std::fs::remove_dir_all(path).unwrap();
}

#[tokio::test]
async fn what_has_ended_is_not_seen_and_then_swept() {
    let (store, path) = temporary();
    let owner = Owner::default();
    let kept = keep(&store, &owner, b"kept", None).await.unwrap();
    let ended = keep(&store, &owner, b"ended", Some(-1)).await.unwrap();
    assert_eq!(kept.expires, Some(kept.created + 30 * 86_400));
    assert!(matches!(store.file(&owner, &ended.id).await, Err(StoreError::NotFound)));
    assert_eq!(everything(&path), 2);
    // A crash left bytes without a row: old ones go, new ones may be an upload.
    for (name, age) in [("file-old", 2 * 86_400), ("file-new", 0)] {
        let file = std::fs::File::create(path.join(bytes::KEPT).join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    store.sweep(now()).await.unwrap();
    let mut left: Vec<_> = std::fs::read_dir(path.join(bytes::KEPT)).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    let mut wanted = vec![kept.id.clone().into(), std::ffi::OsString::from("file-new")];
    wanted.sort();
    assert_eq!(left, wanted);
    store.sweep(kept.expires.unwrap()).await.unwrap();
    assert!(store.file(&owner, &kept.id).await.is_err());
    std::fs::remove_dir_all(path).unwrap();
}

#[tokio::test]
async fn limits_hold_for_one_file_and_for_all() {
    let (store, path) = temporary();
    let owner = Owner::default();
    let tight = StoreConfig { path: Some(path.clone()), file_bytes: 3, ..StoreConfig::default() };
    let mut small = Store::open(tight).unwrap().incoming().await.unwrap();
    small.write(b"123").await.unwrap();
    assert!(matches!(small.write(b"4").await, Err(StoreError::TooLarge { limit: 3 })));
    drop(small);
    let half = vec![0u8; 400 << 10];
    keep(&store, &owner, &half, None).await.unwrap();
    // Two that would fit alone, at the same time.
    let (mut one, mut two) = (store.incoming().await.unwrap(), store.incoming().await.unwrap());
    one.write(&half).await.unwrap();
    assert!(matches!(two.write(&half).await, Err(StoreError::Full { .. })));
    drop((one, two));
    keep(&store, &owner, &half, None).await.unwrap();
    assert!(matches!(keep(&store, &owner, &half, None).await, Err(StoreError::Full { .. })));
    assert!(matches!(store.room(half.len() as u64).await, Err(StoreError::Full { .. })));
    // What is only moved was counted before.
    let mut moved = store.incoming_moved().await.unwrap();
    moved.write(&half).await.unwrap();
    let new = NewFile {
        owner: owner.clone(),
        name: "o".into(),
        purpose: "batch_output".into(),
        mime: String::new(),
        seconds: None,
    };
    store.keep(moved, new).await.unwrap();
    assert_eq!(everything(&path), 3, "what was refused is gone");
    std::fs::remove_dir_all(path).unwrap();
}

#[tokio::test]
async fn two_servers_on_one_folder_write_in_turns_and_one_works_in_the_background() {
    let (first, path) = temporary();
    let second = at(&path);
    let owner = Owner::default();
    let many = |store: Store| {
        let owner = owner.clone();
        async move {
            for _ in 0..20 {
                keep(&store, &owner, b"x", None).await.unwrap();
            }
        }
    };
    tokio::join!(many(first.clone()), many(second.clone()), many(first.clone()));
    let paging = Paging { limit: 100, order: Order::Descending, after: None };
    assert_eq!(second.files(&owner, None, paging).await.unwrap().rows.len(), 60);
    let lock = first.try_lock().unwrap();
    assert!(lock.is_some() && second.try_lock().unwrap().is_none());
    drop(lock);
    assert!(second.try_lock().unwrap().is_some());
    std::fs::remove_dir_all(path).unwrap();
}

#[tokio::test]
async fn lists_are_cut_into_pages() {
    let (store, path) = temporary();
    let owner = Owner::of_key("k");
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(keep(&store, &owner, b"x", None).await.unwrap().id);
    }
    let page = async |order, after: Option<&str>, purpose: Option<&str>| {
        let paging = Paging { limit: 2, order, after: after.map(str::to_owned) };
        let page = store.files(&owner, purpose.map(str::to_owned), paging).await?;
        Ok::<_, StoreError>((page.rows.into_iter().map(|r| r.id).collect::<Vec<_>>(), page.more))
    };
    assert_eq!(page(Order::Ascending, None, None).await.unwrap(), (ids[..2].to_vec(), true));
    assert_eq!(page(Order::Ascending, Some(&ids[1]), Some("user_data")).await.unwrap(), (ids[2..4].to_vec(), true));
    assert_eq!(page(Order::Ascending, Some(&ids[3]), None).await.unwrap(), (ids[4..].to_vec(), false));
    assert_eq!(page(Order::Descending, Some(&ids[2]), None).await.unwrap().0, [ids[1].clone(), ids[0].clone()]);
    assert_eq!(page(Order::Descending, None, Some("batch")).await.unwrap(), (vec![], false));
    assert!(matches!(page(Order::Descending, Some("file-x"), None).await, Err(StoreError::NotFound)));
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_newer_database_is_left_alone_and_a_temporary_folder_goes() {
    let path = std::env::temp_dir().join(new_id("vlgate-test-"));
    drop(at(&path));
    let database = Connection::open(path.join("store.sqlite")).unwrap();
    database.pragma_update(None, "user_version", 1000).unwrap();
    let error = Store::open(StoreConfig { path: Some(path.clone()), ..StoreConfig::default() }).unwrap_err();
    assert!(matches!(error, StoreError::Newer(1000)), "{error}");
    std::fs::remove_dir_all(path).unwrap();
    let store = Store::open(StoreConfig::default()).unwrap();
    let folder = store.folder().to_owned();
    assert!(folder.join("store.sqlite").exists());
    drop(store);
    assert!(!folder.exists());
}

#[cfg(unix)]
#[test]
fn the_folder_is_this_users_alone() {
    use std::os::unix::fs::PermissionsExt;
    let store = Store::open(StoreConfig::default()).unwrap();
    assert_eq!(store.folder().metadata().unwrap().permissions().mode() & 0o777, 0o700);
}
