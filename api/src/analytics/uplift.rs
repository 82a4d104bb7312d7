//! What a rule causes, from those whom it holds out. In floating point, from sums that are exact.

use super::{
    Asked, By,
    decimal::{fixed, of_statistics, quotient},
    measure::Figure,
    names::Names,
};
use crate::{
    problem::{Kind, Problem},
    value::Address,
};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Half of the width of a 95 % confidence interval, in standard errors: the normal distribution's quantile at 0.975.
const Z: f64 = 1.959_963_984_540_054;

/// Users of one side, or of both. The moments are n² times variances: n Σy² − (Σy)² and so on.
struct Side {
    rule: i32,
    /// `None` for both.
    held_out: Option<bool>,
    users: i64,
    spent: Decimal,
    before: Decimal,
    expected_held_out: Decimal,
    spent_moment: f64,
    before_moment: f64,
    joint_moment: f64,
}

impl Side {
    fn n(&self) -> f64 {
        self.users as f64
    }

    /// The variance of a sample, from a moment of it.
    fn variance(&self, moment: f64) -> f64 {
        moment / (self.n() * (self.n() - 1.0))
    }

    fn mean(sum: Decimal, users: i64) -> f64 {
        // The nearest double of the exact quotient of two numbers is close enough for statistics.
        sum.to_string().parse::<f64>().unwrap_or(f64::NAN) / users as f64
    }
}

/// The difference of two means with its interval.
struct Difference {
    difference: f64,
    low: f64,
    high: f64,
}

impl Difference {
    fn new(difference: f64, variance: f64) -> Self {
        let half = Z * variance.sqrt();
        Self { difference, low: difference - half, high: difference + half }
    }
}

/// A row for each rule that held users out.
pub(crate) async fn figures(
    connection: &mut PgConnection,
    platform: &Address,
    asked: &Asked,
    names: &Names,
) -> Result<Vec<Figure>, Problem> {
    let refused = |what: &str| Err(Problem::new(Kind::InvalidParameter, format!("in the query: {what}")));
    if asked.by.is_some_and(|by| by != By::Rule) {
        return refused("uplift is by rule only: a control group is of one rule; leave `by` out");
    }
    if asked.every.is_some() {
        return refused("uplift has no buckets: it is of all time since users were exposed; leave `every` out");
    }
    let rule = asked.key.as_deref().map(|key| By::Rule.value(key)).transpose()?;
    if let (Some(from), Some(to)) = (asked.from, asked.to)
        && from.0 >= to.0
    {
        return refused("`from` is not before `to`");
    }
    let sides = read(connection, platform, rule, asked.from.map(|at| at.0), asked.to.map(|at| at.0)).await?;
    let mut figures = Vec::new();
    let mut rules: BTreeMap<i32, Vec<Side>> = BTreeMap::new();
    for side in sides {
        rules.entry(side.rule).or_default().push(side);
    }
    for (rule, sides) in rules {
        let side = |held_out| sides.iter().find(|side| side.held_out == held_out);
        let Some(both) = side(None) else { continue };
        figures.push(figure(rule, side(Some(false)), side(Some(true)), both, asked, names));
    }
    Ok(figures)
}

async fn read(
    connection: &mut PgConnection,
    platform: &Address,
    rule: Option<Decimal>,
    from: Option<OffsetDateTime>,
    to: Option<OffsetDateTime>,
) -> Result<Vec<Side>, Problem> {
    let sides = sqlx::query_as!(
        Side,
        r#"SELECT rule AS "rule!", held_out AS "held_out?", count(*) AS "users!", sum(y) AS "spent!", sum(x) AS "before!",
                  sum(holdout_bps) / 10000.0 AS "expected_held_out!",
                  (count(*) * sum(y * y) - sum(y) * sum(y))::float8 AS "spent_moment!",
                  (count(*) * sum(x * x) - sum(x) * sum(x))::float8 AS "before_moment!",
                  (count(*) * sum(x * y) - sum(x) * sum(y))::float8 AS "joint_moment!"
           FROM (
               SELECT rule, held_out, holdout_bps, spent_before AS x, paid - refunded - spent_before AS y
               FROM exposures JOIN users USING (platform, user_key)
               WHERE platform = $1 AND ($2::numeric IS NULL OR rule = $2)
                   AND ($3::timestamptz IS NULL OR exposed_at >= $3) AND ($4::timestamptz IS NULL OR exposed_at < $4)
           ) AS exposed
           GROUP BY GROUPING SETS ((rule, held_out), (rule))"#,
        &platform.0,
        rule,
        from,
        to,
    )
    .fetch_all(connection)
    .await?;
    Ok(sides)
}

