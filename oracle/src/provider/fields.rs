//! What the platform puts into an order for its rules: who the user is, the product, the streamer…

use super::Rejection;
use crate::order::About;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::form_urlencoded;

/// Under which names the platform puts it into the provider's field for such things: Stripe's `metadata`, Alipay's
/// `passback_params`, WeChat Pay's `attach`. The latter two hold a JSON object or `name=value&name=value`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct FieldNames {
    /// The user's id with the platform. Must be there.
    pub user: String,
    /// What was bought, 0 to 65535.
    pub product: String,
    /// The streamer's id with the platform.
    pub streamer: String,
    /// The live session's id with the platform.
    pub session: String,
    /// The user's tier, 0 to 255.
    pub tier: String,
    /// The user's segments, a bit set of 32.
    pub segments: String,
}

impl Default for FieldNames {
    fn default() -> Self {
        let [user, product, streamer, session, tier, segments] =
            ["user", "product", "streamer", "session", "tier", "segments"].map(str::to_owned);
        Self { user, product, streamer, session, tier, segments }
    }
}

impl FieldNames {
    /// The user, and what else there is, in `fields`.
    pub(super) fn read(&self, fields: &Map<String, Value>) -> Result<(String, About), Rejection> {
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(Rejection::Unusable(format!("its field {name:?} is neither text nor a number"))),
        };
        let user = text(&self.user)?.ok_or_else(|| {
            Rejection::Unusable(format!("it names no user: the platform must put one into the field {:?}", self.user))
        })?;
        let about = About {
            product: number(&self.product, text(&self.product)?)?,
            streamer: text(&self.streamer)?,
            session: text(&self.session)?,
            tier: number(&self.tier, text(&self.tier)?)?,
            segments: number(&self.segments, text(&self.segments)?)?,
        };
        Ok((user, about))
    }

    /// The same in a text that is a JSON object or `name=value&name=value`.
    pub(super) fn read_text(&self, text: &str) -> Result<(String, About), Rejection> {
        let text = text.trim();
        if text.starts_with('{') {
            let fields = serde_json::from_str(text).map_err(super::malformed("the platform's own field"))?;
            return self.read(&fields);
        }
        let pairs = form_urlencoded::parse(text.as_bytes());
        self.read(&pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect())
    }
}

fn number<N: Default + std::str::FromStr>(name: &str, text: Option<String>) -> Result<N, Rejection> {
    text.map_or(Ok(N::default()), |text| {
        text.parse().map_err(|_| Rejection::Unusable(format!("its field {name:?} is {text:?}, no number that fits")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_pairs_say_the_same() {
        let names = FieldNames::default();
        let json = names.read_text(r#"{"user":"u 1","product":7,"streamer":"s","tier":"2"}"#).unwrap();
        assert_eq!(names.read_text("user=u%201&product=7&streamer=s&tier=2").unwrap(), json);
        assert_eq!(json.0, "u 1");
        assert_eq!(json.1, About { product: 7, streamer: Some("s".into()), tier: 2, ..About::default() });
    }

    #[test]
    fn no_user_or_a_number_that_does_not_fit_is_no_order() {
        let names = FieldNames::default();
        for text in ["", "product=1", "user=", "user=u&tier=256", "user=u&product=-1", r#"{"user":["u"]}"#, "{"] {
            assert!(names.read_text(text).is_err(), "{text}");
        }
    }
}
