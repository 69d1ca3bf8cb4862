//! The statements of a commit: what a group touches is read, and what it makes is written, many rows a statement.

use std::collections::{HashMap, HashSet};

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Postgres};

use super::super::plan::{Known, NewVersion, Plan, TokenChange, is_deleted};
use super::super::{Lookup, MOST_BEARERS, Token};
use super::read;
use super::row::{decode, get, integer, key, limit, status_number, to_json};
use crate::change::{ResourceKey, Version};

/// A statement writes at most so many versions.
const ROWS: usize = 1_000;
/// After this many bytes of resources a statement takes no further version.
const BYTES: usize = 16 << 20;

/// What a transaction finds after it has its locks.
pub(super) struct Found {
    /// The host that may write.
    pub(super) host: i64,
    /// What is added to the server's transaction numbers.
    pub(super) base: i64,
    /// As many new sequences as were asked for, growing.
    pub(super) sequences: Vec<u64>,
    /// The current state of the resources; those that never were are left out.
    pub(super) known: HashMap<ResourceKey, Known>,
}

/// The columns of the current state, one element a resource that is there.
#[derive(Default)]
struct Current {
    places: Vec<i64>,
    sequences: Vec<i64>,
    versions: Vec<i64>,
    tokens: Vec<String>,
}

/// What a session that writes prepares: planned once and not with every transaction.
pub(super) const PREPARE: &str = "PREPARE look_up (text[], text[], bigint) AS \
     SELECT s.host, s.base, ARRAY(SELECT nextval('lakefeed.sequence') FROM generate_series(1, $3)), \
       c.places, c.sequences, c.versions, c.tokens \
     FROM lakefeed.store s, ( \
       SELECT array_agg(w.place) AS places, array_agg(r.sequence) AS sequences, \
         array_agg(r.versions) AS versions, array_agg(coalesce(array_to_string(r.tokens, ','), '')) AS tokens \
       FROM unnest($1, $2) WITH ORDINALITY AS w (resource_type, id, place) \
       JOIN lakefeed.resource r ON r.resource_type = w.resource_type AND r.id = w.id) c";

/// Runs `begin`, and then, with a snapshot of its own, reads who may write and the resources' current state, and takes
/// new sequences; all in one message. The session must have [`PREPARE`]d.
pub(super) async fn look_up(
    begin: &str,
    keys: &[ResourceKey],
    count: usize,
    connection: &mut PgConnection,
) -> Result<Found, sqlx::Error> {
    let mut script = String::with_capacity(begin.len() + 64 * (keys.len() + 1));
    if !begin.is_empty() {
        script.push_str(begin);
        script.push_str("; ");
    }
    script.push_str("EXECUTE look_up ('");
    add_list(&mut script, keys.iter().map(ResourceKey::resource_type));
    script.push_str("', '");
    add_list(&mut script, keys.iter().map(ResourceKey::id));
    script.push_str(&format!("', {})", limit(count)));
    let mut rows = sqlx::raw_sql(AssertSqlSafe(script))
        .fetch_all(&mut *connection)
        .await?;
    let row = rows.pop().ok_or(sqlx::Error::RowNotFound)?;
    let taken: Vec<i64> = get(&row, 2)?;
    let sequences = taken.into_iter().map(u64::try_from).collect::<Result<_, _>>();
    let places: Option<Vec<i64>> = get(&row, 3)?;
    let current = match places {
        Some(places) => Current {
            places,
            sequences: get(&row, 4)?,
            versions: get(&row, 5)?,
            tokens: get(&row, 6)?,
        },
        None => Current::default(),
    };
    Ok(Found {
        host: get(&row, 0)?,
        base: get(&row, 1)?,
        sequences: sequences.map_err(decode)?,
        known: known(keys, &current, connection).await?,
    })
}

