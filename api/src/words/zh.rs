//! Chinese, in simplified characters.

use super::{
    Counted, Did, Due, Entry, Next, Operation, Outcome, Progress, Reset, UserLimit, Words, date, members, moment,
    offset,
};
use crate::problem::{CursorFault, Detail, Kind, Thing};
use rebate_core::{
    outcome::Reason,
    refusal::Refusal,
    rule::{Field, Operator, Predicate},
    window::{Scope, Window},
};
use time::OffsetDateTime;

pub(super) struct Chinese;

impl Words for Chinese {
    fn title(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::InvalidParameter => "参数无效",
            Kind::InvalidCursor => "游标不属于此列表",
            Kind::PlatformNotNamed => "未指定平台",
            Kind::NotFound => "没有记录",
            Kind::UnknownPath => "路径不存在",
            Kind::MethodNotAllowed => "此路径不支持该方法",
            Kind::TooLarge => "请求过大",
            Kind::InvalidBody => "请求内容无效",
            Kind::Unauthorized => "无法识别请求者",
            Kind::Forbidden => "角色权限不足",
            Kind::Conflict => "与现有记录冲突",
            Kind::RateLimited => "同一客户端请求过多",
            Kind::OracleUnavailable => "预言机无应答",
            Kind::NotConfigured => "服务器未配置所需内容",
            Kind::Timeout => "应答超时",
            Kind::Overloaded => "同时请求过多",
            Kind::DatabaseUnavailable => "数据库无应答",
            Kind::NodeUnavailable => "节点无应答",
            Kind::NotReady => "尚未就绪",
            Kind::Internal => "服务器内部错误",
        }
    }

    fn detail(&self, detail: &Detail) -> String {
        match detail {
            Detail::Text(text) => text.clone(),
            Detail::NotOnRecord(thing, slot) => {
                format!("截至 slot {slot} 没有记录：{}；如果是刚发生的，请稍后再试", named(thing))
            }
            Detail::PlatformNotNamed => {
                "有多个平台的记录：请用 ?platform= 指定其一，/v1/platforms 列出所有平台".to_owned()
            }
            Detail::OutOfRange { name, found, least, most } => {
                format!("查询参数 {name}：{found} 不在 {least} 到 {most} 之间")
            }
            Detail::Path(why) => format!("路径参数有误：{why}"),
            Detail::Query(why) => format!("查询参数有误：{why}"),
            Detail::Cursor(fault) => {
                let what = match fault {
                    CursorFault::Broken => "不是本服务器发出的游标",
                    CursorFault::OtherList => "属于另一个列表",
                    CursorFault::Altered => "不属于此筛选条件下的列表，或已被改动",
                };
                format!("查询参数 cursor：{what}；请去掉游标从头开始")
            }
            Detail::UnknownPath => "此路径没有内容；/openapi.json 列出所有路径".to_owned(),
            Detail::MethodNotAllowed => "此路径不支持该方法；响应头 Allow 列出支持的方法".to_owned(),
            Detail::TooLarge => "这里的请求不需要这么大的正文；请去掉正文".to_owned(),
            Detail::Timeout => "未能及时应答；请重试，或用更小的 limit 减少内容".to_owned(),
            Detail::Overloaded => "服务器已在全力应答；请稍后再试".to_owned(),
            Detail::TooManyLive => "实时连接数已达上限；请稍后再试，或改为定时查询".to_owned(),
            Detail::DatabaseUnavailable => "服务器的数据库无应答；请稍后再试".to_owned(),
            Detail::NodeUnavailable => {
                "用来核对数据库的 Solana 节点无应答，目前无法判断一致性；原因见服务器日志；请稍后再试".to_owned()
            }
            Detail::NothingIndexed => "还没有索引任何区块：请启动索引器".to_owned(),
            Detail::Internal => "程序缺陷或数据损坏，服务器日志有详情；请带上请求编号报告".to_owned(),
        }
    }

    fn outcome(&self, outcome: &Outcome<'_>) -> String {
        let Outcome { rule, asset, did } = outcome;
        match did {
            Did::Granted(amount, debt) if debt.is_zero() => format!("已发放：“{rule}”发放 {amount} {asset}"),
            Did::Granted(amount, debt) => format!("已发放：“{rule}”发放 {amount} {asset}，其中 {debt} 用于偿还欠额"),
            Did::Reversed(amount, debt) if debt.is_zero() => {
                format!("已收回：按退款比例收回“{rule}”发放的 {amount} {asset}")
            }
            Did::Reversed(amount, debt) => {
                format!("已收回：按退款比例收回“{rule}”发放的 {amount} {asset}，其中 {debt} 已被您使用，记为欠额")
            }
            Did::NotMatched(Some(clause), counted) => {
                format!("未发放：“{rule}”要求{}", self.clause(clause, *counted))
            }
            Did::NotMatched(None, _) => format!("未发放：此笔支付不符合“{rule}”的条件"),
            Did::NothingDue(due, counted) => format!("未发放：{}", nothing_due(rule, *due, *counted)),
            Did::LateForWindow(counted) => {
                format!("未发放：对“{rule}”来说此笔支付来得太晚，之后{}的支付已先计入", noun(counted.window))
            }
            Did::Holdout => format!("未发放：您在“{rule}”的对照组中，该组用于衡量活动效果"),
            Did::UserLimit(limit, counted) => format!("未发放：{}", user_limit(rule, asset, *limit, *counted)),
            Did::BudgetSpent { rejects: false } => format!("未发放：“{rule}”的预算已用完"),
            Did::BudgetSpent { rejects: true } => format!("未发放：“{rule}”的剩余预算不足以发放此笔奖励"),
            Did::GroupTaken(Some(by)) => format!("未发放：“{by}”与“{rule}”只发放其一，此次由“{by}”发放"),
            Did::GroupTaken(None) => format!("未发放：此次由同组的另一条规则发放，而不是“{rule}”"),
            Did::Excluded(Some(by)) => format!("未发放：“{by}”已发放，“{rule}”不与其叠加"),
            Did::Excluded(None) => format!("未发放：“{rule}”不与已发放的另一条规则叠加"),
            Did::VaultShort => format!("未发放：金库中的 {asset} 不足以发放“{rule}”"),
            Did::Unknown(reason) => format!("“{rule}”未发放，原因编号 {reason}，本服务器尚无说明"),
        }
    }

    fn entry(&self, entry: &Entry<'_>) -> String {
        let Entry { operation, asset, changed, debt } = entry;
        match operation {
            Operation::Grant(rule) if debt.is_zero() => format!("“{rule}”发放 {changed} {asset}"),
            Operation::Grant(rule) => {
                let all = changed.saturating_add(*debt);
                format!("“{rule}”发放 {all} {asset}，其中 {debt} 用于偿还欠额")
            }
            Operation::Reversal(rule) if debt.is_zero() => {
                format!("因退款收回“{rule}”发放的 {changed} {asset}")
            }
            Operation::Reversal(rule) => {
                let all = changed.saturating_add(*debt);
                format!("因退款收回“{rule}”发放的 {all} {asset}，其中 {debt} 记为欠额")
            }
            Operation::Redemption => format!("兑换 {changed} {asset}"),
            Operation::Claim => format!("提取 {changed} {asset} 到您的钱包"),
            Operation::Expiry => format!("{changed} {asset} 已过期"),
            Operation::Unknown => format!("{asset} 变动 {changed}"),
        }
    }

    fn reason(&self, reason: Reason) -> &'static str {
        match reason {
            Reason::Granted => "规则已发放。",
            Reason::NotMatched => "此笔支付不符合规则的条件。",
            Reason::NothingDue => "符合条件，但奖励为零。",
            Reason::LateForWindow => "规则已先计入了之后周期的支付。",
            Reason::Holdout => "用户在该规则的对照组中，该组用于衡量活动效果。",
            Reason::UserLimit => "用户在此周期内已达到规则的金额或次数上限。",
            Reason::BudgetSpent => "规则的总金额或总次数预算已用完。",
            Reason::GroupTaken => "由同组的另一条规则发放。",
            Reason::Excluded => "此笔支付已由排斥它的规则发放。",
            Reason::VaultShort => "金库余额不足。",
            Reason::Reversed => "退款收回了规则发放的奖励。",
        }
    }

    fn refusal(&self, refusal: Refusal) -> &'static str {
        match refusal {
            Refusal::ZeroAmount => "金额为 0；请记录大于零的支付。",
            Refusal::TooLate => "发生时间早于平台接受记录的期限。",
            Refusal::FromTheFuture => "发生时间比链上时钟超前一分钟以上；请检查时钟。",
            Refusal::DuplicateOrder => "订单号已被使用；没有重复记录。",
            Refusal::AmountOverflow => "奖励、余额或计数将超出链上可保存的最大值。",
            Refusal::UnknownOrder => "没有记录要退款的订单。",
            Refusal::OverRefund => "退款总额将超过支付金额。",
            Refusal::InsufficientBalance => "用户余额不足。",
            Refusal::NotRedeemable => "该资产不可兑换：代币需提取，其他资产不存在。",
            Refusal::StaleLink => "用户已有同一时间或更晚绑定的钱包。",
        }
    }

    fn clause(&self, clause: &[Predicate], counted: Counted) -> String {
        clause.iter().map(|one| predicate(one, counted)).collect::<Vec<_>>().join("，或")
    }

    fn progress(&self, progress: &Progress<'_>) -> String {
        let Progress { rule, asset, counted, spend, granted, next, left, reset } = *progress;
        let mut text = match next {
            Next::Holdout => return format!("您在“{rule}”的对照组中，该组用于衡量活动效果"),
            Next::Tier(missing) => format!(
                "“{rule}”：您{}已消费 {spend}；再消费 {} 即达到下一档 {}",
                during(counted),
                missing.amount(),
                missing.threshold
            ),
            Next::AllTiers => format!("“{rule}”：您{}已达到所有档位", during(counted)),
            Next::Streak { days, pays_at } => {
                format!("“{rule}”：您{}已连续支付 {days} 天；第 {pays_at} 天发放", towards(counted.scope))
            }
            Next::StreakDone => format!("“{rule}”已发放，只发放一次"),
            Next::Nothing => format!("“{rule}”：{}已发放 {granted} {asset}", during(counted)),
        };
        let left = match left {
            (None, None) => None,
            (_, Some(0)) | (Some(0), _) => Some("您的上限已到".to_owned()),
            (Some(amount), None) => Some(format!("最多还可得 {amount} {asset}")),
            (None, Some(count)) => Some(format!("最多还可得 {count} 次")),
            (Some(amount), Some(count)) => Some(format!("最多还可得 {amount} {asset}、{count} 次")),
        };
        for part in [left, resets(reset)].into_iter().flatten() {
            text.push('；');
            text.push_str(&part);
        }
        text
    }
}

