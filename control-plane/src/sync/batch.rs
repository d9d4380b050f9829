//! Packs records into the body of a push, within what an edge takes.

use shared::message::MAX_PUSH_BYTES;

const OPEN: &str = r#"{"records":["#;
const CLOSE: &str = "]}";

/// A push's body (a `PushBatch` as JSON) and how many of the records it holds: the first ones, at least one if
/// there is any. `records` are JSON texts.
pub fn pack<'a>(records: impl IntoIterator<Item = &'a str>) -> (Vec<u8>, usize) {
    let mut body = String::from(OPEN);
    let mut count = 0;
    for record in records {
        let size = body.len() + 1 + record.len() + CLOSE.len();
        if count > 0 && size > MAX_PUSH_BYTES {
            break;
        }
        if count > 0 {
            body.push(',');
        }
        body.push_str(record);
        count += 1;
    }
    body.push_str(CLOSE);
    (body.into_bytes(), count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::account::AccountRecord;
    use shared::message::PushBatch;
    use shared::record::Record;

    #[test]
    fn the_body_reads_back_as_a_batch_in_order() {
        let record = |version| {
            Record::Account(AccountRecord {
                id: "acc_Ab3dE6gH".into(),
                version,
                ancestors: Vec::new(),
                deleted: false,
                requests_per_month: None,
            })
        };
        let texts: Vec<String> = (1..=3)
            .map(|v| serde_json::to_string(&record(v)).unwrap())
            .collect();
        let (body, count) = pack(texts.iter().map(String::as_str));
        let batch: PushBatch = serde_json::from_slice(&body).unwrap();
        assert_eq!(count, 3);
        assert_eq!(batch.records, [record(1), record(2), record(3)]);
    }

    #[test]
    fn a_body_stays_within_the_limit_and_goes_on_at_least_one_at_a_time() {
        let big = format!("\"{}\"", "x".repeat(MAX_PUSH_BYTES / 3));
        let (body, count) = pack([big.as_str(); 5]);
        assert_eq!(count, 2);
        assert!(body.len() <= MAX_PUSH_BYTES);
        let huge = format!("\"{}\"", "x".repeat(MAX_PUSH_BYTES));
        assert_eq!(pack([huge.as_str(); 2]).1, 1);
    }
}
