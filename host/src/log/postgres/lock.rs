//! The advisory locks: who may write what, and in which order.
//!
//! A write takes the locks of all that it touches before anything gives its transaction a number, and keeps them to
//! its end. So of two transactions that write one resource, the later one begins behind the earlier one's commit and
//! has the greater number. Who decides by what bears a token locks that alone; those who only give it to resources
//! share it, since their order does not matter. Each takes its locks in ascending order, so no two
//! wait for each other.

use std::collections::BTreeMap;

use super::super::{Token, Write};
use crate::change::ResourceKey;

/// Held by one session of the host that has the store.
pub(super) const HOST: i64 = 0x6c61_6b65_0000_0001;
/// Shared by every transaction that writes; whoever holds it alone knows that none is under way.
const WRITERS: i64 = 0x6c61_6b65_0000_0002;
/// Held while the schema is brought up to date.
pub(super) const SCHEMA: i64 = 0x6c61_6b65_0000_0003;

/// A transaction of more locks takes the one of all writers instead: the server's table of locks is bounded, and all
/// its sessions share it.
const MOST: usize = 1_000;

/// What a session that takes locks of resources prepares: planned once and not with every transaction.
pub(super) const PREPARE: &str = "PREPARE lock_shared (bigint[]) AS SELECT count(pg_advisory_xact_lock_shared(k)) FROM unnest($1) k; \
     PREPARE lock_alone (bigint[]) AS SELECT count(pg_advisory_xact_lock(k)) FROM unnest($1) k";

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    Shared,
    Alone,
}

/// Which locks a transaction takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Locks {
    /// These, and a share of the one of all writers.
    Each(BTreeMap<i64, Mode>),
    /// The one of all writers, alone.
    All,
}

impl Locks {
    /// The locks of a group of writes.
    pub(super) fn of<'w>(writes: impl Iterator<Item = &'w Write>) -> Self {
        let mut each = BTreeMap::new();
        for write in writes {
            each.insert(of_resource(&write.key), Mode::Alone);
            for token in &write.tokens {
                let lock = of_token(write.key.resource_type(), *token);
                each.entry(lock).or_insert(Mode::Shared);
            }
            if let Some(finding) = &write.finding {
                let lock = of_token(&finding.lookup.resource_type, finding.lookup.token);
                each.insert(lock, Mode::Alone);
            }
            if each.len() > MOST {
                return Self::All;
            }
        }
        Self::Each(each)
    }

    /// How many locks a write takes, at most.
    pub(super) fn count(write: &Write) -> usize {
        1 + write.tokens.len() + usize::from(write.finding.is_some())
    }

    /// Begins a transaction and waits for its locks; statements for the simple protocol, which takes several at once.
    /// The session must have [`PREPARE`]d.
    pub(super) fn begin(&self) -> String {
        const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock";
        let each = match self {
            Self::All => return format!("{BEGIN}({WRITERS})"),
            Self::Each(each) => each,
        };
        let mut script = format!("{BEGIN}_shared({WRITERS})");
        let locks: Vec<(&i64, &Mode)> = each.iter().collect();
        for run in locks.chunk_by(|(_, one), (_, next)| one == next) {
            script.push_str(match run.first() {
                Some((_, Mode::Shared)) => "; EXECUTE lock_shared('{",
                _ => "; EXECUTE lock_alone('{",
            });
            let list: Vec<String> = run.iter().map(|(lock, _)| lock.to_string()).collect();
            script.push_str(&list.join(","));
            script.push_str("}')");
        }
        script
    }
}

/// Begins a transaction beside the writers.
pub(super) fn begin_beside() -> String {
    Locks::Each(BTreeMap::new()).begin()
}

/// Never negative, and a token's always is: so the locks of one mode lie side by side.
fn of_resource(key: &ResourceKey) -> i64 {
    hash(&[b"resource", key.resource_type().as_bytes(), key.id().as_bytes()]) & i64::MAX
}

fn of_token(resource_type: &str, token: Token) -> i64 {
    hash(&[b"token", resource_type.as_bytes(), &token.0.to_be_bytes()]) | i64::MIN
}

/// FNV-1a with a separator between the parts: the same in every version of every host. Two that share a number wait for
/// each other without need, and that is all.
fn hash(parts: &[&[u8]]) -> i64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::suite::put;

    fn identified(id: &str, tokens: &[i64]) -> Write {
        Write {
            tokens: tokens.iter().map(|token| Token(*token)).collect(),
            ..put(id, "x")
        }
    }

    /// The statements behind the first two, as the function that they call and its locks.
    fn taken(locks: &Locks) -> Vec<(bool, Vec<i64>)> {
        let script = locks.begin();
        let statements = script.split("; ").skip(2);
        let lock = |statement: &str| {
            let list = statement.split(['{', '}']).nth(1).unwrap();
            let locks = list.split(',').map(|lock| lock.parse().unwrap()).collect();
            (statement.contains("_shared("), locks)
        };
        statements.map(lock).collect()
    }

    #[test]
    fn locks_are_taken_in_ascending_order_and_each_once() {
        let writes = [identified("b", &[1, 2]), identified("a", &[2, 3]), put("b", "y")];
        let taken = taken(&Locks::of(writes.iter()));
        assert_eq!(
            taken.iter().map(|(shared, _)| *shared).collect::<Vec<_>>(),
            [true, false]
        );
        let all: Vec<i64> = taken.iter().flat_map(|(_, locks)| locks.clone()).collect();
        assert_eq!(all.len(), 5);
        assert!(all.is_sorted());
    }

    #[test]
    fn who_decides_by_a_token_has_it_alone_and_who_bears_it_shares_it() {
        let lookup = || crate::log::Lookup {
            resource_type: "Patient".to_owned(),
            token: Token(2),
            matches: std::sync::Arc::new(|_| true),
        };
        let finding = crate::log::Finding {
            lookup: lookup(),
            ids: Vec::new(),
        };
        let deciding = Write {
            finding: Some(std::sync::Arc::new(finding)),
            ..identified("a", &[2])
        };
        let bearing = identified("b", &[1, 2, 3]);
        for writes in [[&deciding, &bearing], [&bearing, &deciding]] {
            let taken = taken(&Locks::of(writes.into_iter()));
            let wanted = of_token("Patient", Token(2));
            let held: Vec<bool> = taken
                .iter()
                .filter(|(_, locks)| locks.contains(&wanted))
                .map(|(is_shared, _)| *is_shared)
                .collect();
            assert_eq!(held, [false], "{taken:?}");
            assert!(taken.iter().flat_map(|(_, locks)| locks).is_sorted());
        }
    }

    #[test]
    fn a_resource_has_the_same_lock_in_every_version_of_the_host() {
        let key = ResourceKey::new("Patient", "p-1").unwrap();
        assert_eq!(of_resource(&key), of_resource(&key.clone()));
        assert_ne!(
            of_resource(&key),
            of_resource(&ResourceKey::new("Patientp", "-1").unwrap())
        );
        assert_eq!(hash(&[b"x"]), 644_517_256_638_675_560);
    }

    #[test]
    fn a_large_transaction_takes_one_lock() {
        let writes: Vec<Write> = (0..=MOST).map(|number| put(&format!("p{number}"), "x")).collect();
        assert_eq!(Locks::of(writes.iter()), Locks::All);
        assert!(!Locks::All.begin().contains("shared"));
    }
}
