//! Who asks, where not everything is open to everybody: [operators](operator) by keys with roles, and users about themselves,
//! [signed in](sign_in) with a wallet or by a token of the platform's.

pub(crate) mod bearer;
mod jwt;
pub(crate) mod message;
pub mod operator;
pub mod oracle;
pub mod sign_in;
pub(crate) mod user;

use crate::problem::{Kind, Problem};
use oracle::Oracle;
use sign_in::SignIn;
use sqlx::PgPool;

/// What operators and users are told apart by, and what they are told of. Where something is left out, what needs it answers
/// what to set.
#[derive(Clone, Default)]
pub struct Access {
    /// Connections to the operators' database, from `rebate_operators::database::connect`.
    pub operators: Option<PgPool>,
    /// How users sign in; needs the operators' database, too.
    pub sign_in: Option<SignIn>,
    /// The oracle, for dead letters and for users' own orders.
    pub oracle: Option<Oracle>,
}

impl Access {
    /// The oracle.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn oracle(&self) -> Result<&Oracle, Problem> {
        self.oracle.as_ref().ok_or_else(|| {
            Problem::new(
                Kind::NotConfigured,
                "this server knows no oracle: start it with --oracle-url and --oracle-key-file",
            )
        })
    }
}
