//! Redis's glob patterns: `*`, `?`, `[a-z]`, `[^a]` and `\` to escape.

/// Returns true if the whole of `text` matches.
///
/// On a mismatch only the last `*` takes one more byte: it can reach anything an earlier star
/// could. So the time is at most the product of both lengths, whatever the pattern.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
            continue;
        }
        if let Some(next) = step(pattern, p, text[t]) {
            p = next;
            t += 1;
            continue;
        }
        let Some((after_star, taken)) = star else { return false };
        p = after_star;
        t = taken + 1;
        star = Some((after_star, t));
    }
    pattern.iter().skip(p).all(|&byte| byte == b'*')
}

/// Returns where the pattern continues if its element at `p` matches `byte`.
fn step(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    match *pattern.get(p)? {
        b'?' => Some(p + 1),
        b'[' => class(pattern, p + 1, byte),
        b'\\' if p + 1 < pattern.len() => (pattern[p + 1] == byte).then_some(p + 2),
        literal => (literal == byte).then_some(p + 1),
    }
}

/// Returns the same as [`step`] for a class whose content starts at `p`. An unclosed class ends
/// with the pattern, as in Redis.
fn class(pattern: &[u8], mut p: usize, byte: u8) -> Option<usize> {
    let negated = pattern.get(p) == Some(&b'^');
    if negated {
        p += 1;
    }
    let mut found = false;
    loop {
        match *pattern.get(p..).unwrap_or_default() {
            [] => break,
            [b']', ..] => {
                p += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                found |= escaped == byte;
                p += 2;
            }
            [from, b'-', to, ..] => {
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                p += 3;
            }
            [literal, ..] => {
                found |= literal == byte;
                p += 1;
            }
        }
    }
    (found != negated).then_some(p)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_redis() {
        let yes = [
            ("*", ""),
            ("a*c", "abbc"),
            ("h?llo", "hello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("[a-c]x", "bx"),
        ];
        let more = [
            ("[c-a]x", "bx"),
            ("\\*", "*"),
            ("a**b", "ab"),
            ("[\\]]", "]"),
            ("[ab", "a"),
            ("a*b*c", "aXbXbXc"),
        ];
        for (pattern, text) in yes.into_iter().chain(more) {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "a"), ("a", ""), ("h[^e]llo", "hello"), ("\\*", "x"), ("a*b", "abc"), ("?", "")]
        {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        assert!(!matches("a*".repeat(50).as_bytes(), "a".repeat(49).as_bytes()));
        assert!(!matches(("*a".repeat(50) + "b").as_bytes(), "a".repeat(5000).as_bytes()));
    }
}
