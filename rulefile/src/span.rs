//! Spans of time as people write them: `7d`, `36h`, `90m`, `45s`.

/// A span in seconds; `None` if it is not one.
pub fn parse(text: &str) -> Option<u32> {
    let unit = match text.chars().last()? {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        's' => 1,
        _ => return None,
    };
    let number = text.get(..text.len().checked_sub(1)?)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u32>().ok()?.checked_mul(unit)
}
