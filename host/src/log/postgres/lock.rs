//! The advisory locks: who may write what, and in which order.
//!
//! A write takes the locks of all that it touches before anything gives its transaction a number, and keeps them to
//! its end. So of two transactions that write one resource, the later one begins behind the earlier one's commit and
//! has the greater number. Each takes its locks in ascending order, so no two wait for each other.

use std::collections::BTreeSet;

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

/// Which locks a transaction takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Locks {
    /// These, and a share of the one of all writers.
    Each(BTreeSet<i64>),
    /// The one of all writers, alone.
    All,
}

impl Locks {
    /// The locks of a group of writes.
    pub(super) fn of<'w>(writes: impl Iterator<Item = &'w Write>) -> Self {
        let mut each = BTreeSet::new();
        for write in writes {
            each.insert(of_resource(&write.key));
            for token in &write.tokens {
                each.insert(of_token(write.key.resource_type(), *token));
            }
            if let Some(finding) = &write.finding {
                each.insert(of_token(&finding.lookup.resource_type, finding.lookup.token));
            }
            if each.len() > MOST {
                return Self::All;
            }
        }
        Self::Each(each)
    }

    /// Begins a transaction and waits for its locks; statements for the simple protocol, which takes several at once.
    pub(super) fn begin(&self) -> String {
        const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock";
        let each = match self {
            Self::All => return format!("{BEGIN}({WRITERS})"),
            Self::Each(each) => each,
        };
        let mut script = format!("{BEGIN}_shared({WRITERS})");
        if !each.is_empty() {
            let list: Vec<String> = each.iter().map(ToString::to_string).collect();
            script.push_str("; SELECT count(pg_advisory_xact_lock(k)) FROM unnest('{");
            script.push_str(&list.join(","));
            script.push_str("}'::bigint[]) k");
        }
        script
    }
}

/// Begins a transaction beside the writers.
pub(super) fn begin_beside() -> String {
    Locks::Each(BTreeSet::new()).begin()
}

fn of_resource(key: &ResourceKey) -> i64 {
    hash(&[b"resource", key.resource_type().as_bytes(), key.id().as_bytes()])
}

fn of_token(resource_type: &str, token: Token) -> i64 {
    hash(&[b"token", resource_type.as_bytes(), &token.0.to_be_bytes()])
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

    #[test]
    fn locks_are_taken_in_ascending_order_and_each_once() {
        let writes = [put("b", "x"), put("a", "x"), put("b", "y")];
        let script = Locks::of(writes.iter()).begin();
        let list = script.split('{').nth(1).unwrap().split('}').next().unwrap();
        let keys: Vec<i64> = list.split(',').map(|key| key.parse().unwrap()).collect();
        assert_eq!(keys.len(), 2);
        assert!(keys.is_sorted());
        assert!(script.find("lock_shared").unwrap() < script.find("unnest").unwrap());
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
