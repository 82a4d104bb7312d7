//! What people are told instead of a name that the program has for it.

/// What a refusal means, to follow its name.
pub(crate) fn refusal(reason: &str) -> &'static str {
    match reason {
        "ZeroAmount" => ": nothing was paid",
        "TooLate" => ": paid longer ago than the platform takes",
        "FromTheFuture" => ": paid later than the chain's clock shows",
        "DuplicateOrder" => ": this order was recorded before",
        "AmountOverflow" => ": more than a balance can hold",
        "UnknownOrder" => ": nobody recorded the order it refunds",
        "OverRefund" => ": more than was paid for the order",
        "InsufficientBalance" => ": the user has less",
        "NotRedeemable" => ": tokens are claimed, not redeemed",
        "NotWallet" => ": no wallet is linked to the user",
        "NothingToClaim" => ": the user has none",
        _ => "",
    }
}
