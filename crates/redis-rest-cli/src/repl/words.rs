//! Splits a line into the words of a command, with redis-cli's quoting.

/// Reason why a line cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QuoteError {
    Open,
    Continued,
}

impl QuoteError {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Open => "unclosed quotation mark: close it",
            Self::Continued => "text directly after a closing quotation mark: insert a space",
        }
    }
}

/// Splits at spaces. Between double quotes `\n`, `\r`, `\t`, `\a`, `\b` and `\xHH` stand for bytes,
/// and any other character after a backslash for itself; between single quotes only `\'` is an
/// escape.
pub(crate) fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, QuoteError> {
    let mut words = Vec::new();
    let mut rest = skip_spaces(line);
    while !rest.is_empty() {
        let word;
        (word, rest) = first_word(rest)?;
        words.push(word);
        rest = skip_spaces(rest);
    }
    Ok(words)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn skip_spaces(line: &[u8]) -> &[u8] {
    let spaces = line.iter().take_while(|byte| is_space(**byte)).count();
    line.get(spaces..).unwrap_or_default()
}

fn first_word(line: &[u8]) -> Result<(Vec<u8>, &[u8]), QuoteError> {
    let (mut word, mut rest) = (Vec::new(), line);
    while let Some((&byte, after)) = rest.split_first() {
        rest = match byte {
            b'"' => closed(double(after, &mut word)?)?,
            b'\'' => closed(single(after, &mut word)?)?,
            _ if is_space(byte) => break,
            _ => {
                word.push(byte);
                after
            }
        };
    }
    Ok((word, rest))
}

/// Requires the end of the word.
fn closed(rest: &[u8]) -> Result<&[u8], QuoteError> {
    match rest.first() {
        Some(&byte) if !is_space(byte) => Err(QuoteError::Continued),
        _ => Ok(rest),
    }
}

/// Reads up to the closing quote; returns the rest after it.
fn double<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], QuoteError> {
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(digit(*high) << 4 | digit(*low));
                after
            }
            [b'\\', escaped, after @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 0x07,
                    b'b' => 0x08,
                    other => *other,
                });
                after
            }
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
            [] => return Err(QuoteError::Open),
        };
    }
}

fn single<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], QuoteError> {
    loop {
        rest = match rest {
            [b'\'', after @ ..] => return Ok(after),
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                after
            }
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
            [] => return Err(QuoteError::Open),
        };
    }
}

/// Returns the value of a hexadecimal digit.
fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => byte.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each case was compared with redis-cli 7.
    #[test]
    fn quoting_is_that_of_redis_cli() {
        let words: &[(&[u8], &[&[u8]])] = &[
            (b"", &[]),
            (b" \t ", &[]),
            (b"  SET k\tv ", &[b"SET", b"k", b"v"]),
            (b"\"\" ''", &[b"", b""]),
            (b"\"a b\" 'c d'", &[b"a b", b"c d"]),
            (br#""\n\r\t\a\b\\\"\q""#, &[b"\n\r\t\x07\x08\\\"q"]),
            (br#""\x00\xfF\xg1\x1""#, &[b"\x00\xffxg1x1"]),
            (br"'it\'s \n \x00 \\ '", &[br"it's \n \x00 \\ "]),
            (b"pre\"fix ed\"", &[b"prefix ed"]),
            (br"a\nb", &[br"a\nb"]),
            ("ä \u{2028}".as_bytes(), &["ä".as_bytes(), "\u{2028}".as_bytes()]),
            (b"\xff", &[b"\xff"]),
            (b"a\x0cb", &[b"a\x0cb"]),
        ];
        for (line, want) in words {
            assert_eq!(split(line).unwrap(), *want, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn broken_quotes_are_no_command() {
        for line in [&b"\"a"[..], b"'a", b"a \"", b"'\\'", b"\"\\\"", b"\"\\"] {
            assert_eq!(split(line), Err(QuoteError::Open), "{}", String::from_utf8_lossy(line));
        }
        for line in [&b"\"a\"b"[..], b"'a''b'", b"\"a\"'b'"] {
            assert_eq!(
                split(line),
                Err(QuoteError::Continued),
                "{}",
                String::from_utf8_lossy(line)
            );
        }
    }
}
