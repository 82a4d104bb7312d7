//! Back-tests: rules that are not in force yet, over what was really paid, beside what was really granted.
//!
//! What is asked is: what would the chain have done, had this draft been published to take effect at `from`? So the events
//! are followed from the journal's first one on. Up to `from`, by the time of payment, the published rules decide, as they
//! did: they leave behind how often each user had paid, what every window had counted, what every budget had spent and what
//! every vault owed. From `from` on the draft decides. A rule of the draft with the number of a published one is its next
//! version: counters and budget go on, unless window or scope differ, and where it says the same nothing changes at all. A
//! rule with a new number begins with nothing counted. A published rule that the draft does not have ends at `from`, and
//! whatever was published to take effect later does not. Without `from`, the draft is in force from the first payment on.
//!
//! Refunds, expiry, redemptions and claims follow as they came; what a refund takes back is what the draft granted. A
//! claim takes what the user has by the draft. Offsets, lateness and assets are the platform's, as they were.
//!
//! Payments made before `to` are counted, refunds paid back before it. One that comes later and was made before it counts as
//! well, and those between are decided too, since they move the same counters.

mod draft;
mod error;
mod followed;
mod progress;
mod report;
mod run;
mod stored;
mod tally;

pub use draft::{Draft, check_assets};
pub use error::BacktestError;
pub use followed::{Followed, Range};
pub use progress::Progress;
pub use report::{AssetResult, Budget, Decile, DecileAsset, Reasons, Report, RuleResult, RuleSide, Side};
pub use run::{Request, run};
