//! Who asks, where not everything is open to everybody: [operators](operator) by keys with roles.

pub(crate) mod bearer;
pub mod operator;

use sqlx::PgPool;

/// What operators and users are told apart by. Where something is left out, what needs it answers what to set.
#[derive(Clone, Default)]
pub struct Access {
    /// Connections to the operators' database, from `rebate_operators::database::connect`.
    pub operators: Option<PgPool>,
}
