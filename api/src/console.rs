//! The pages that people open: the operators' console, and one order's page for its user. They are files of `console/`, in
//! this binary, and read what they show from the API like anybody else.

use crate::state::ApiState;
use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "../console"]
struct Files;

/// Nothing runs but the console's own files, and nothing that is data is ever taken for a program. Whoever verifies an order
/// asks a node of their own choice.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self' https: http://127.0.0.1:* http://localhost:*; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The pages and what they are made of.
pub(crate) fn pages() -> Router<ApiState> {
    Router::new()
        .route("/", get(async |headers: HeaderMap| answer("index.html", &headers)))
        .route("/orders/{order}", get(async |headers: HeaderMap| answer("order.html", &headers)))
        .route("/console/{*file}", get(file))
}

async fn file(Path(file): Path<String>, headers: HeaderMap) -> Response {
    answer(&file, &headers)
}

fn answer(name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = Files::get(name) else { return StatusCode::NOT_FOUND.into_response() };
    let etag = etag(&file);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|known| known.trim() == etag));
    let mut answer = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let media_type = match file.metadata.mimetype() {
            text if text.starts_with("text/") => format!("{text}; charset=utf-8"),
            other => other.to_owned(),
        };
        ([(header::CONTENT_TYPE, media_type)], file.data).into_response()
    };
    let always = answer.headers_mut();
    // The file of another version has another tag, so that nobody mixes versions.
    always.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    always.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    always.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    always.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    always.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        always.insert(header::ETAG, etag);
    }
    answer
}

/// A weak one, since the same file can go out compressed.
fn etag(file: &EmbeddedFile) -> String {
    format!("W/\"{}\"", hex::encode(file.metadata.sha256_hash()))
}
