//! Checks proofs as a stranger would: with a library for certificate transparency that knows nothing of this project, from
//! the texts that the API answers with.

#![expect(clippy::expect_used, reason = "this is how a test fails")]

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;

/// A tree head, in hexadecimal digits, and how many leaves it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many leaves.
    pub size: u64,
    /// The hash.
    pub hash: String,
}

impl Head {
    /// The head over `size` leaves.
    pub fn new(size: u64, hash: &[u8]) -> Self {
        Self { size, hash: hexadecimal(hash) }
    }

    fn root(&self) -> RootHash<Sha256> {
        let hash = <[u8; 32]>::try_from(bytes(&self.hash)).expect("32 bytes");
        RootHash::new(hash.into(), self.size)
    }

    /// Whether `event` is leaf `index` of this tree, by this path.
    pub fn includes(&self, event: &[u8], index: u64, path: &[String]) -> bool {
        let path = InclusionProof::try_from_bytes(nodes(path)).expect("whole nodes");
        self.root().verify_inclusion(&event, index, &path).is_ok()
    }

    /// Whether this tree begins with that of `before`, by this proof.
    pub fn goes_on_from(&self, before: &Self, proof: &[String]) -> bool {
        let proof = ConsistencyProof::try_from_bytes(nodes(proof)).expect("whole nodes");
        self.root().verify_consistency(&before.root(), &proof).is_ok()
    }
}

fn nodes(texts: &[String]) -> Vec<u8> {
    texts.iter().flat_map(|text| bytes(text)).collect()
}

/// What lower-case hexadecimal digits say.
pub fn bytes(text: &str) -> Vec<u8> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => u8::MAX,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty(), "an odd number of digits: {text}");
    pairs
        .iter()
        .map(|[high, low]| {
            assert!(digit(*high) < 16 && digit(*low) < 16, "no lower-case hexadecimal digits: {text}");
            digit(*high) << 4 | digit(*low)
        })
        .collect()
}

/// Bytes as lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
