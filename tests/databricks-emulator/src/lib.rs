//! Databricks on loopback: enough of it, and strict enough, that a client which works here works there.
//!
//! | surface | module |
//! |---|---|
//! | sign-in: discovery documents, plain and Zerobus tokens | `oauth` |
//! | Unity Catalog: catalogs, schemas, tables, locations, grants, lent credentials | `catalog` |
//! | Zerobus: REST insert, durable before it is visible | `zerobus` |
//! | SQL statements and warehouses | `sql` |
//! | what goes wrong on purpose, at run time | [`faults`] |
//! | what was asked, and how often | [`records`] |
//!
//! Behind them are real Delta tables (`storage`), in folders or in buckets of an S3 server, which any reader of Delta
//! tables can open. What is refused, and in which words, is what the real service refuses; where that is not publicly known, the stricter reading
//! is taken.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use databricks_emulator::{Emulator, Fault, Options, SetUp, Setting, Surface};
//!
//! let emulator = Emulator::start(Options::new("/tmp/workspace")).await?;
//! emulator.set_up(&SetUp::default()).await?;
//! emulator.faults().set(Fault::Throttled, Setting::once(Surface::Zerobus));
//! println!("{}", emulator.url());
//! emulator.stop().await;
//! # Ok(())
//! # }
//! ```

mod catalog;
mod clock;
mod emulator;
pub mod faults;
mod http;
mod oauth;
mod options;
pub mod records;
mod rows;
mod set_up;
mod sql;
mod storage;
mod sync;
mod types;
mod workspace;
mod zerobus;

pub use catalog::ADMINISTRATOR;
pub use clock::Clock;
pub use emulator::{Emulator, StartError};
pub use faults::{Fault, Faults, Setting, Surface};
pub use options::{Options, S3};
pub use set_up::{SetUp, SetUpError};
pub use storage::S3OptionError;
