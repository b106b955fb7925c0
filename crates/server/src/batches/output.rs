//! A batch's answers, or its errors, as a file.

use vlgate_openai::files::FilePurpose;

use crate::store::{BatchRow, NewFile, Store, StoreError};

/// Lines that are read at once.
const AT_ONCE: u32 = 64;

/// Writes the lines that are done, in the order of the input; `None` when there is none.
///
/// # Errors
/// The store's.
pub async fn write(store: &Store, row: &BatchRow, good: bool) -> Result<Option<String>, StoreError> {
    let id = &row.batch.id;
    let (mut incoming, mut last) = (None, 0);
    loop {
        let lines = store.lines(id, good, last, AT_ONCE).await?;
        let Some((end, _)) = lines.last() else { break };
        last = *end;
        let file = match &mut incoming {
            Some(file) => file,
            // Its bytes were counted line by line, and the lines go once it is there.
            None => incoming.insert(store.incoming_moved().await?),
        };
        for (_, text) in &lines {
            file.write(text.as_bytes()).await?;
            file.write(b"\n").await?;
        }
    }
    let Some(incoming) = incoming else { return Ok(None) };
    let kind = if good { "output" } else { "error" };
    let new = NewFile {
        owner: row.owner.clone(),
        name: format!("{id}_{kind}.jsonl"),
        purpose: FilePurpose::BatchOutput.as_str().to_owned(),
        mime: "application/jsonl".to_owned(),
        seconds: row.output_seconds,
    };
    Ok(Some(store.keep(incoming, new).await?.id))
}