fn figure(
    rule: i32,
    treated: Option<&Side>,
    control: Option<&Side>,
    both: &Side,
    asked: &Asked,
    names: &Names,
) -> Figure {
    let users = |side: Option<&Side>| side.map_or(0, |side| side.users);
    let spent = |side: Option<&Side>| side.map_or(Decimal::ZERO, |side| side.spent);
    let before = |side: Option<&Side>| side.map_or(Decimal::ZERO, |side| side.before);
    let mean = |side: Option<&Side>| quotient(spent(side), users(side).into());
    let (treated_mean, control_mean) = (mean(treated), mean(control));
    let pair = treated.zip(control);
    let plain = pair.filter(|(t, c)| t.users > 1 && c.users > 1).map(|(t, c)| plain(t, c));
    let adjusted = pair.filter(|(t, c)| t.users > 1 && c.users > 1).and_then(|(t, c)| adjusted(t, c, both));
    let (chi_square, chance) = sample_ratio(users(control), both).unzip();
    let number = |number: i64| Some(number.to_string());
    let statistic = |figure: Option<f64>| figure.and_then(of_statistics);
    let details = [
        ("treated_users", number(users(treated))),
        ("held_out_users", number(users(control))),
        ("treated_spent", Some(spent(treated).to_string())),
        ("held_out_spent", Some(spent(control).to_string())),
        ("treated_spent_before", Some(before(treated).to_string())),
        ("held_out_spent_before", Some(before(control).to_string())),
        ("low", statistic(plain.as_ref().map(|plain| plain.low))),
        ("high", statistic(plain.as_ref().map(|plain| plain.high))),
        ("cuped_value", statistic(adjusted.as_ref().map(|adjusted| adjusted.difference))),
        ("cuped_low", statistic(adjusted.as_ref().map(|adjusted| adjusted.low))),
        ("cuped_high", statistic(adjusted.as_ref().map(|adjusted| adjusted.high))),
        ("expected_held_out_users", Some(fixed(both.expected_held_out).to_string())),
        ("ratio_chi_square", statistic(chi_square)),
        ("ratio_p", statistic(chance)),
    ];
    Figure {
        from: asked.from.map(|at| at.to_string()),
        to: asked.to.map(|at| at.to_string()),
        key: Some(rule.to_string()),
        label: Some(names.rule(rule)),
        asset: None,
        asset_name: None,
        numerator: treated_mean.unwrap_or_else(|| fixed(Decimal::ZERO)).to_string(),
        denominator: control_mean.map(|mean| mean.to_string()),
        value: treated_mean.zip(control_mean).map(|(treated, control)| treated.saturating_sub(control).to_string()),
        details: details.into_iter().collect(),
    }
}

/// Welch: the variances of the two sides need not be alike.
fn plain(treated: &Side, control: &Side) -> Difference {
    let difference = Side::mean(treated.spent, treated.users) - Side::mean(control.spent, control.users);
    let variance = |side: &Side| side.variance(side.spent_moment) / side.n();
    Difference::new(difference, variance(treated) + variance(control))
}

/// CUPED (Deng et al. 2013): y − θ (x − mean of x), with x what was spent before and θ = cov(x, y) / var(x) over both sides.
/// `None` where nobody had spent anything before, or all the same.
fn adjusted(treated: &Side, control: &Side, both: &Side) -> Option<Difference> {
    if both.before_moment <= 0.0 {
        return None;
    }
    let theta = both.joint_moment / both.before_moment;
    let mean = |side: &Side| Side::mean(side.spent, side.users) - theta * Side::mean(side.before, side.users);
    let variance = |side: &Side| {
        let moment = side.spent_moment + theta * theta * side.before_moment - 2.0 * theta * side.joint_moment;
        side.variance(moment.max(0.0)) / side.n()
    };
    Some(Difference::new(mean(treated) - mean(control), variance(treated) + variance(control)))
}

