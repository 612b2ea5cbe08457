//! What the embedded store's streams lack: an index, and an end of what they keep.
//!
//! Without an index every write of a table with a stream, and every look at the stream, reads all changes that there
//! ever were. This knows how the pinned version of dynoxide keeps them.

use std::time::{Duration, UNIX_EPOCH};

use dynoxide::storage::Storage;

/// For how long a stream keeps changes, as on AWS.
const RETENTION: Duration = Duration::from_hours(24);

/// Gives the database at this path or URI the index, and takes out of it what is older than a stream keeps.
///
/// # Errors
/// The database's.
pub(super) fn prepare(path: &str) -> dynoxide::Result<()> {
    let storage = Storage::new(path)?;
    let connection = storage.conn();
    connection.execute(
        "CREATE INDEX IF NOT EXISTS _stream_records_by_number \
         ON _stream_records (table_name, CAST(sequence_number AS INTEGER))",
        (),
    )?;
    let oldest = crate::now().checked_sub(RETENTION).and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let oldest = i64::try_from(oldest.unwrap_or_default().as_secs()).unwrap_or_default();
    connection.execute("DELETE FROM _stream_records WHERE created_at < ?1", (oldest,))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "file:stream-index?mode=memory&cache=shared";

    fn plan(storage: &Storage, query: &str) -> String {
        let query = format!("EXPLAIN QUERY PLAN {query}");
        storage.conn().query_row(&query, (), |row| row.get("detail")).unwrap()
    }

    #[test]
    fn changes_are_found_by_number_and_kept_for_a_day() {
        let storage = Storage::new(NAME).unwrap();
        let now = i64::try_from(crate::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        for (number, age) in [("1", 25), ("2", 23)] {
            let made = now - age * 3600;
            storage.insert_stream_record("gatehouse", "INSERT", "{}", None, None, number, "shard", made).unwrap();
        }
        prepare(NAME).unwrap();
        prepare(NAME).unwrap();
        let numbers: Vec<_> = storage.get_stream_records("gatehouse", "shard", 0, 10).unwrap();
        assert_eq!(numbers.iter().map(|record| record.sequence_number.as_str()).collect::<Vec<_>>(), ["2"]);
        // As dynoxide asks: for the next number, and for what comes after one.
        for query in [
            "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records WHERE table_name = 'a'",
            "SELECT event_name FROM _stream_records WHERE table_name = 'a' AND shard_id = 'b' \
             AND CAST(sequence_number AS INTEGER) > 1 ORDER BY CAST(sequence_number AS INTEGER) ASC LIMIT 1",
        ] {
            let plan = plan(&storage, query);
            assert!(plan.contains("INDEX _stream_records_by_number"), "{plan}");
        }
    }
}
