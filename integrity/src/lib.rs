//! Whether the database holds every event of a platform, unaltered, and whether the tables say what the events say: the tree
//! head over the stored bytes against the one that the program keeps in the platform's Journal account, and the tables
//! against the platform's other accounts. It owes nothing to the indexer's own bookkeeping, nor to the node having shown
//! every transaction; only the accounts themselves are taken from the node.
//!
//! The indexer runs a [`Comparer`] beside its writer and stops where something differs; the API runs one for whoever asks.
//! What the indexer found last is in the table `integrity`, see [`verdict`].

mod accounts;
mod as_of;
mod comparison;
mod error;
mod pass;
mod report;
pub mod verdict;

pub use comparison::{Asked, Comparer};
pub use error::IntegrityError;
pub use report::{ChainSide, Compared, Difference, DifferenceKind, Report, Status, TableSide};