/// Adds an array of types or ids as it is written in a text. They hold letters, digits, `-`, `.` and `_` only; the
/// quotes keep one that is called `null` from being none.
fn add_list<'k>(script: &mut String, names: impl Iterator<Item = &'k str>) {
    script.push('{');
    for (at, name) in names.enumerate() {
        script.push_str(if at == 0 { "\"" } else { ",\"" });
        script.push_str(name);
        script.push('"');
    }
    script.push('}');
}

async fn known(
    keys: &[ResourceKey],
    current: &Current,
    connection: &mut PgConnection,
) -> Result<HashMap<ResourceKey, Known>, sqlx::Error> {
    let versions = read::versions(&current.sequences, connection).await?;
    let mut newest: HashMap<i64, Version> = HashMap::with_capacity(versions.len());
    for version in versions {
        newest.insert(integer(version.sequence.0), version);
    }
    let mut known = HashMap::with_capacity(newest.len());
    for (at, place) in current.places.iter().enumerate() {
        let key = usize::try_from(place - 1).ok().and_then(|place| keys.get(place));
        let newest = newest.remove(&current.sequences[at]);
        let (Some(key), Some(newest)) = (key, newest) else {
            return Err(sqlx::Error::Decode(
                "a resource's newest version is missing".into(),
            ));
        };
        let resource = Known {
            newest: Some(newest),
            versions: u64::try_from(current.versions[at]).map_err(decode)?,
            is_stored: true,
            tokens: tokens(&current.tokens[at])?,
        };
        known.insert(key.clone(), resource);
    }
    Ok(known)
}

fn tokens(text: &str) -> Result<Vec<Token>, sqlx::Error> {
    let numbers = text.split(',').filter(|number| !number.is_empty());
    numbers
        .map(|number| number.parse().map(Token).map_err(decode))
        .collect()
}

/// Adds the resources that lookups find to those that a group touches. Answers the tokens that too many bear; of those
/// none is added.
pub(super) async fn add_found(
    lookups: &[&Lookup],
    keys: &mut Vec<ResourceKey>,
    connection: &mut PgConnection,
) -> Result<HashSet<(String, Token)>, sqlx::Error> {
    let mut crowded = HashSet::new();
    if lookups.is_empty() {
        return Ok(crowded);
    }
    let rows = sqlx::query(
        "SELECT t.resource_type, t.id, w.place \
         FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS w (token, resource_type, place) \
         CROSS JOIN LATERAL (SELECT t.resource_type, t.id FROM lakefeed.token t \
           WHERE t.token = w.token AND t.resource_type = w.resource_type LIMIT $3) t ORDER BY w.place",
    )
    .bind(lookups.iter().map(|lookup| lookup.token.0).collect::<Vec<_>>())
    .bind(
        lookups
            .iter()
            .map(|lookup| &*lookup.resource_type)
            .collect::<Vec<_>>(),
    )
    .bind(limit(MOST_BEARERS + 1))
    .fetch_all(connection)
    .await?;
    let mut seen: HashSet<ResourceKey> = keys.iter().cloned().collect();
    for of_one in rows.chunk_by(|one, next| place(one).ok() == place(next).ok()) {
        if of_one.len() > MOST_BEARERS {
            let lookup = of_one.first().and_then(|row| lookups.get(place(row).ok()?));
            crowded.extend(lookup.map(|lookup| (lookup.resource_type.clone(), lookup.token)));
            continue;
        }
        for row in of_one {
            let found = key(row, 0, 1)?;
            if seen.insert(found.clone()) {
                keys.push(found);
            }
        }
    }
    Ok(crowded)
}

/// Which lookup a row was found by.
fn place(row: &PgRow) -> Result<usize, sqlx::Error> {
    let place: i64 = get(row, 2)?;
    usize::try_from(place - 1).map_err(decode)
}

/// Writes what a plan holds; answers the number of the transaction. The topics' numbers must be known.
pub(super) async fn write(
    plan: &Plan,
    topics: &HashMap<String, i32>,
    connection: &mut PgConnection,
) -> Result<i64, sqlx::Error> {
    let mut transaction = 0;
    let mut tokens = plan.token_changes();
    let mut rows = plan.rows();
    while !rows.is_empty() {
        let (now, rest) = rows.split_at(fitting(rows));
        let part = Part::new(now, plan, topics, &tokens)?;
        transaction = part.write(connection).await?;
        // All went with the first part: the tokens name resources, whatever else is there of them.
        tokens.clear();
        rows = rest;
    }
    Ok(transaction)
}

