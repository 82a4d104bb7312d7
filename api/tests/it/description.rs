use crate::{ledger::Ledger, served::Served};
use serde_json::Value;

/// The description that is committed, for clients to be made from.
const COMMITTED: &str = include_str!("../../openapi.json");

#[test]
fn the_committed_description_is_fresh() {
    let fresh = rebate_api::openapi().to_pretty_json().unwrap();
    assert!(
        COMMITTED.trim_end() == fresh.trim_end(),
        "api/openapi.json is stale; run: cargo run -p rebate-api -- --print-openapi > api/openapi.json"
    );
}

#[tokio::test]
async fn the_served_description_is_the_committed_one() {
    let served = Served::new().await;
    let committed: Value = serde_json::from_str(COMMITTED).unwrap();
    assert_eq!(served.json("/openapi.json").await, committed);
}

#[test]
fn every_reference_in_the_description_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    found.push(reference);
                }
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let description: Value = serde_json::from_str(COMMITTED).unwrap();
    let mut found = Vec::new();
    references(&description, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        let pointer = reference.trim_start_matches('#');
        assert!(description.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_answer_about_data_describes_its_errors_and_its_slot() {
    let description: Value = serde_json::from_str(COMMITTED).unwrap();
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() >= 14);
    for (path, item) in paths {
        let operation = &item["get"];
        // What wants a key is not about the data; the next test looks at that.
        if operation.is_null() || operation["security"].is_array() {
            continue;
        }
        assert!(operation["operationId"].is_string(), "{path}");
        assert!(operation["summary"].is_string(), "{path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{path}: {parameter}");
        }
        if !path.starts_with("/v1/") {
            continue;
        }
        for status in ["400", "404", "500", "503"] {
            let problem = &operation["responses"][status]["content"]["application/problem+json"];
            assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{path} {status}");
        }
        // What is live is a stream, each of whose events is of its own slot.
        if path == "/v1/live" {
            continue;
        }
        let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
        let schema = description.pointer(answer.as_str().unwrap().trim_start_matches('#')).unwrap();
        let as_of = serde_json::json!({"$ref": "#/components/schemas/AsOf"});
        assert!(schema["allOf"].as_array().unwrap().contains(&as_of), "{path}");
    }
}

#[test]
fn every_path_that_wants_a_key_says_so_and_describes_what_is_refused() {
    let description: Value = serde_json::from_str(COMMITTED).unwrap();
    let schemes = description["components"]["securitySchemes"].as_object().unwrap();
    let mut guarded = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(security) = operation["security"].as_array() else {
                assert!(!path.starts_with("/v1/operators") && !path.starts_with("/v1/me"), "{method} {path}");
                continue;
            };
            guarded += 1;
            assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{method} {path}");
            for scheme in security.iter().flat_map(|one| one.as_object().unwrap().keys()) {
                assert!(schemes.contains_key(scheme), "{method} {path}: {scheme}");
            }
            for status in ["400", "401", "403", "413", "429", "500", "503"] {
                let problem = &operation["responses"][status]["content"]["application/problem+json"];
                assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{method} {path} {status}");
            }
        }
    }
    assert!(guarded >= 5);
}

#[tokio::test]
async fn an_answer_is_compressed_for_those_who_take_it() {
    let served = Served::new().await;
    let _ledger = Ledger::new(served.pool()).await;
    // Built together with others, this client may have features that hide what it got.
    let client = reqwest::Client::builder().no_gzip().no_brotli().no_deflate().no_zstd().build().unwrap();
    let response =
        client.get(format!("{}/openapi.json", served.url)).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(response.bytes().await.unwrap().len() < COMMITTED.len() / 4);
}
