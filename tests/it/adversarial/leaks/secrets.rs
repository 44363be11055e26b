//! The secrets, and the forms in which they might appear.

pub const TOKEN: &str = "tokenS3CRETq1w2e3r4t5";
pub const KEY: &str = "keyS3CRETa9s8d7f6g5";
/// In capitals, so that it could be the code of an error.
pub const KEY_LIKE_A_CODE: &str = "KEYCODES3CRETZ1X2";
pub const VALUE: &str = "valueS3CRETy6u7i8o9p0";
pub const SESSION: &str = "sessionS3CRETz1x2c3v4";
pub const USER: &str = "userS3CRETl0k9j8h7g6";

pub const MARKS: [&str; 6] = [TOKEN, KEY, KEY_LIKE_A_CODE, VALUE, SESSION, USER];

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns the middle of the mark as text, in base64 at any alignment, in hexadecimal, and as a
/// list of numbers. No other text contains it.
pub fn forms(mark: &str) -> Vec<String> {
    let middle = &mark[mark.len() - 8..];
    let bytes = middle.as_bytes();
    let mut forms = vec![middle.to_owned()];
    for skip in 0..3 {
        let triples = bytes[skip..].chunks_exact(3).flat_map(|three| {
            let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
            [18, 12, 6, 0].map(|shift| char::from(BASE64[(bits >> shift & 63) as usize]))
        });
        forms.push(triples.collect());
    }
    forms.push(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    for (start, between) in [("", ", "), ("", ",")] {
        forms.push(format!(
            "{start}{}",
            bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(between)
        ));
    }
    forms
}
