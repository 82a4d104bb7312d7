//! Quotients of whole numbers, exactly rounded.

use rust_decimal::{Decimal, RoundingStrategy};

/// How many digits a quotient has behind the point.
pub(crate) const DIGITS: u32 = 6;

/// `numerator / denominator` with [`DIGITS`] digits, halves rounded away from zero; `None` where the denominator is not
/// above 0.
pub(crate) fn quotient(numerator: Decimal, denominator: Decimal) -> Option<Decimal> {
    if denominator <= Decimal::ZERO {
        return None;
    }
    let quotient = numerator.checked_div(denominator)?;
    Some(fixed(quotient))
}

/// A number with exactly [`DIGITS`] digits, rounded likewise.
pub(crate) fn fixed(number: Decimal) -> Decimal {
    let mut number = number.round_dp_with_strategy(DIGITS, RoundingStrategy::MidpointAwayFromZero);
    number.rescale(DIGITS);
    number
}

/// A figure of statistics with as many digits; `None` where it is no number.
pub(crate) fn of_statistics(figure: f64) -> Option<String> {
    figure.is_finite().then(|| format!("{figure:.0$}", DIGITS as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_have_six_digits_and_halves_go_away_from_zero() {
        let text = |n: i64, d: i64| quotient(n.into(), d.into()).map(|q| q.to_string());
        assert_eq!(text(2, 3).as_deref(), Some("0.666667"));
        assert_eq!(text(1, 1).as_deref(), Some("1.000000"));
        assert_eq!(text(-1, 2_000_000).as_deref(), Some("-0.000001"));
        assert_eq!(text(1, 2_000_000).as_deref(), Some("0.000001"));
        assert_eq!(text(1, 0), None);
        assert_eq!(text(1, -1), None);
    }
}
