//! From a platform's ids to what stands on chain, against known answers.

use rebate_client::platform_id;

#[test]
fn a_users_key_is_hmac_sha_256_of_the_id_under_the_secret() {
    // RFC 4231, test cases 1, 2, 6 and 7: keys shorter and longer than a block.
    let long = [0xaa; 131];
    for (secret, id, expected) in [
        (&[0x0b; 20][..], "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            &long,
            "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            &long,
            "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be \
             hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ] {
        assert_eq!(platform_id::user(secret, id).to_string(), expected, "{id}");
    }
}

#[test]
fn users_of_different_secrets_cannot_be_told_to_be_the_same() {
    assert_ne!(platform_id::user(b"one", "u1"), platform_id::user(b"two", "u1"));
    assert_ne!(platform_id::user(b"one", "u1"), platform_id::user(b"one", "u2"));
    assert_ne!(platform_id::user(b"", "u1"), platform_id::unkeyed_user("u1"));
}

#[test]
fn streamers_sessions_and_unkeyed_users_are_sha_256() {
    // FIPS 180-2, appendix B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(platform_id::unkeyed_user("abc").to_string(), abc);
    assert_eq!(platform_id::number("abc"), 0xeacf_018f_bf16_78ba, "its first eight bytes, the lowest first");
}
