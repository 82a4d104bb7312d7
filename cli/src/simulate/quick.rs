//! Lines as programs write them: one JSON object, texts without escapes, whole numbers; fastest with the keys in the order of
//! the specification, and in any order all the same.

use super::{
    moment::Moments,
    record::{PaymentLine, Record, RedemptionLine, RefundLine},
};
use rebate_core::units::{Amount, AssetId, Timestamp};
use std::borrow::Cow;

/// The line, or `None` if it is wrong or unusual.
#[inline]
pub fn read<'a>(line: &'a [u8], moments: &mut Moments) -> Option<Record<'a>> {
    payment(line, moments).or_else(|| any(line, moments))
}

/// A payment as the specification shows it, in this order and without spaces; only what may be left out can be missing.
#[inline]
fn payment<'a>(line: &'a [u8], moments: &mut Moments) -> Option<Record<'a>> {
    let mut cursor = Cursor(line);
    cursor.after(b"{\"kind\":\"payment\",\"order\":").then_some(())?;
    let order = cursor.named()?;
    cursor.after(b",\"user\":").then_some(())?;
    let user = cursor.named()?;
    cursor.after(b",\"amount\":").then_some(())?;
    let amount = Amount(cursor.number()?);
    cursor.after(b",\"paid_at\":\"").then_some(())?;
    let paid_at = cursor.moment(moments)?;
    let product = if cursor.after(b",\"product\":") { u16::try_from(cursor.number()?).ok()? } else { 0 };
    let streamer = if cursor.after(b",\"streamer\":") { cursor.text()? } else { &[] };
    let session = if cursor.after(b",\"session\":") { cursor.text()? } else { &[] };
    let tier = if cursor.after(b",\"tier\":") { u8::try_from(cursor.number()?).ok()? } else { 0 };
    let segments = if cursor.after(b",\"segments\":") { u32::try_from(cursor.number()?).ok()? } else { 0 };
    matches!(cursor.0, b"}" | b"}\r").then(|| {
        Record::Payment(PaymentLine {
            order: Cow::Borrowed(order),
            user: Cow::Borrowed(user),
            amount,
            paid_at,
            product,
            streamer: Cow::Borrowed(streamer),
            session: Cow::Borrowed(session),
            tier,
            segments,
        })
    })
}

fn any<'a>(line: &'a [u8], moments: &mut Moments) -> Option<Record<'a>> {
    let mut cursor = Cursor(line);
    let mut keys = Keys::default();
    cursor.expect(b'{')?;
    loop {
        cursor.spaces();
        let key = cursor.key()?;
        cursor.spaces();
        cursor.expect(b':')?;
        cursor.spaces();
        keys.read(key, &mut cursor, moments)?;
        cursor.spaces();
        match cursor.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    if !cursor.0.iter().all(|byte| matches!(byte, b' ' | b'\r' | b'\t')) {
        return None;
    }
    keys.record()
}

macro_rules! keys {
    ($($name:ident = $bit:literal),*) => {
        $(const $name: u16 = 1 << $bit;)*
    };
}

keys!(
    KIND = 0,
    ORDER = 1,
    USER = 2,
    AMOUNT = 3,
    PAID_AT = 4,
    PRODUCT = 5,
    STREAMER = 6,
    SESSION = 7,
    TIER = 8,
    SEGMENTS = 9,
    OF = 10,
    ASSET = 11
);

/// The keys as numbers: none has more than eight bytes.
mod key {
    const fn key(name: &[u8]) -> u64 {
        let (mut key, mut at) = (0, name.len());
        while at > 0 {
            at -= 1;
            key = key << 8 | name[at] as u64;
        }
        key
    }

    pub const KIND: u64 = key(b"kind");
    pub const ORDER: u64 = key(b"order");
    pub const USER: u64 = key(b"user");
    pub const AMOUNT: u64 = key(b"amount");
    pub const PAID_AT: u64 = key(b"paid_at");
    pub const PRODUCT: u64 = key(b"product");
    pub const STREAMER: u64 = key(b"streamer");
    pub const SESSION: u64 = key(b"session");
    pub const TIER: u64 = key(b"tier");
    pub const SEGMENTS: u64 = key(b"segments");
    pub const OF: u64 = key(b"of");
    pub const ASSET: u64 = key(b"asset");
}

/// What the keys seen so far say.
#[derive(Default)]
struct Keys<'a> {
    seen: u16,
    kind: &'a [u8],
    order: &'a [u8],
    user: &'a [u8],
    of: &'a [u8],
    streamer: &'a [u8],
    session: &'a [u8],
    amount: u64,
    paid_at: Timestamp,
    segments: u32,
    product: u16,
    tier: u8,
    asset: u8,
}

impl<'a> Keys<'a> {
    #[inline]
    fn read(&mut self, key: u64, cursor: &mut Cursor<'a>, moments: &mut Moments) -> Option<()> {
        let bit = match key {
            key::KIND => {
                self.kind = cursor.text()?;
                KIND
            }
            key::ORDER => {
                self.order = cursor.named()?;
                ORDER
            }
            key::USER => {
                self.user = cursor.named()?;
                USER
            }
            key::AMOUNT => {
                self.amount = cursor.number()?;
                AMOUNT
            }
            key::PAID_AT => {
                self.paid_at = moments.quick(cursor.text()?)?;
                PAID_AT
            }
            key::PRODUCT => {
                self.product = u16::try_from(cursor.number()?).ok()?;
                PRODUCT
            }
            key::STREAMER => {
                self.streamer = cursor.text()?;
                STREAMER
            }
            key::SESSION => {
                self.session = cursor.text()?;
                SESSION
            }
            key::TIER => {
                self.tier = u8::try_from(cursor.number()?).ok()?;
                TIER
            }
            key::SEGMENTS => {
                self.segments = u32::try_from(cursor.number()?).ok()?;
                SEGMENTS
            }
            key::OF => {
                self.of = cursor.named()?;
                OF
            }
            key::ASSET => {
                self.asset = u8::try_from(cursor.number()?).ok()?;
                ASSET
            }
            _ => return None,
        };
        // A key that is there twice is for the other reader to tell.
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new.then_some(())
    }