fn named(thing: &Thing) -> String {
    match thing {
        Thing::Platform(Some(address)) => format!("平台 {address}"),
        Thing::Platform(None) => "平台".to_owned(),
        Thing::User(user) => format!("用户 {user} 的支付"),
        Thing::Order(order) => format!("哈希为 {order} 的订单"),
        Thing::Rule(rule) => format!("规则 {rule}"),
        Thing::RuleVersion(rule, version) => format!("规则 {rule} 的版本 {version}"),
        Thing::Other(what) => what.clone(),
    }
}

fn noun(window: Window) -> &'static str {
    match window {
        Window::Day => "日期",
        Window::Week => "一周",
        Window::Month => "月份",
        Window::Lifetime | Window::Schedule => "周期",
    }
}

fn towards(scope: Scope) -> &'static str {
    match scope {
        Scope::User => "",
        Scope::UserStreamer => "对该主播",
        Scope::UserSession => "在该场直播中",
    }
}

fn during(counted: Counted) -> String {
    let time = match counted.window {
        Window::Day => "当日",
        Window::Week => "当周",
        Window::Month => "当月",
        Window::Lifetime => "累计",
        Window::Schedule => "活动期间",
    };
    format!("{time}{}", towards(counted.scope))
}

fn nothing_due(rule: &str, due: Due, counted: Counted) -> String {
    match due {
        Due::Tier(Some(missing)) => format!(
            "您{}已消费 {}，再消费 {} 即达到“{rule}”的下一档 {}",
            during(counted),
            missing.spend,
            missing.amount(),
            missing.threshold
        ),
        Due::Tier(None) => format!("您{}的消费未达到“{rule}”的下一档", during(counted)),
        Due::AllTiers => format!("“{rule}”对您{}消费应发放的已全部发放", during(counted)),
        Due::Streak { days, recurring, now } => {
            let towards = towards(counted.scope);
            let pays = if recurring {
                format!("每连续支付 {days} 天")
            } else {
                format!("连续支付的第 {days} 天")
            };
            match now {
                Some(now) => format!("“{rule}”{towards}{pays}发放，此次是第 {now} 天，或当天再次支付"),
                None => format!("“{rule}”{towards}{pays}于当天首笔支付时发放"),
            }
        }
        Due::Share => format!("“{rule}”按比例计算，金额太小，奖励为零"),
        Due::Multiplier => format!("“{rule}”在其他规则的发放上加倍，此次没有可加倍的发放"),
        Due::Unknown => format!("“{rule}”对此笔支付的奖励为零"),
    }
}