/// How many of the rows go in one statement: at least one.
fn fitting(rows: &[NewVersion]) -> usize {
    let mut bytes = 0;
    let mut count = 0;
    for row in rows.iter().take(ROWS) {
        bytes += row.version.resource.len();
        if count > 0 && bytes > BYTES {
            break;
        }
        count += 1;
    }
    count
}

/// The number that all rows of a transaction bear.
const PLACE: &str = "WITH place AS MATERIALIZED ( \
       SELECT base + pg_current_xact_id()::text::bigint AS transaction FROM lakefeed.store), \
     logged AS (INSERT INTO lakefeed.log (transaction, sequence, resource_type, id, status, last_updated, created_at, \
       resource, topics_known";
const LOGGED: &str = ") SELECT place.transaction, unnest($1::bigint[]), unnest($2::text[]), unnest($3::text[]), \
       unnest($4::smallint[]), unnest($5::bigint[]), unnest($6::bigint[]), unnest($8::bytea[]), unnest($10::bigint[])";
/// Columns of the log that mostly have no value.
const SPARSE: [(&str, &str); 4] = [
    (", previous", ", unnest($7::bigint[])"),
    (", topics", ", unnest($9::text[])"),
    (", source_version", ", unnest($11::text[])"),
    (", source_last_updated", ", unnest($12::bigint[])"),
];
/// Resources of which no state was held. Who writes one holds its lock, so none can be there.
const FIRST: &str = ", first AS ( \
       INSERT INTO lakefeed.resource (resource_type, id, sequence, last_updated, deleted, versions, tokens) \
       SELECT unnest($13::text[]), unnest($14::text[]), unnest($15::bigint[]), unnest($16::bigint[]), ";
/// Whether they are deleted and how many versions they have: mostly all live and have one.
const FIRST_OF_EACH: &str = "unnest($17::boolean[]), unnest($18::bigint[]), ";
const FIRST_OF_ALL: &str = "false, 1, ";
const FIRST_TOKENS: &str = "string_to_array(unnest($19::text[]), ',')::bigint[])";
const FIRST_NO_TOKENS: &str = "NULL)";
const NEXT: &str = ", next AS ( \
       UPDATE lakefeed.resource r SET sequence = w.sequence, last_updated = w.last_updated, deleted = w.deleted, \
         versions = w.versions, tokens = string_to_array(w.tokens, ',')::bigint[] \
       FROM unnest($20::text[], $21::text[], $22::bigint[], $23::bigint[], $24::boolean[], $25::bigint[], $26::text[]) \
         AS w (resource_type, id, sequence, last_updated, deleted, versions, tokens) \
       WHERE r.resource_type = w.resource_type AND r.id = w.id)";
const MATCHED: &str = ", matching AS ( \
       INSERT INTO lakefeed.matched (transaction, topic, sequence) \
       SELECT place.transaction, unnest($27::integer[]), unnest($28::bigint[]) FROM place)";
const TOKENS_ADDED: &str = ", added AS ( \
       INSERT INTO lakefeed.token (token, resource_type, id) \
       SELECT unnest($29::bigint[]), unnest($30::text[]), unnest($31::text[]))";
const TOKENS_TAKEN: &str = ", taken AS ( \
       DELETE FROM lakefeed.token t USING unnest($32::bigint[], $33::text[], $34::text[]) AS w (token, resource_type, id) \
       WHERE t.token = w.token AND t.resource_type = w.resource_type AND t.id = w.id)";

