//! The oracle's rules for results, and for changes reported as pending.

use super::facts::Facts;
use super::log::{Actor, Answer, Log, What};
use super::oracle::SLACK;
use super::plan::Call;
use super::stores::Content;

impl Facts<'_> {
    /// A change reported as pending is executed, or overtaken by something that is not older.
    pub fn pending_changes_lost(&self) -> Option<String> {
        let last = self.last_looks();
        let final_sights = self.log.sights.iter().filter(|sight| sight.tick < last);
        let latest = |id: &str| {
            final_sights
                .clone()
                .rfind(|sight| sight.id == id)
                .and_then(|sight| sight.content.as_ref())
        };
        self.entries().find_map(|(number, entry)| {
            // A create of an id that is taken is superseded.
            let taken = self.of_creates(&entry.id).count() > 1
                && self.of_creates(&entry.id).any(|create| !create.is_durable());
            if entry.token.is_empty() || !entry.is_kept() || !self.survives(entry) || taken {
                return None;
            }
            let (shown_number, shown) = self.by_token(&latest(&entry.id)?.token)?;
            // The change was based on the existing content.
            let read = self.log.entries.iter().any(|other| {
                let shows =
                    matches!(&other.answer, Answer::Found(seen) if seen.token == shown.token);
                shows
                    && other.id == entry.id
                    && other.node() == entry.node()
                    && other.is_before(entry)
            });
            let known = shown.node().is_some() && shown.node() == entry.node() || read;
            let lost = shown.is_before(entry)
                && known
                && (shown.is_durable() || shown.is_kept())
                && shown.user_id == entry.user_id;
            lost.then(|| {
                format!("{} has the content of #{shown_number}: #{number} is lost", entry.id)
            })
        })
    }

    /// Results that no circumstance explains.
    pub fn odd_answers(&self) -> Option<String> {
        self.entries().find_map(|(number, entry)| {
            let others = || self.of(&entry.id).filter(move |(other, _)| *other != number);
            let odd = match &entry.answer {
                Answer::Refused(_) => true,
                Answer::Conflict(_) if entry.creates() => {
                    let ends = self.log.entries.iter().any(|other| {
                        (other.logs_out() || other.deletes() && other.id == entry.id)
                            && !entry.is_before(other)
                    });
                    others().all(|(_, other)| {
                        entry.is_before(other) || !other.creates() && !other.deletes()
                    }) && !ends
                        && entry.ttl().is_none_or(|ttl| ttl > SLACK)
                }
                // The last writer wins, unless the session is not known to exist.
                Answer::Superseded
                    if self.of_creates(&entry.id).count() == 1
                        && self
                            .of_creates(&entry.id)
                            .all(|create| create.is_durable() && create.is_before(entry)) =>
                {
                    true
                }
                Answer::Superseded => others().all(|(_, other)| {
                    (other.node().is_some() && other.node() == entry.node())
                        || entry.is_before(other)
                        || other.is(|call| matches!(call, Call::Get { .. }))
                }),
                Answer::Ended(how, true) if **how == Answer::Durable && entry.deletes() => {
                    !others().any(|(_, other)| other.creates() && !entry.is_before(other))
                }
                _ => false,
            };
            odd.then(|| format!("#{number} has no reason for its answer"))
        })
    }

    /// At the end all machines that read the store serve its content.
    pub fn machines_disagree(&self) -> Option<String> {
        let last = self.last_looks();
        self.log.entries.iter().filter(|entry| entry.start >= last).find_map(|entry| {
            let Actor::Node(node, _) = entry.actor else { return None };
            if !self.plan.nodes[node].asks {
                return None;
            }
            let sights = || self.log.sights.iter().filter(|sight| sight.id == entry.id);
            let tokens: Vec<_> = [
                sights().rfind(|sight| sight.tick < last),
                sights().rfind(|sight| sight.tick > last),
            ]
            .into_iter()
            .map(|sight| sight?.content.as_ref().map(|content| content.token.as_str()))
            .collect();
            let served = match &entry.answer {
                Answer::Found(content) => Some(content.token.as_str()),
                Answer::Absent => None,
                answer => {
                    return Some(format!("machine {node} answers {answer:?} for {}", entry.id));
                }
            };
            let disagrees = !tokens.contains(&served);
            disagrees.then(|| format!("machine {node} serves {served:?} of {}", entry.id))
        })
    }
}

/// Returns true for a session in the store that is missing from its user's index at the end.
pub fn check_unlisted(log: &mut Log, id: &str, content: &Content) {
    // The index expires with the session, unless another service prolongs its life.
    let lost = log.entries.iter().rfind(|entry| match entry.what {
        What::LoseIndex => entry.user_id == content.user_id,
        What::Overwrite { keeps_end } => entry.id == id && !keeps_end,
        _ => false,
    });
    let lost = lost.map_or(0, |entry| entry.end);
    let writes =
        |call| matches!(call, Call::Create { .. } | Call::Update { .. } | Call::SetTtl { .. });
    let written = log.entries.iter().any(|entry| {
        entry.id == id && entry.start > lost && entry.answer == Answer::Durable && entry.is(writes)
    });
    if written {
        log.complain(format!("{id} is not in the index of its user"));
    }
}
