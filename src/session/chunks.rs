//! The size of requests about many sessions.

/// Most sessions in one request.
pub(super) const MOST: usize = 100;

/// Most bytes of records in one request, unless a single record has more: the limit of small plans
/// is 1 MB for the whole.
const MOST_BYTES: usize = 500_000;

/// Most requests of one call at the same time.
pub(super) const AT_ONCE: usize = 8;

/// Splits `items` so that no part has too many or too many bytes. Parts with the place of their
/// first item.
pub(super) fn split<T>(items: &[T], bytes: impl Fn(&T) -> usize) -> Vec<(usize, &[T])> {
    let (mut parts, mut start, mut size) = (Vec::new(), 0, 0);
    for (index, item) in items.iter().enumerate() {
        let more = bytes(item);
        if index > start && (index - start == MOST || size + more > MOST_BYTES) {
            parts.push((start, &items[start..index]));
            (start, size) = (index, 0);
        }
        size += more;
    }
    if start < items.len() {
        parts.push((start, &items[start..]));
    }
    parts
}
