//! A platform's whole history, recomputed from the chain's transactions alone as `rebate verify --all` does.

#![expect(clippy::expect_used, reason = "this is how a test fails")]

use crate::platform::TestPlatform;
use rebate_client::verify::{
    self, VerifyError,
    read::Read,
    recomputation::{Compared, Files, Recomputation},
};
use std::time::Duration;

impl TestPlatform {
    /// Recomputes everything that happened, and compares every account with it.
    pub fn recomputed(&self) -> (Recomputation<rebate_client::chain::embedded::EmbeddedChain>, Compared) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let recomputing = async {
            let begun = Recomputation::begin(self.chain.clone(), self.addresses, &Files::default(), |_| {}).await;
            let mut recomputation = begun?.with_patience(Duration::ZERO);
            let journal = verify::journal(&self.chain, &self.addresses).await?;
            recomputation.to(journal.count, |_| {}, async |_: &[Read]| Ok::<(), VerifyError>(())).await?;
            let compared = recomputation.compare(&|_, _| {}).await?;
            Ok::<_, VerifyError>((recomputation, compared))
        };
        runtime.block_on(recomputing).expect("a history that is there")
    }

    /// Says what of the platform does not follow from its history.
    ///
    /// # Errors
    /// The first things that differ.
    pub fn recompute(&self) -> Result<(), String> {
        let (recomputation, compared) = self.recomputed();
        let found = recomputation.follower().findings().iter().map(ToString::to_string);
        let all: Vec<_> = found.chain(compared.differences.iter().map(ToString::to_string)).take(5).collect();
        if all.is_empty() { Ok(()) } else { Err(all.join("\n")) }
    }
}
