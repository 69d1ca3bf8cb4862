//! Many changes as one row.
//!
//! A row costs far more than the bytes in it: each of its columns is copied by SQLite, handed to another thread and
//! copied again. So a read of many changes lets SQLite put them together: one text holds all their heads, another all
//! their resources, and what is given out are slices of that.

use bytes::Bytes;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::row::{decode, json, offset, source, status};
use crate::change::{Change, Matched, ResourceKey, Sequence, Source, Timestamp, Version};

/// What stands between the fields of a head, and between heads. Numbers, names, ids and hex have neither, and in JSON both are
/// escaped.
const FIELD: char = '\u{1f}';
const HEAD: char = '\u{1e}';

/// The changes of `log l`, from its beginning to a condition, put together. What a head holds is read by [`change`].
macro_rules! packed {
    ($condition:literal) => {
        concat!(
            "SELECT group_concat(head, char(30)), group_concat(body, '') FROM (SELECT ",
            "concat_ws(char(31), l.sequence, l.resource_type, l.id, l.status, l.last_updated, l.created_at, ",
            "coalesce(l.previous, ''), coalesce(length(l.resource), 0), coalesce(l.topics, ''), l.topics_known, ",
            "coalesce('x' || hex(l.source_version), ''), coalesce(l.source_last_updated, '')) AS head, ",
            "CAST(l.resource AS TEXT) AS body FROM log l WHERE ",
            $condition,
            " ORDER BY l.sequence)"
        )
    };
}

/// The changes behind one sequence up to another, in order.
pub(super) async fn between(
    after: i64,
    through: i64,
    connection: &mut SqliteConnection,
) -> Result<Vec<Change>, sqlx::Error> {
    let row = sqlx::query(packed!("l.sequence > ? AND l.sequence <= ?"))
        .bind(after)
        .bind(through)
        .fetch_one(connection)
        .await?;
    unpack(&row)
}

/// The changes of a type's resources behind one sequence up to another, in order.
pub(super) async fn between_of_type(
    resource_type: &str,
    after: i64,
    through: i64,
    connection: &mut SqliteConnection,
) -> Result<Vec<Change>, sqlx::Error> {
    let row = sqlx::query(packed!(
        "l.resource_type = ? AND l.sequence > ? AND l.sequence <= ?"
    ))
    .bind(resource_type)
    .bind(after)
    .bind(through)
    .fetch_one(connection)
    .await?;
    unpack(&row)
}

fn unpack(row: &SqliteRow) -> Result<Vec<Change>, sqlx::Error> {
    let heads: Option<&str> = row.try_get_unchecked(0)?;
    let bodies: Option<&[u8]> = row.try_get_unchecked(1)?;
    let bodies = Bytes::copy_from_slice(bodies.unwrap_or_default());
    let mut unpacking = Unpacking { bodies, last: None };
    let heads = heads.into_iter().flat_map(|heads| heads.split(HEAD));
    let mut changes: Vec<Change> = heads
        .map(|head| unpacking.change(head))
        .collect::<Result<_, _>>()?;
    if !unpacking.bodies.is_empty() {
        return Err(damaged());
    }
    // A statement promises an order of its rows, and none within one.
    if !changes.is_sorted_by_key(|change| change.offset) {
        changes.sort_by_key(|change| change.offset);
    }
    Ok(changes)
}

struct Last {
    key: ResourceKey,
    /// Its topics, as the log holds them and as they are read.
    topics: (String, Vec<String>),
}

struct Unpacking {
    /// The resources that are not given out yet.
    bodies: Bytes,
    /// The change before: its neighbour is mostly of the same type, and wanted by the same topics.
    last: Option<Last>,
}

impl Unpacking {
    fn change(&mut self, head: &str) -> Result<Change, sqlx::Error> {
        let mut fields = head.split(FIELD);
        let mut field = || fields.next().ok_or_else(damaged);
        let sequence: u64 = number(field()?)?;
        let (resource_type, id) = (field()?, field()?);
        let status = status(number(field()?)?)?;
        let (last_updated, created_at) = (Timestamp(number(field()?)?), Timestamp(number(field()?)?));
        let previous = maybe(field()?)?.map(Sequence);
        let length: usize = number(field()?)?;
        let (topics, topics_known) = (field()?, number(field()?)?);
        let source = source_of(field()?, field()?)?;
        if length > self.bodies.len() {
            return Err(damaged());
        }
        let (key, topics) = self.shared((resource_type, id), topics)?;
        let matched = Matched { topics_known, topics };
        Ok(Change {
            offset: offset(sequence),
            previous,
            matched,
            version: Version {
                key,
                sequence: Sequence(sequence),
                status,
                last_updated,
                created_at,
                resource: self.bodies.split_to(length),
                source,
            },
        })
    }
}

