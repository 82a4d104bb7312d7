//! What a scenario is: a platform, its rules, and what happens.

use rebate_client::event::{AssetEntry, OffsetEntry, RuleDefinition};
use rebate_core::{
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    rule::GroupMode,
    time::DAY,
    units::{Amount, AssetId, OrderHash, Timestamp, UserKey},
};
use rebate_tests::{
    draw::{Draw, rule},
    platform::{NOON, asset},
};

/// One thing that happens, at a time of the chain's clock.
#[derive(Clone, Debug)]
pub struct Step {
    pub now: i64,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// One message with these payments.
    Payments(Vec<Payment>),
    Refund(Refund),
    Redemption(Redemption),
    /// Of all that the user has of the asset, whatever amount it says.
    RedemptionOfAll(Redemption),
    /// The next version of a rule, in effect from now on.
    Publish(Box<RuleDefinition>),
    /// A rule ends now.
    End(u16),
}

pub struct Scenario {
    pub max_lateness: u32,
    pub offsets: Vec<OffsetEntry>,
    pub assets: Vec<AssetEntry>,
    pub rules: Vec<RuleDefinition>,
    pub steps: Vec<Step>,
}

impl Scenario {
    pub fn draw(number: u64) -> Self {
        let draw = &mut Draw::of(number);
        let seconds = draw.one(&[0, 8 * 3_600, 5 * 3_600 + 1_800, -(3 * 3_600 + 1_800), 12 * 3_600 + 2_700]);
        let mut offsets = vec![OffsetEntry { from: 0, seconds }];
        if draw.once_in(3) {
            offsets.push(OffsetEntry { from: NOON + 3 * DAY, seconds: seconds + 3_600 });
        }
        let mut coins = asset("coins");
        coins.expiry_months = draw.one(&[0, 0, 1]);
        let voucher = AssetEntry { kind: 3, expiry_months: draw.one(&[0, 1, 2]), ..asset("cups") };
        // A token whose vault nobody has opened: it holds nothing.
        let token = AssetEntry { kind: 2, mint: [7; 32], ..asset("tokens") };
        let assets = vec![coins, voucher, token];

        let modes = [(); 4].map(|()| draw.one(&GroupMode::ALL));
        let rules: Vec<_> =
            (1..=draw.between(2, 8)).map(|id| rule(draw, u16::try_from(id).expect("few"), modes)).collect();
        let mut scenario = Self { max_lateness: 3 * 86_400, offsets, assets, rules, steps: Vec::new() };
        scenario.history(draw, modes);
        scenario
    }

    fn history(&mut self, draw: &mut Draw, modes: [GroupMode; 4]) {
        let users = [1u8, 2, 3].map(|user| UserKey([user; 32]));
        let mut now = NOON;
        let mut paid: Vec<Payment> = Vec::new();
        let mut orders = 0u64;
        let mut versions: Vec<u16> = self.rules.iter().map(|_| 1).collect();
        for _ in 0..draw.between(12, 26) {
            now += draw.one(&[1, 60, 3_600, 40_000, 86_400, 100_000, 600_000, 3_000_000]);
            orders += 1;
            let order = OrderHash::of(&format!("order {orders}"));
            let at = |draw: &mut Draw| {
                let late = draw.one(&[0, 0, 0, 0, 30, 3_600, 90_000, 200_000, 3 * 86_400, 3 * 86_400 + 1, -30, -61]);
                Timestamp(now - late)
            };
            let what = match draw.below(20) {
                0..12 => {
                    let count = draw.one(&[1, 1, 1, 2, 3]);
                    let payments: Vec<_> = (0..count)
                        .map(|part| {
                            // An order that was taken before comes again as it was signed.
                            if draw.once_in(10) && !paid.is_empty() {
                                return draw.one(&paid);
                            }
                            Payment {
                                order: OrderHash::of(&format!("order {orders} part {part}")),
                                user: draw.one(&users),
                                amount: amount(draw),
                                paid_at: at(draw),
                                product: u16::try_from(draw.below(3)).expect("small"),
                                streamer: draw.below(3),
                                session: draw.below(2),
                                tier: u8::try_from(draw.below(3)).expect("small"),
                                segments: u32::try_from(draw.below(8)).expect("small"),
                            }
                        })
                        .collect();
                    paid.extend(&payments);
                    What::Payments(payments)
                }
                12..16 if !paid.is_empty() => {
                    let of = draw.one(&paid);
                    let whole = of.amount.0;
                    let amount = draw.one(&[whole, whole / 2, whole / 3, 1, 0, whole.saturating_add(1)]);
                    // Under the order's own number it comes on the order's own day: what days a chain remembers by.
                    let own = draw.once_in(10);
                    What::Refund(Refund {
                        order: if own { of.order } else { order },
                        of: if draw.once_in(8) { OrderHash::of("nobody's") } else { of.order },
                        amount: Amount(amount),
                        paid_at: if own { of.paid_at } else { at(draw) },
                    })
                }
                16..18 => {
                    let redemption = Redemption {
                        order,
                        user: draw.one(&users),
                        asset: AssetId(u8::try_from(draw.one(&[1, 1, 1, 2, 2, 3, 4])).expect("small")),
                        amount: Amount(draw.one(&[0, 1, 10, 100, 500, 5_000])),
                        redeemed_at: at(draw),
                    };
                    if draw.once_in(2) { What::RedemptionOfAll(redemption) } else { What::Redemption(redemption) }
                }
                18 => {
                    let at = usize::try_from(draw.below(self.rules.len() as u64)).expect("few");
                    versions[at] += 1;
                    let id = self.rules[at].id;
                    What::Publish(Box::new(RuleDefinition { version: versions[at], ..rule(draw, id, modes) }))
                }
                _ => What::End(self.rules[usize::try_from(draw.below(self.rules.len() as u64)).expect("few")].id),
            };
            self.steps.push(Step { now, what });
        }
    }
}

fn amount(draw: &mut Draw) -> Amount {
    let rare = draw.once_in(40);
    Amount(if rare {
        draw.one(&[0, u64::MAX, u64::MAX / 2, 1 << 40])
    } else {
        draw.one(&[1, 99, 100, 500, 1_000, 3_333, 10_000])
    })
}