fn user_limit(rule: &str, asset: &str, limit: UserLimit, counted: Counted) -> String {
    let weekly = match counted.window {
        Window::Day => "每日上限",
        Window::Week => "每周上限",
        Window::Month => "每月上限",
        Window::Lifetime | Window::Schedule => "上限",
    };
    let amount = (limit.amount != 0).then(|| format!("{} {asset}", limit.amount));
    let count = (limit.count != 0).then(|| format!("{} 次", limit.count));
    let of = [amount, count].into_iter().flatten().collect::<Vec<_>>().join("、");
    let is = if limit.rejects && limit.amount != 0 { "已到或将被超过" } else { "已到" };
    let mut text = format!("您{}在“{rule}”的{weekly}（{of}）{is}", towards(counted.scope));
    if let Some(reset) = resets(limit.reset) {
        text.push('；');
        text.push_str(&reset);
    }
    text
}

fn resets(reset: Reset) -> Option<String> {
    match reset {
        Reset::Never => None,
        Reset::WithRule(at) => Some(format!("规则于 {} 结束", moment(at))),
        Reset::Soon(at) => Some(format!("{} 重置", soon(at))),
        Reset::At(at) => Some(format!("{} 重置", moment(at))),
        Reset::Passed(at) => Some(format!("已于 {} 重置", moment(at))),
    }
}