/// The chi-square of how many were held out against how many should be, and the chance of one as great.
fn sample_ratio(held_out: i64, both: &Side) -> Option<(f64, f64)> {
    let expected = both.expected_held_out.to_string().parse::<f64>().ok()?;
    let others = both.n() - expected;
    if expected <= 0.0 || others <= 0.0 {
        return None;
    }
    let off = held_out as f64 - expected;
    let chi_square = off * off / expected + off * off / others;
    Some((chi_square, libm::erfc((chi_square / 2.0).sqrt())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of (before, since).
    fn side(held_out: Option<bool>, users: &[(i64, i64)], bps: i64) -> Side {
        let n = users.len() as f64;
        let sum = |of: &dyn Fn(&(i64, i64)) -> i64| users.iter().map(of).sum::<i64>();
        let moment = |a: &dyn Fn(&(i64, i64)) -> i64, b: &dyn Fn(&(i64, i64)) -> i64| {
            n * sum(&|user| a(user) * b(user)) as f64 - sum(a) as f64 * sum(b) as f64
        };
        let (x, y) = (|user: &(i64, i64)| user.0, |user: &(i64, i64)| user.1);
        Side {
            rule: 1,
            held_out,
            users: users.len() as i64,
            spent: sum(&y).into(),
            before: sum(&x).into(),
            expected_held_out: Decimal::new(users.len() as i64 * bps, 4),
            spent_moment: moment(&y, &y),
            before_moment: moment(&x, &x),
            joint_moment: moment(&x, &y),
        }
    }

    #[test]
    fn the_interval_is_welchs() {
        // Means 20 and 12, variances 100 and 8, three and two users: the variance of the difference is 100/3 + 8/2.
        let treated = side(Some(false), &[(0, 10), (0, 20), (0, 30)], 4_000);
        let control = side(Some(true), &[(0, 10), (0, 14)], 4_000);
        let difference = plain(&treated, &control);
        let half = Z * (100.0_f64 / 3.0 + 8.0 / 2.0).sqrt();
        assert!((difference.difference - 8.0).abs() < 1e-9);
        assert!((difference.high - 8.0 - half).abs() < 1e-9 && (8.0 - difference.low - half).abs() < 1e-9);
    }

    #[test]
    fn what_was_spent_before_explains_what_was_spent_since_and_leaves_the_effect() {
        // Since is twice before, and 5 more for the treated.
        let treated = [(10, 25), (20, 45), (30, 65), (40, 85)];
        let control = [(10, 20), (20, 40), (30, 60), (40, 80)];
        let both: Vec<_> = treated.iter().chain(&control).copied().collect();
        let adjusted = adjusted(
            &side(Some(false), &treated, 5_000),
            &side(Some(true), &control, 5_000),
            &side(None, &both, 5_000),
        )
        .unwrap();
        assert!((adjusted.difference - 5.0).abs() < 1e-9 && (adjusted.high - 5.0).abs() < 1e-6);
        let nobody = side(None, &[(0, 1), (0, 2), (0, 3), (0, 4)], 5_000);
        let half = side(Some(true), &[(0, 1), (0, 2)], 5_000);
        assert!(super::adjusted(&half, &half, &nobody).is_none());
    }

    #[test]
    fn a_chi_square_of_3_84_has_a_chance_of_one_in_twenty() {
        // Of 1,000 users half should be held out, and 531 are: 2 × 31² / 500 = 3.844.
        let both = side(None, &[(0, 0); 1_000], 5_000);
        let (chi_square, chance) = sample_ratio(531, &both).unwrap();
        assert!((chi_square - 3.844).abs() < 1e-9, "{chi_square}");
        assert!((chance - 0.049_93).abs() < 1e-4, "{chance}");
        assert!(sample_ratio(0, &side(None, &[(0, 0)], 10_000)).is_none());
    }
}
