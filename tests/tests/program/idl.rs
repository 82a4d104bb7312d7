//! The IDL says what the client does.

use rebate_client::error;

fn idl() -> serde_json::Value {
    let text = include_str!("../../../idl/rebate.json");
    serde_json::from_str(text).expect("idl/rebate.json is JSON")
}

#[test]
fn the_clients_error_names_and_messages_are_those_of_the_idl() {
    let idl = idl();
    let of_idl: Vec<_> = idl["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| (error["code"].as_u64(), error["name"].as_str(), error["msg"].as_str()))
        .collect();
    let of_client: Vec<_> = error::ERRORS
        .iter()
        .zip(u64::from(error::FIRST)..)
        .map(|((name, message), code)| (Some(code), Some(*name), Some(*message)))
        .collect();
    assert_eq!(of_client, of_idl);
}