/// `周一 00:00 +08:00`.
fn soon(at: OffsetDateTime) -> String {
    let day = weekday(u64::from(at.weekday().number_from_monday()));
    format!("{day} {:02}:{:02} {}", at.hour(), at.minute(), offset(at))
}

fn weekday(number: u64) -> &'static str {
    match number {
        1 => "周一",
        2 => "周二",
        3 => "周三",
        4 => "周四",
        5 => "周五",
        6 => "周六",
        _ => "周日",
    }
}

fn predicate(predicate: &Predicate, counted: Counted) -> String {
    let (Some(field), Some(operator)) = (predicate.field(), predicate.operator()) else {
        return "满足本服务器尚无说明的条件".to_owned();
    };
    let (value, negated) = (predicate.value, predicate.negated());
    if (field, operator, value) == (Field::PaymentNumber, Operator::Eq, 1) {
        return format!("{}您的首笔支付", if negated { "不是" } else { "是" });
    }
    if operator == Operator::Any {
        let bits = |name: fn(u64) -> String| members(value).map(name).collect::<Vec<_>>().join("、");
        let is = if negated { "不是" } else { "是" };
        return match field {
            Field::Weekday => format!("当天{is}{}", bits(|day| weekday(day).to_owned())),
            Field::Hour => format!("时刻{is} {} 点", bits(|hour| hour.to_string())),
            _ if negated => format!("您不属于任何分群 {}", bits(|bit| bit.to_string())),
            _ => format!("您属于分群 {} 之一", bits(|bit| bit.to_string())),
        };
    }
    if matches!(field, Field::Streamer | Field::Session) && value == 0 {
        let what = if field == Field::Streamer { "主播" } else { "直播场次" };
        let some = negated == (operator == Operator::Eq);
        return format!("{}{what}", if some { "有" } else { "没有" });
    }
    let is = match (operator, negated) {
        (Operator::Eq | Operator::Any, false) => "等于",
        (Operator::Eq | Operator::Any, true) => "不等于",
        (Operator::Ne, false) => "不等于",
        (Operator::Ne, true) => "等于",
        (Operator::Lt, false) => "小于",
        (Operator::Lt, true) => "不小于",
        (Operator::Le, false) => "不超过",
        (Operator::Le, true) => "超过",
        (Operator::Gt, false) => "大于",
        (Operator::Gt, true) => "不大于",
        (Operator::Ge, false) => "至少为",
        (Operator::Ge, true) => "低于",
    };
    let value = match field {
        Field::Weekday => weekday(value).to_owned(),
        Field::Date => date(value),
        _ => value.to_string(),
    };
    let subject = match field {
        Field::Amount => "支付金额".to_owned(),
        Field::Product => "商品".to_owned(),
        Field::Weekday => "星期".to_owned(),
        Field::PaymentNumber => "您的支付次序".to_owned(),
        Field::Hour => "时刻（点）".to_owned(),
        Field::Date => "日期".to_owned(),
        Field::Spend => format!("您{}的消费", during(counted)),
        Field::Payments => format!("您{}的支付次数", during(counted)),
        Field::StreakDays => format!("您{}连续支付的天数", towards(counted.scope)),
        Field::Tier => "您的等级".to_owned(),
        Field::Segments => "您的分群集合".to_owned(),
        Field::Streamer => "主播编号".to_owned(),
        Field::Session => "直播场次编号".to_owned(),
    };
    format!("{subject}{is} {value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_limit_names_its_rule_its_amount_and_when_it_resets() {
        let limit =
            UserLimit { amount: 500, count: 0, rejects: false, reset: Reset::Soon(datetime!(2026-10-05 00:00 +8)) };
        let counted = Counted { window: Window::Week, scope: Scope::User };
        let outcome = Outcome { rule: "周末奖励", asset: "金币", did: Did::UserLimit(limit, counted) };
        assert_eq!(
            Chinese.outcome(&outcome),
            "未发放：您在“周末奖励”的每周上限（500 金币）已到；周一 00:00 +08:00 重置"
        );
    }
}
