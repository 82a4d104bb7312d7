//! The header `Authorization: Bearer …`.

use crate::problem::{Kind, Problem};
use axum::http::{HeaderMap, header};

/// Longer than any key or token that is given out, and than those of most who sign their own.
const LONGEST: usize = 4_096;

/// What stands behind `Bearer`; `None` where it is not there or is nothing that can be a key or token.
pub(crate) fn given(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= LONGEST).then_some(token)
}

/// What stands behind `Bearer`.
///
/// # Errors
/// Where it is not there; `wanted` says what is.
pub(crate) fn required<'a>(headers: &'a HeaderMap, wanted: &str) -> Result<&'a str, Problem> {
    given(headers).ok_or_else(|| {
        Problem::new(Kind::Unauthorized, format!("this needs {wanted} in the header: Authorization: Bearer …"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_one_bearer_token_of_a_sane_length_is_taken() {
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            given(&headers).map(str::to_owned)
        };
        assert_eq!(with(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(with(&["bearer abc"]).as_deref(), Some("abc"));
        let long = format!("Bearer {}", "a".repeat(LONGEST + 1));
        for wrong in [&[][..], &["abc"], &["Bearer"], &["Bearer "], &["Basic abc"], &["Bearer a", "Bearer b"], &[&long]]
        {
            assert_eq!(with(wrong), None, "{wrong:?}");
        }
    }
}
