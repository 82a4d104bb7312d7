//! The demo on a validator.

use crate::demo::{Demo, assert_whole};
use rustix::process::Signal;

#[tokio::test]
async fn the_demo_on_a_validator_ends_with_everything_agreeing() {
    let demo = Demo::start(&["--once", "--chain", "validator"]);
    let (ended, folder) = demo.ended().await;
    ended.assert_success();
    assert_whole(&ended.out);
    let said = "no month ends here, and nothing expires: nobody can move a validator's clock";
    assert_eq!(ended.out.matches(said).count(), 1, "{}", ended.out);
    assert!(!ended.out.contains(" loses "), "{}", ended.out);
    assert!(ended.out.contains("?cluster=custom&customUrl=http%3A%2F%2F127.0.0.1%3A"), "{}", ended.out);
    folder.assert_left_nothing().await;
}

#[tokio::test]
async fn ctrl_c_in_the_middle_of_the_demo_stops_everything_it_started() {
    let mut demo = Demo::start(&["--chain", "validator"]);
    demo.process.said_line_with("playing").await;
    demo.process.signal(Signal::INT);
    let (ended, folder) = demo.ended().await;
    ended.assert_refused(&["interrupted before the end"]);
    folder.assert_left_nothing().await;
}
