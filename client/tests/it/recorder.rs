//! What the log lines of a transaction say.

use rebate_client::recorder::refusals;

fn logs(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn refusals_are_told_from_the_log_lines_in_order_and_nothing_else_is() {
    let logs = logs(&[
        "Program ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u invoke [1]",
        "Program log: order 0f1e2d3c4b5a6978: refused, DuplicateOrder",
        "Program log: order 1111111111111111: 1000 of asset 1 by rule 1, 0 -> 1000",
        "Program log: order 2222222222222222: refused, ZeroAmount",
        "Program log: order 0f1e2d3c4b5a6978: refused, DuplicateOrder",
        "order 3333333333333333: refused, TooLate",
        "Program data: order 3333333333333333: refused, TooLate",
        "Program log: an order 3333333333333333: refused, TooLate",
        "Program ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u success",
    ]);
    let refused = |order: &str, reason: &str| (order.to_owned(), reason.to_owned());
    assert_eq!(
        refusals(&logs),
        [
            refused("0f1e2d3c4b5a6978", "DuplicateOrder"),
            refused("2222222222222222", "ZeroAmount"),
            refused("0f1e2d3c4b5a6978", "DuplicateOrder"),
        ]
    );
    assert_eq!(refusals(&[]), []);
}