/// What one statement writes: rows of the log, and what goes with them.
struct Part<'p> {
    rows: &'p [NewVersion],
    topics: Vec<Option<String>>,
    /// The newest versions of resources that the store did not hold, and of those that it held.
    first: Vec<(&'p NewVersion, &'p Known)>,
    next: Vec<(&'p NewVersion, &'p Known)>,
    matched: Vec<(i32, i64)>,
    added: Vec<&'p TokenChange<'p>>,
    taken: Vec<&'p TokenChange<'p>>,
}

impl<'p> Part<'p> {
    fn new(
        rows: &'p [NewVersion],
        plan: &'p Plan,
        topics: &HashMap<String, i32>,
        tokens: &'p [TokenChange<'p>],
    ) -> Result<Self, sqlx::Error> {
        let newest = rows
            .iter()
            .filter_map(|row| plan.newest(row).map(|known| (row, known)));
        let (next, first) = newest.partition(|(_, known)| known.is_stored);
        let (added, taken) = tokens.iter().partition(|change| change.is_added);
        Ok(Self {
            rows,
            topics: rows.iter().map(topics_of).collect::<Result<_, _>>()?,
            first,
            next,
            matched: matched(rows, topics)?,
            added,
            taken,
        })
    }

    /// The statement; it leaves out what has no row and no value, since each clause and each column of a row costs the
    /// server something.
    fn statement(&self) -> String {
        let clauses = [
            (NEXT, self.next.is_empty()),
            (MATCHED, self.matched.is_empty()),
            (TOKENS_ADDED, self.added.is_empty()),
            (TOKENS_TAKEN, self.taken.is_empty()),
        ];
        let columns = || SPARSE.iter().zip(self.has_sparse()).filter(|(_, has_it)| *has_it);
        let mut statement = PLACE.to_owned();
        columns().for_each(|((name, _), _)| statement.push_str(name));
        statement.push_str(LOGGED);
        columns().for_each(|((_, value), _)| statement.push_str(value));
        statement.push_str(" FROM place)");
        if !self.first.is_empty() {
            self.add_first(&mut statement);
        }
        for (clause, is_empty) in clauses {
            if !is_empty {
                statement.push_str(clause);
            }
        }
        statement.push_str(" SELECT transaction FROM place");
        statement
    }

    fn add_first(&self, statement: &mut String) {
        let is_plain =
            |(row, known): &(&NewVersion, &Known)| known.versions == 1 && !is_deleted(&row.version);
        statement.push_str(FIRST);
        statement.push_str(match self.first.iter().all(is_plain) {
            true => FIRST_OF_ALL,
            false => FIRST_OF_EACH,
        });
        statement.push_str(
            match self.first.iter().all(|(_, known)| known.tokens.is_empty()) {
                true => FIRST_NO_TOKENS,
                false => FIRST_TOKENS,
            },
        );
    }

    /// Which of the [`SPARSE`] columns have a value in any row.
    fn has_sparse(&self) -> [bool; SPARSE.len()] {
        let any = |has: &dyn Fn(&NewVersion) -> bool| self.rows.iter().any(has);
        [
            any(&|row| row.previous.is_some()),
            self.topics.iter().any(Option::is_some),
            any(&|row| {
                row.version
                    .source
                    .as_ref()
                    .is_some_and(|source| source.version.is_some())
            }),
            any(&|row| {
                let source = row.version.source.as_ref();
                source.is_some_and(|source| source.last_updated.is_some())
            }),
        ]
    }

    /// Answers the number of the transaction.
    async fn write(&self, connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
        let rows = self.rows;
        let source = |row: &'p NewVersion| row.version.source.as_ref();
        let query = sqlx::query_scalar(AssertSqlSafe(self.statement()))
            .bind(each(rows, |row| integer(row.version.sequence.0)))
            .bind(each(rows, |row| row.version.key.resource_type()))
            .bind(each(rows, |row| row.version.key.id()))
            .bind(each(rows, |row| status_number(row.version.status)))
            .bind(each(rows, |row| row.version.last_updated.0))
            .bind(each(rows, |row| row.version.created_at.0))
            .bind(each(rows, |row| row.previous.map(|previous| integer(previous.0))))
            .bind(each(rows, |row| &row.version.resource[..]))
            .bind(&self.topics)
            .bind(each(rows, |row| integer(row.matched.topics_known)))
            .bind(each(rows, |row| {
                source(row).and_then(|source| source.version.as_deref())
            }))
            .bind(each(rows, |row| {
                source(row)
                    .and_then(|source| source.last_updated)
                    .map(|time| time.0)
            }));
        let query = bind_current(query, &self.first);
        let query = bind_current(query, &self.next)
            .bind(each(&self.matched, |(topic, _)| *topic))
            .bind(each(&self.matched, |(_, sequence)| *sequence));
        let query = bind_tokens(query, &self.added);
        bind_tokens(query, &self.taken).fetch_one(connection).await
    }
}

