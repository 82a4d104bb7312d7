//! Drafts as JSON: the same keys and values as in a rule file. They are written as TOML, which is then read, so that there is
//! one reader, and errors have a place in a text that can be shown.

use serde_json::Value;
use thiserror::Error;

/// JSON that no TOML can say.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoToml {
    /// It is something else than an object.
    #[error("a draft is an object with the keys of a rule file: platform, asset, group, rule")]
    NoObject,
    /// TOML has nothing for it.
    #[error("{0}")]
    Value(String),
}

/// How deep a draft can be; no rule file needs more than 4.
const DEPTH: usize = 8;

/// The text of a rule file with what a JSON object says. `null` is a key left out.
///
/// # Errors
/// [`NoToml`].
pub fn to_toml(draft: &Value) -> Result<String, NoToml> {
    let Value::Object(members) = draft else { return Err(NoToml::NoObject) };
    let mut text = String::new();
    for (key, value) in members {
        match value {
            Value::Null => {}
            Value::Object(table) => {
                text.push_str(&format!("\n[{}]\n", quoted_key(key)));
                lines(table, &mut text)?;
            }
            Value::Array(tables) if !tables.is_empty() && tables.iter().all(Value::is_object) => {
                for table in tables.iter().filter_map(Value::as_object) {
                    text.push_str(&format!("\n[[{}]]\n", quoted_key(key)));
                    lines(table, &mut text)?;
                }
            }
            // Those stand before the first table.
            other => text.insert_str(0, &format!("{} = {}\n", quoted_key(key), inline(other, DEPTH)?)),
        }
    }
    Ok(text.trim_start().to_owned())
}

fn lines(table: &serde_json::Map<String, Value>, text: &mut String) -> Result<(), NoToml> {
    for (key, value) in table.iter().filter(|(_, value)| !value.is_null()) {
        text.push_str(&format!("{} = {}\n", quoted_key(key), inline(value, DEPTH)?));
    }
    Ok(())
}

fn inline(value: &Value, depth: usize) -> Result<String, NoToml> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(NoToml::Value("the draft is nested deeper than any rule file".to_owned()));
    };
    Ok(match value {
        Value::Null => return Err(NoToml::Value("a list has no null in it; leave it out".to_owned())),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        Value::Array(values) => {
            let values = values.iter().map(|value| inline(value, deeper)).collect::<Result<Vec<_>, _>>()?;
            format!("[{}]", values.join(", "))
        }
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            let members = members
                .map(|(key, value)| Ok(format!("{} = {}", quoted_key(key), inline(value, deeper)?)))
                .collect::<Result<Vec<_>, NoToml>>()?;
            format!("{{ {} }}", members.join(", "))
        }
    })
}

/// A key, in quotes where it needs them.
fn quoted_key(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(is_bare) {
        return key.to_owned();
    }
    toml::Value::String(key.replace('\n', " ")).to_string()
}