    #[inline]
    fn record(self) -> Option<Record<'a>> {
        const NEEDED: u16 = KIND | ORDER | USER | AMOUNT | PAID_AT;
        let optional = PRODUCT | STREAMER | SESSION | TIER | SEGMENTS;
        let amount = Amount(self.amount);
        match self.kind {
            b"payment" if self.seen & !optional == NEEDED => Some(Record::Payment(PaymentLine {
                order: Cow::Borrowed(self.order),
                user: Cow::Borrowed(self.user),
                amount,
                paid_at: self.paid_at,
                product: self.product,
                streamer: Cow::Borrowed(self.streamer),
                session: Cow::Borrowed(self.session),
                tier: self.tier,
                segments: self.segments,
            })),
            b"refund" if self.seen == (KIND | ORDER | OF | AMOUNT | PAID_AT) => Some(Record::Refund(RefundLine {
                order: Cow::Borrowed(self.order),
                of: Cow::Borrowed(self.of),
                amount,
                paid_at: self.paid_at,
            })),
            b"redemption" if self.seen == NEEDED | ASSET => Some(Record::Redemption(RedemptionLine {
                order: Cow::Borrowed(self.order),
                user: Cow::Borrowed(self.user),
                asset: AssetId(self.asset),
                amount,
                paid_at: self.paid_at,
            })),
            _ => None,
        }
    }
}

/// What is left of the line.
struct Cursor<'a>(&'a [u8]);

/// Eight times the same byte.
const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

impl<'a> Cursor<'a> {
    #[inline]
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Whether it goes on with `text`; then the cursor is behind it.
    #[inline(always)]
    fn after<const N: usize>(&mut self, text: &[u8; N]) -> bool {
        match self.0.split_first_chunk::<N>() {
            Some((head, rest)) if head == text => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// A date and time and the quote behind it.
    #[inline]
    fn moment(&mut self, moments: &mut Moments) -> Option<Timestamp> {
        let (text, rest) = match self.0 {
            text if text.get(25) == Some(&b'"') => (text.get(..25)?, text.get(26..)?),
            text if text.get(20) == Some(&b'"') => (text.get(..20)?, text.get(21..)?),
            _ => return None,
        };
        let moment = moments.quick(text)?;
        self.0 = rest;
        Some(moment)
    }

    #[inline]
    fn spaces(&mut self) {
        while let [b' ', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    /// A text in quotes of at most eight bytes, as a number; no known key is longer, and none has a zero in it.
    #[inline]
    fn key(&mut self) -> Option<u64> {
        self.expect(b'"')?;
        let (chunk, behind) = self.0.split_first_chunk::<8>()?;
        let chunk = u64::from_le_bytes(*chunk);
        let quotes = chunk ^ eight(b'"');
        let quotes = quotes.wrapping_sub(eight(0x01)) & !quotes & eight(0x80);
        if quotes == 0 {
            let [b'"', rest @ ..] = behind else { return None };
            self.0 = rest;
            return Some(chunk);
        }
        let bits = quotes.trailing_zeros() & !7;
        self.0 = self.0.get((bits / 8) as usize + 1..)?;
        // Less than 64.
        Some(chunk & ((1 << bits) - 1))
    }

    /// A text in quotes without escapes and control characters.
    #[inline]
    fn text(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let mut length = 0usize;
        let mut rest = self.0;
        // Eight bytes at a time, until one is a quote or something unusual. In each step the lowest bit set is exact.
        while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
            let chunk = u64::from_le_bytes(*chunk);
            let zero = |word: u64| word.wrapping_sub(eight(0x01)) & !word;
            let found =
                zero(chunk ^ eight(b'"')) | zero(chunk ^ eight(b'\\')) | chunk.wrapping_sub(eight(0x20)) | chunk;
            let found = found & eight(0x80);
            if found != 0 {
                length = length.wrapping_add((found.trailing_zeros() / 8) as usize);
                return self.end(length);
            }
            length = length.wrapping_add(8);
            rest = behind;
        }
        self.end(length)
    }

    /// The text of at least `length` bytes.
    #[inline]
    fn end(&mut self, length: usize) -> Option<&'a [u8]> {
        let mut length = length;
        let mut ascii = true;
        loop {
            match *self.0.get(length)? {
                b'"' => break,
                b'\\' | ..0x20 => return None,
                byte => ascii &= byte.is_ascii(),
            }
            length = length.wrapping_add(1);
        }
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest.get(1..)?;
        (ascii || str::from_utf8(text).is_ok()).then_some(text)
    }

    /// A text that is not empty.
    #[inline]
    fn named(&mut self) -> Option<&'a [u8]> {
        self.text().filter(|text| !text.is_empty())
    }

    /// A whole number of at most 19 digits, which fits.
    #[inline]
    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        let mut length = 0usize;
        while let Some(digit) = self.0.get(length).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            length = length.wrapping_add(1);
        }
        let (digits, rest) = self.0.split_at_checked(length)?;
        // No number begins with a zero but zero itself; fractions and exponents are for the other reader.
        if !(1..=19).contains(&length) || matches!(digits, [b'0', _, ..]) {
            return None;
        }
        self.0 = rest;
        Some(number)
    }
}
