//! Members in order of their scores, found by rank in logarithmic time.

use bytes::Bytes;
use std::cmp::Ordering;
use std::ops::Range;

/// No node.
const NONE: u32 = u32::MAX;

#[derive(Clone)]
struct Node {
    score: f64,
    member: Bytes,
    left: u32,
    right: u32,
    /// The nodes below, and this one.
    size: u32,
    /// A random number, larger than those below: so the tree is as deep as one of random insertions.
    priority: u32,
}

/// A treap, whose nodes know the size of their subtrees. Scores are never NaN, and minus zero equals zero.
#[derive(Clone)]
pub(super) struct Ranked {
    nodes: Vec<Node>,
    free: Vec<u32>,
    root: u32,
}

impl Default for Ranked {
    fn default() -> Self {
        Self { nodes: Vec::new(), free: Vec::new(), root: NONE }
    }
}

fn order(left: (f64, &[u8]), right: (f64, &[u8])) -> Ordering {
    let by_score = left.0.partial_cmp(&right.0).unwrap_or(Ordering::Equal);
    by_score.then_with(|| left.1.cmp(right.1))
}

impl Ranked {
    fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    fn node_mut(&mut self, index: u32) -> &mut Node {
        &mut self.nodes[index as usize]
    }

    fn size(&self, index: u32) -> usize {
        if index == NONE { 0 } else { self.node(index).size as usize }
    }

    fn key(&self, index: u32) -> (f64, &[u8]) {
        let node = self.node(index);
        (node.score, &node.member)
    }

    fn update(&mut self, index: u32) {
        let node = self.node(index);
        let size = 1 + self.size(node.left) + self.size(node.right);
        self.node_mut(index).size = u32::try_from(size).unwrap_or(u32::MAX);
    }

    /// Splits into what is less than `key` and the rest.
    fn split(&mut self, index: u32, key: (f64, &[u8])) -> (u32, u32) {
        if index == NONE {
            return (NONE, NONE);
        }
        if order(self.key(index), key) == Ordering::Less {
            let (left, right) = self.split(self.node(index).right, key);
            self.node_mut(index).right = left;
            self.update(index);
            (index, right)
        } else {
            let (left, right) = self.split(self.node(index).left, key);
            self.node_mut(index).left = right;
            self.update(index);
            (left, index)
        }
    }

    fn merge(&mut self, left: u32, right: u32) -> u32 {
        if left == NONE || right == NONE {
            return if left == NONE { right } else { left };
        }
        if self.node(left).priority > self.node(right).priority {
            self.node_mut(left).right = self.merge(self.node(left).right, right);
            self.update(left);
            left
        } else {
            self.node_mut(right).left = self.merge(left, self.node(right).left);
            self.update(right);
            right
        }
    }

    /// Adds a member that is not there.
    pub(super) fn insert(&mut self, score: f64, member: Bytes) {
        let (left, right) = self.split(self.root, (score, &member));
        let priority = fastrand::u32(..);
        let node = Node { score, member, left: NONE, right: NONE, size: 1, priority };
        let index = match self.free.pop() {
            Some(index) => {
                *self.node_mut(index) = node;
                index
            }
            None => {
                self.nodes.push(node);
                u32::try_from(self.nodes.len() - 1).unwrap_or(NONE)
            }
        };
        let left = self.merge(left, index);
        self.root = self.merge(left, right);
    }

    pub(super) fn remove(&mut self, score: f64, member: &[u8]) {
        self.root = self.without(self.root, (score, member));
    }

    fn without(&mut self, index: u32, key: (f64, &[u8])) -> u32 {
        if index == NONE {
            return NONE;
        }
        match order(key, self.key(index)) {
            Ordering::Equal => {
                let node = self.node_mut(index);
                let (left, right) = (node.left, node.right);
                node.member = Bytes::new();
                self.free.push(index);
                return self.merge(left, right);
            }
            Ordering::Less => {
                self.node_mut(index).left = self.without(self.node(index).left, key);
            }
            Ordering::Greater => {
                self.node_mut(index).right = self.without(self.node(index).right, key);
            }
        }
        self.update(index);
        index
    }

    pub(super) fn len(&self) -> usize {
        self.size(self.root)
    }

    /// The number of members for which `before` holds; those are all at the beginning.
    pub(super) fn partition_point(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        let (mut index, mut rank) = (self.root, 0);
        while index != NONE {
            let node = self.node(index);
            if before(node.score, &node.member) {
                rank += self.size(node.left) + 1;
                index = node.right;
            } else {
                index = node.left;
            }
        }
        rank
    }

    pub(super) fn rank(&self, score: f64, member: &[u8]) -> usize {
        self.partition_point(|other, name| order((other, name), (score, member)) == Ordering::Less)
    }

    /// The members of these ranks, in order.
    pub(super) fn slice(&self, range: Range<usize>) -> Vec<(f64, &Bytes)> {
        let mut found = Vec::with_capacity(range.len().min(self.len()));
        self.collect(self.root, 0, &range, &mut found);
        found
    }

    fn collect<'s>(
        &'s self,
        index: u32,
        first: usize,
        range: &Range<usize>,
        found: &mut Vec<(f64, &'s Bytes)>,
    ) {
        if index == NONE || range.start >= range.end {
            return;
        }
        let node = self.node(index);
        let rank = first + self.size(node.left);
        if range.start < rank {
            self.collect(node.left, first, range, found);
        }
        if range.contains(&rank) {
            found.push((node.score, &node.member));
        }
        if range.end > rank + 1 {
            self.collect(node.right, rank + 1, range, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_a_sorted_list() {
        let mut ranked = Ranked::default();
        let mut list: Vec<(i32, Bytes)> = Vec::new();
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2000 {
            let (score, name) = (random.i32(0..40), Bytes::from(random.u8(..30).to_string()));
            match list.binary_search(&(score, name.clone())) {
                Ok(at) => {
                    list.remove(at);
                    ranked.remove(f64::from(score), &name);
                }
                Err(at) => {
                    list.insert(at, (score, name.clone()));
                    ranked.insert(f64::from(score), name.clone());
                }
            }
            let start = random.usize(..=list.len());
            let range = start..random.usize(start..=list.len());
            let found: Vec<_> =
                ranked.slice(range.clone()).into_iter().map(|(_, name)| name.clone()).collect();
            let expected: Vec<_> = list[range].iter().map(|(_, name)| name.clone()).collect();
            assert_eq!(found, expected);
            let rank = list.partition_point(|entry| *entry < (score, name.clone()));
            assert_eq!((ranked.rank(f64::from(score), &name), ranked.len()), (rank, list.len()));
        }
    }
}