type Query<'q> = sqlx::query::QueryScalar<'q, Postgres, i64, PgArguments>;

fn bind_current<'q>(query: Query<'q>, newest: &[(&'q NewVersion, &'q Known)]) -> Query<'q> {
    query
        .bind(each(newest, |(row, _)| row.version.key.resource_type()))
        .bind(each(newest, |(row, _)| row.version.key.id()))
        .bind(each(newest, |(row, _)| integer(row.version.sequence.0)))
        .bind(each(newest, |(row, _)| row.version.last_updated.0))
        .bind(each(newest, |(row, _)| is_deleted(&row.version)))
        .bind(each(newest, |(_, known)| integer(known.versions)))
        .bind(each(newest, |(_, known)| tokens_text(&known.tokens)))
}

fn bind_tokens<'q>(query: Query<'q>, changes: &[&'q TokenChange<'q>]) -> Query<'q> {
    query
        .bind(each(changes, |change| change.token.0))
        .bind(each(changes, |change| change.key.resource_type()))
        .bind(each(changes, |change| change.key.id()))
}

/// One column of many rows.
fn each<'r, R, T>(rows: &'r [R], column: impl FnMut(&'r R) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}

fn topics_of(row: &NewVersion) -> Result<Option<String>, sqlx::Error> {
    match row.matched.topics.is_empty() {
        true => Ok(None),
        false => to_json(&row.matched.topics).map(Some),
    }
}

fn tokens_text(tokens: &[Token]) -> Option<String> {
    let text = || {
        tokens
            .iter()
            .map(|token| token.0.to_string())
            .collect::<Vec<_>>()
            .join(",")
    };
    (!tokens.is_empty()).then(text)
}

/// The topic's number and the sequence of each match, each once.
fn matched(part: &[NewVersion], topics: &HashMap<String, i32>) -> Result<Vec<(i32, i64)>, sqlx::Error> {
    let mut matched = Vec::new();
    for row in part {
        let wanted: HashSet<&String> = row.matched.topics.iter().collect();
        for id in wanted {
            let number = topics
                .get(id)
                .ok_or_else(|| sqlx::Error::Encode("a topic has no number".into()))?;
            matched.push((*number, integer(row.version.sequence.0)));
        }
    }
    Ok(matched)
}

/// The topics of a plan that have no number yet.
pub(super) fn unnumbered(plan: &Plan, topics: &HashMap<String, i32>) -> Vec<String> {
    let wanted = plan.rows().iter().flat_map(|row| &row.matched.topics);
    let missing: HashSet<&String> = wanted.filter(|id| !topics.contains_key(*id)).collect();
    missing.into_iter().cloned().collect()
}

/// Gives topics their numbers, outside of any transaction of ours: two writers that meet here wait for no lock of each
/// other. Answers all numbers.
pub(super) async fn number(
    ids: &[String],
    connection: &mut PgConnection,
) -> Result<HashMap<String, i32>, sqlx::Error> {
    sqlx::query("INSERT INTO lakefeed.topic (id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING")
        .bind(ids)
        .execute(&mut *connection)
        .await?;
    let rows = sqlx::query("SELECT id, number FROM lakefeed.topic")
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}