impl Unpacking {
    /// A change's key and topics, made of those of the change before where they agree.
    fn shared(
        &mut self,
        (resource_type, id): (&str, &str),
        topics: &str,
    ) -> Result<(ResourceKey, Vec<String>), sqlx::Error> {
        let last = self.last.take();
        let key = match &last {
            Some(last) => last.key.neighbour(resource_type, id),
            None => ResourceKey::new(resource_type, id),
        };
        let topics = match last {
            Some(last) if last.topics.0 == topics => last.topics,
            _ if topics.is_empty() => Default::default(),
            _ => (topics.to_owned(), json(topics)?),
        };
        let key = key.map_err(decode)?;
        let read = topics.1.clone();
        self.last = Some(Last {
            key: key.clone(),
            topics,
        });
        Ok((key, read))
    }
}

/// The version that a change has at its source, as hex behind an `x`, and the time of its last update there.
fn source_of(version: &str, last_updated: &str) -> Result<Option<Source>, sqlx::Error> {
    let version = version.strip_prefix('x').map(from_hex).transpose()?;
    Ok(source(version, maybe(last_updated)?))
}

fn from_hex(hex: &str) -> Result<String, sqlx::Error> {
    let pairs = hex.as_bytes().chunks(2);
    let digits = pairs.map(|pair| std::str::from_utf8(pair).map_err(decode));
    let bytes = digits.map(|digits| u8::from_str_radix(digits?, 16).map_err(decode));
    String::from_utf8(bytes.collect::<Result<_, _>>()?).map_err(decode)
}

fn number<T>(field: &str) -> Result<T, sqlx::Error>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    field.parse().map_err(decode)
}

fn maybe<T>(field: &str) -> Result<Option<T>, sqlx::Error>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    (!field.is_empty()).then(|| number(field)).transpose()
}

fn damaged() -> sqlx::Error {
    sqlx::Error::Decode("the log's rows and their lengths disagree".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[&str]) -> String {
        fields.join("\u{1f}")
    }

    fn unpacked(heads: &[String], bodies: &str) -> Result<Vec<Change>, sqlx::Error> {
        let mut unpacking = Unpacking {
            bodies: Bytes::copy_from_slice(bodies.as_bytes()),
            last: None,
        };
        heads.iter().map(|head| unpacking.change(head)).collect()
    }

    #[test]
    fn each_change_gets_what_is_its_own() {
        let heads = [
            head(&[
                "3",
                "Patient",
                "a",
                "0",
                "10",
                "10",
                "",
                "2",
                r#"["t","u"]"#,
                "7",
                "",
                "",
            ]),
            head(&[
                "5",
                "Patient",
                "b",
                "2",
                "11",
                "9",
                "3",
                "0",
                r#"["t","u"]"#,
                "7",
                "x",
                "4",
            ]),
            head(&["6", "Group", "b", "1", "12", "9", "", "3", "", "8", "x611F1E", ""]),
        ];
        let changes = unpacked(&heads, "{}{ }").unwrap();
        let keys: Vec<_> = changes
            .iter()
            .map(|change| change.version.key.to_string())
            .collect();
        assert_eq!(keys, ["Patient/a", "Patient/b", "Group/b"]);
        let bodies: Vec<_> = changes.iter().map(|change| &*change.version.resource).collect();
        assert_eq!(bodies, [&b"{}"[..], b"", b"{ }"]);
        let topics: Vec<_> = changes.iter().map(|change| change.matched.topics.len()).collect();
        assert_eq!(topics, [2, 2, 0]);
        assert_eq!(changes[1].previous, Some(Sequence(3)));
        let sources: Vec<_> = changes
            .iter()
            .map(|change| change.version.source.clone())
            .collect();
        let source = |version: &str, last_updated| Source {
            version: Some(version.to_owned()),
            last_updated,
        };
        let expected = [
            None,
            Some(source("", Some(Timestamp(4)))),
            Some(source("a\u{1f}\u{1e}", None)),
        ];
        assert_eq!(sources, expected);
    }

    #[test]
    fn lengths_that_the_bytes_do_not_have_are_damage() {
        let one = [head(&[
            "3", "Patient", "a", "0", "10", "10", "", "9", "", "7", "", "",
        ])];
        assert!(unpacked(&one, "{}").is_err());
        assert!(unpacked(&[head(&["3", "Patient", "a"])], "{}").is_err());
        assert!(unpacked(&[head(&["x"; 12])], "{}").is_err());
    }
}
